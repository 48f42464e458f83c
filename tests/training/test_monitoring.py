"""What is watched beside the training is what the loss sees."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from oracles import nt_xent_loop
from pictures import CLASSES, write_pictures
from small_recipe import SMALL
from twofold.data import load_images
from twofold.distributed import World
from twofold.hardware.device import resolve_hardware
from twofold.training.monitoring import build_look, spread
from twofold.training.step import build_state


class Uneven(nn.Module):
    """Keeps every z it gives; their lengths differ by factors of thousands."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[torch.Tensor] = []

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        z = h - h.mean(dim=0)
        z = z * (4 * z[:, :1] / z[:, :1].std()).exp()
        self.seen.append(z)
        return z


@pytest.mark.parametrize("normalize", [True, False])
def test_positive_pairs_are_found_by_the_similarity_of_the_loss(normalize: bool, tmp_path: Path) -> None:
    recipe = SMALL.with_settings(normalize=normalize)
    images = load_images(
        write_pictures(tmp_path / "data"), recipe=recipe.data, store_px=recipe.stored_px, cache=tmp_path / "cache"
    )
    hardware = resolve_hardware(recipe.hardware)
    state = build_state(recipe, hardware, peak=0.1, world=World())
    state.model.head = head = Uneven()
    measures = build_look(lambda row: None, recipe, hardware, images, [])(state)
    z_a, z_b = torch.cat(head.seen).float().chunk(2)
    units = [z / z.norm(dim=1, keepdim=True) for z in (z_a, z_b)]
    found = {
        kind: ((a @ b.T).argmax(dim=1) == torch.arange(len(a))).float().mean().item()
        for kind, (a, b) in {True: units, False: (z_a, z_b)}.items()
    }
    assert found[True] != found[False]
    assert measures["pair_accuracy"] == pytest.approx(found[normalize])
    assert measures["alignment"] == pytest.approx((units[0] - units[1]).square().sum(dim=1).mean().item(), rel=1e-4)


def test_the_loss_on_held_out_images_is_that_of_the_validation_split(tmp_path: Path) -> None:
    recipe = SMALL
    write_pictures(tmp_path / "data", per_class=4, splits=("train", "validation"))
    images = load_images(tmp_path / "data", recipe=recipe.data, store_px=recipe.stored_px, cache=tmp_path / "cache")
    hardware, state = (
        resolve_hardware(recipe.hardware),
        build_state(recipe, resolve_hardware(recipe.hardware), peak=0.1, world=World()),
    )
    state.model.head = head = Uneven()
    measures = build_look(lambda row: None, recipe, hardware, images, [])(state)
    seen, held = (z.float().chunk(2) for z in head.seen)  # the views of train, then those of validation
    for name, (z_a, z_b) in {"seen_loss": seen, "held_out_loss": held}.items():
        expected = nt_xent_loop(z_a, z_b, temperature=recipe.loss.temperature)
        assert measures[name] == pytest.approx(float(expected), rel=1e-4)
    assert measures["seen_loss"] != measures["held_out_loss"]


def test_without_held_out_images_there_is_no_such_loss(tmp_path: Path) -> None:
    images = load_images(
        write_pictures(tmp_path / "data"), recipe=SMALL.data, store_px=SMALL.stored_px, cache=tmp_path / "cache"
    )
    hardware = resolve_hardware(SMALL.hardware)
    measures = build_look(lambda row: None, SMALL, hardware, images, [])(
        build_state(SMALL, hardware, peak=0.1, world=World())
    )
    assert not {"held_out_loss", "seen_loss"} & set(measures)


