"""Embeddings that are not finite: everything that makes a number of them refuses them, by one error."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from networks import VIEWS, Tiny
from pictures import write_pictures
from small_recipe import SMALL
from twofold.data import ImageSet, load_images
from twofold.distributed import World
from twofold.errors import DivergedError, NotFiniteError
from twofold.evaluation import (
    build_gallery,
    build_knn_monitor,
    embed_images,
    fit_few,
    fit_linear,
    fit_probes,
    fit_scaling,
    knn,
)
from twofold.evaluation.gallery import look_alikes
from twofold.evaluation.knn import neighbours
from twofold.evaluation.linear_probe import FEW_L2_GRID
from twofold.hardware.device import resolve_hardware
from twofold.models.finite import require_finite
from twofold.models.head import build_head
from twofold.programs.embed import embed
from twofold.programs.evaluate import evaluate
from twofold.programs.transfer import transfer
from twofold.recipes.recipe import HardwareRecipe, HeadRecipe, Recipe
from twofold.runs.checkpoint import load_checkpoint
from twofold.runs.encoder_file import load, save_encoder
from twofold.runs.run_directory import Run
from twofold.studies.engine.layers import head_features
from twofold.training import health, loop
from twofold.training.step import build_state

CPU = resolve_hardware(HardwareRecipe(device="cpu", precision="fp32"))
GOOD = np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32)
IDS = np.arange(20) % 2


def spoiled(value: float) -> np.ndarray:
    """GOOD with one number that is not finite."""
    h = GOOD.copy()
    h[3, 2] = value
    return h


def tensor(h: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(h)


def folds() -> list[list[tuple[np.ndarray, np.ndarray]]]:
    return [[(np.arange(4, 20), np.arange(4))]]


OF_EMBEDDINGS: dict[str, Callable[[np.ndarray], Any]] = {
    "spread": lambda h: health.spread(tensor(h)),
    "effective rank": lambda h: health.effective_rank(tensor(h)),
    "alignment of the first view": lambda h: health.alignment(tensor(h), tensor(GOOD)),
    "alignment of the second view": lambda h: health.alignment(tensor(GOOD), tensor(h)),
    "uniformity": lambda h: health.uniformity(tensor(h)),
    "health, h": lambda h: health.health(tensor(h), tensor(GOOD[:10]), tensor(GOOD[10:])),
    "health, z": lambda h: health.health(tensor(GOOD), tensor(h), tensor(GOOD)),
    "k-NN, queries": lambda h: knn(tensor(GOOD), tensor(IDS), tensor(h), k=3),
    "k-NN, bank": lambda h: knn(tensor(h), tensor(IDS), tensor(GOOD), k=3),
    "neighbours": lambda h: neighbours(h, h, 2),
    "look-alikes": lambda h: look_alikes(h, IDS),
    "scaling": fit_scaling,
    "linear probe": lambda h: fit_linear(h, IDS, 2, 1e-2),
    "answers of a probe": lambda h: fit_linear(GOOD, IDS, 2, 1e-2).predict(h),
    "linear probes with a choice": lambda h: fit_probes(h, IDS, classes=2, draws=folds(), grid=FEW_L2_GRID),
    "linear probes with few labels": lambda h: fit_few(h, IDS, classes=2, shots=10),
}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("name", OF_EMBEDDINGS)
def test_no_number_is_made_of_embeddings_that_are_not_finite(name: str, value: float) -> None:
    OF_EMBEDDINGS[name](GOOD)
    with pytest.raises(NotFiniteError, match=r"not finite for 1 of \d+ images.*--precision fp32"):
        OF_EMBEDDINGS[name](spoiled(value))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("finite") / "images", per_class=16, splits=("train", "test"))


@pytest.fixture(scope="module")
def cache(data: Path) -> Path:
    return data.parent / "cache"


@pytest.fixture(scope="module")
def run(data: Path, cache: Path) -> Path:
    """A run whose exported encoder has one weight that is not finite."""
    out = data.parent / "run"
    loop.pretrain(data, out=out, recipe=SMALL, cache=cache)
    loaded = load(out)
    next(loaded.encoder.parameters()).data[0] = float("nan")
    save_encoder(Run(out).encoder, loaded.encoder, SMALL)
    return out


@pytest.fixture(scope="module")
def images(data: Path, cache: Path) -> ImageSet:
    return load_images(data, recipe=Recipe().with_settings(channels=1).data, store_px=16, cache=cache)


def broken() -> Tiny:
    """An encoder whose weights are finite and whose embeddings are not."""
    encoder = Tiny()
    nn.init.constant_(encoder.norm.weight, 3e38)
    return encoder.eval()


OF_ENCODERS: dict[str, Callable[[nn.Module, ImageSet, Path], Any]] = {
    "embedding": lambda f, images, _: embed_images(f, images, np.arange(9), views=VIEWS, hardware=CPU),
    "gallery": lambda f, images, out: build_gallery(f, images, views=VIEWS, hardware=CPU, out=out),
    "monitor": lambda f, images, _: build_knn_monitor(images, Recipe(views=VIEWS), CPU)(f, 0),  # type: ignore[misc]
}


@pytest.mark.parametrize("name", OF_ENCODERS)
def test_no_number_is_made_by_an_encoder_that_overflows(name: str, images: ImageSet, tmp_path: Path) -> None:
    OF_ENCODERS[name](Tiny().eval(), images, tmp_path / "good")
    with pytest.raises(NotFiniteError, match=r"the trained encoder .* not finite for"):
        OF_ENCODERS[name](broken(), images, tmp_path / "bad")
    assert not (tmp_path / "bad").exists()


def test_layers_of_the_head_are_looked_at_too() -> None:
    head = build_head(HeadRecipe(head_layers=2, z_dim=3), dim=6).eval()
    assert set(head_features(head, GOOD)) == {"head-1", "z"}
    nn.init.constant_(head[-1].dense.weight, 3e38)  # type: ignore[union-attr,arg-type]
    with pytest.raises(NotFiniteError, match=r"the head's layer z .* not finite"):
        head_features(head, GOOD)


PROGRAMS: dict[str, Callable[[Path, Path, Path, Path], Any]] = {
    "evaluate": lambda run, data, cache, _: evaluate(run, data=data, cache=cache, seeds=1, few_seeds=1),
    "evaluate, k-NN": lambda run, data, cache, _: evaluate(run, data=data, cache=cache, protocol=["knn"], seeds=1),
    "transfer": lambda run, data, cache, _: transfer(run, to=[data], cache=cache, seeds=1),
    "embed": lambda run, data, cache, out: embed(run, data, out=out, cache=cache),
    "Loaded.embed": lambda run, data, *_: load(run).embed(sorted((data / "test" / "bars").iterdir())),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_programs_say_it_and_write_nothing(name: str, run: Path, data: Path, cache: Path, tmp_path: Path) -> None:
    out = tmp_path / "h.parquet"
    with pytest.raises(NotFiniteError, match="encoder gives numbers that are not finite"):
        PROGRAMS[name](run, data, cache, out)
    assert not out.exists()
    assert not any((run / file).exists() for file in ("evaluation.json", "transfer.json", "gallery.npz"))


def test_the_error_counts_rows_and_says_nothing_about_finite_ones() -> None:
    h = spoiled(float("nan"))
    h[3] = float("inf")
    h[19, 0] = float("nan")
    for rows in (h, tensor(h), tensor(h).bfloat16()):
        with pytest.raises(NotFiniteError, match=r"^my encoder gives numbers that are not finite for 2 of 20 images"):
            require_finite(rows, "my encoder")
    require_finite(GOOD)
    require_finite(GOOD * 1e15)
    with pytest.raises(NotFiniteError, match="20 of 20"):
        require_finite(GOOD * 1e25)  # finite, but no cosine can be taken: its length overflows
    require_finite(GOOD[:0])


def test_training_that_overflows_is_named_with_its_step_and_its_checkpoint(
    data: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weights are finite after the first step, and what they make of images is not."""
    monkeypatch.setattr("twofold.training.start.measure_step_s", lambda *_a, **_k: 0.1)
    recipe = SMALL.with_settings(optimizer="sgd", base_lr=1e12, monitor_share=0.05, checkpoint_minutes=0.0)
    with pytest.raises(DivergedError, match=r"at step 1 are not finite; .*no checkpoint .*--out .*--base-lr") as caught:
        loop.pretrain(data, out=tmp_path / "run", recipe=recipe, cache=cache)
    assert "embeddings" in str(caught.value)
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "h_effective_rank" in row] == [0]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("place", ["encoder.conv1.weight", "encoder.bn1.running_var", "head.0.norm.bias", "loss"])
def test_one_number_that_is_not_finite_is_found_wherever_it_is(tmp_path: Path, place: str, value: float) -> None:
    state = build_state(SMALL, CPU, peak=0.1, world=World())
    state.step = 7
    with torch.no_grad():
        for tensor in state.model.parameters():
            tensor.mul_(1e30)  # a large number is finite
    loop._require_finite(Run(tmp_path), state)
    if place == "loss":
        state.first_bad_step = torch.tensor(3)
    else:
        spoilt = state.model.state_dict()[place]
        spoilt[(-1,) * spoilt.ndim] = value
    with pytest.raises(DivergedError, match=f"weights at step {3 if place == 'loss' else 7} are not finite"):
        loop._require_finite(Run(tmp_path), state)


@pytest.mark.parametrize("place", ["monitor", "running statistics"])
def test_what_is_found_later_leaves_the_checkpoint_before(
    data: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Only the monitor's images overflow; or only a running variance, which would make h a constant, does."""
    monkeypatch.setattr("twofold.training.start.measure_step_s", lambda *_a, **_k: 0.1)
    at = 2

    def build(*_: object) -> Callable[[nn.Module, int], dict[str, float]]:
        def monitor(encoder: nn.Module, step: int) -> dict[str, float]:
            if step == at and place == "monitor":
                require_finite(spoiled(float("inf")))
            if step == at:
                next(b for name, b in encoder.named_buffers() if name.endswith("running_var"))[0] = float("inf")
            return {}

        return monitor

    recipe = SMALL.with_settings(epochs=2.0, monitor_share=0.01, checkpoint_minutes=0.0)
    with pytest.raises(
        DivergedError, match=rf"at step {at} are not finite; .*checkpoint of step {at - 1} is untouched"
    ):
        loop.pretrain(data, out=tmp_path / "run", recipe=recipe, monitors=(build,), cache=cache)
    saved = load_checkpoint(tmp_path / "run" / "checkpoints")
    assert saved is not None
    assert all(value.isfinite().all() for value in saved["model"].values())