@pytest.mark.parametrize(("count", "most"), [(5, 9), (9, 9), (700, 512), (1000, 512), (512, 240), (3, 1)])
def test_rows_are_spread_over_all(count: int, most: int) -> None:
    rows = spread(np.arange(count), most)
    assert len(rows) == min(count, most)
    assert (np.diff(rows) >= 1).all()
    assert np.diff(rows).max(initial=1) <= -(-count // most), "no gap is wider than it must be"
    assert rows[0] == 0
    assert rows[-1] == count - 1 or most == 1


def test_both_losses_are_over_images_of_all_classes(tmp_path: Path) -> None:
    """Rows are sorted by class: the first ones would be of one class, whose images are harder to tell apart."""
    data = write_pictures(tmp_path / "data", per_class=12)
    for kind in CLASSES:  # the same images, fewer of them
        (tmp_path / "data" / "train" / kind).parent.mkdir(parents=True, exist_ok=True)
        (data / kind).rename(data / "train" / kind)
        (data / "validation" / kind).mkdir(parents=True)
        for path in sorted((data / "train" / kind).iterdir())[::3]:
            shutil.copy(path, data / "validation" / kind / path.name)
    images = load_images(data, recipe=SMALL.data, store_px=SMALL.stored_px, cache=tmp_path / "cache")
    hardware = resolve_hardware(SMALL.hardware)
    state = build_state(SMALL, hardware, peak=0.1, world=World())
    state.model.head = head = Uneven()
    measures = build_look(lambda row: None, SMALL, hardware, images, [])(state)
    z_a, z_b = (z.float() for z in head.seen[0].chunk(2))
    assert len(z_a) == 36
    places = [round(place * 35 / 11) for place in range(12)]
    assert {images.labels[place] for place in places} == set(CLASSES)
    expected = nt_xent_loop(z_a[places], z_b[places], temperature=SMALL.loss.temperature)
    assert measures["seen_loss"] == pytest.approx(float(expected), rel=1e-4)


def test_little_learning_is_told_once_and_not_at_the_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Same(nn.Module):
        """z of every view in one direction, to within a little: no positive pair can be recognised."""

        def forward(self, h: torch.Tensor) -> torch.Tensor:
            noise = torch.randn(h.shape, generator=torch.Generator().manual_seed(0))
            return torch.cat([torch.ones(len(h), 1), 0.2 * noise], dim=1)

    images = load_images(
        write_pictures(tmp_path / "data"), recipe=SMALL.data, store_px=SMALL.stored_px, cache=tmp_path / "cache"
    )
    hardware = resolve_hardware(SMALL.hardware)
    state = build_state(SMALL, hardware, peak=0.1, world=World())
    state.model.head = Same()
    rows: list[dict[str, float]] = []
    look = build_look(rows.append, SMALL.with_settings(temperature=10.0), hardware, images, [], warn_from=30)
    counts = []
    for step in (0, 29, 30, 31):
        state.step = step
        look(state)
        counts.append(" ".join(capsys.readouterr().out.split()).count("of its value by chance"))
    assert counts == [0, 0, 1, 0]
    assert rows[-1]["loss_share"] == pytest.approx(1.0, abs=0.01)
    assert rows[-1]["pair_chance"] == 1 / len(images.rows("train"))


class Constant(nn.Module):
    """One z for all: collapsed."""

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        return torch.ones(len(h), 4)


@pytest.mark.parametrize(
    ("head", "temperature", "words"),
    [(Constant(), 0.2, "has collapsed"), (None, 100.0, "of its value by chance")],
    ids=["collapse", "little learning"],
)
def test_nothing_is_warned_of_before_there_were_steps_to_learn_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], head: nn.Module | None, temperature: float, words: str
) -> None:
    images = load_images(
        write_pictures(tmp_path / "data"), recipe=SMALL.data, store_px=SMALL.stored_px, cache=tmp_path / "cache"
    )
    hardware = resolve_hardware(SMALL.hardware)
    state = build_state(SMALL, hardware, peak=0.1, world=World())
    state.model.head = state.model.head if head is None else head
    look = build_look(lambda row: None, SMALL.with_settings(temperature=temperature), hardware, images, [])
    told = []
    for step in (1, 19, 20):
        state.step = step
        look(state)
        told.append(" ".join(capsys.readouterr().out.split()))
    assert told[:2] == ["", ""]
    assert words in told[2]
