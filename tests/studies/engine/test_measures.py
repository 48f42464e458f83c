"""What cells measure, on images whose classes differ in shape."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from networks import same, state
from pictures import write_pictures
from tiny_study import TINY
from twofold.data import ImageSet, load_images
from twofold.distributed import World
from twofold.evaluation.networks import fit_network
from twofold.evaluation.schedules import Schedule
from twofold.hardware.device import resolve_hardware
from twofold.recipes.recipe import OptimRecipe, Recipe
from twofold.runs.encoder_file import load, load_head
from twofold.studies.engine.cell import Cell
from twofold.studies.engine.estimate import build_estimate
from twofold.studies.engine.folder import StudyFolder
from twofold.studies.engine.labelled import at_most, split_rows
from twofold.studies.engine.layers import Stages, layer_features
from twofold.studies.engine.measures import MEASURES, Task, needs_pretraining, probe
from twofold.studies.engine.pretrained import pretrained
from twofold.studies.engine.transformed import TRANSFORMATIONS, tell_transformation

BASE = TINY.base.with_settings(epochs=4.0, width=0.5)
HARDWARE = resolve_hardware(BASE.hardware)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    home = tmp_path_factory.mktemp("measures")
    data = write_pictures(home / "data", per_class=40, splits=("train", "test"), side=16)
    return load_images(data, recipe=BASE.data, store_px=BASE.stored_px, cache=home / "cache")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    folder = StudyFolder(tmp_path_factory.mktemp("study"))
    folder.create()
    return folder


def task(cell: Cell, images: ImageSet, folder: StudyFolder, base: Recipe = BASE, labels: int | None = None) -> Task:
    recipe = base.with_settings(**cell.settings, seed=cell.seed)
    run = pretrained(recipe, images, folder, World())[0] if needs_pretraining(cell) else None
    return Task(cell=cell, recipe=recipe, images=images, hardware=HARDWARE, run=run, labels=labels)


def measured(cell: Cell, images: ImageSet, folder: StudyFolder, **options: Any) -> dict[str, float]:
    return MEASURES[cell.measure](task(cell, images, folder, **options))


def test_selection_is_cut_from_train_and_never_meets_test(images: ImageSet) -> None:
    on_test, on_selection = (split_rows(images, BASE.data, on) for on in ("test", "selection"))
    assert {*on_test.asked} == {*images.rows("test")}
    assert {*on_selection.rows} | {*on_selection.asked} == {*images.rows("train")}
    assert not {*on_selection.rows} & {*on_selection.asked}
    assert not {*on_selection.rows} & {*on_test.asked}
    for split in (on_test, on_selection):
        np.testing.assert_array_equal(split.truth, images.class_ids[split.asked])
        np.testing.assert_array_equal(split.ids, images.class_ids[split.rows])


def test_selection_divides_no_group_of_images(images: ImageSet) -> None:
    grouped = replace(images, groups=[f"patient {row // 4}" for row in range(len(images))])
    split = split_rows(grouped, BASE.data, "selection")
    assert not {row // 4 for row in split.rows} & {row // 4 for row in split.asked}
    plain = split_rows(images, BASE.data, "selection")
    assert {row // 4 for row in plain.rows} & {row // 4 for row in plain.asked}, "without groups they are divided"


def test_few_labels_are_the_same_of_each_class_every_time(images: ImageSet) -> None:
    split = split_rows(images, BASE.data, "test")
    few = at_most(split, 30)
    assert np.bincount(few.ids).tolist() == [10, 10, 10]
    np.testing.assert_array_equal(few.rows, at_most(split, 30).rows)
    assert at_most(split, None) is split
    assert {*split.few(0.1, 0).rows} != {*split.few(0.1, 1).rows}


def test_the_stages_end_in_h(images: ImageSet, folder: StudyFolder) -> None:
    run = task(Cell(name="a"), images, folder).trained
    loaded, head = load(run), load_head(run)
    x = torch.rand(3, 3, 16, 16)
    stages = Stages(loaded.encoder)
    with torch.no_grad():
        both, h = stages(x), loaded.encoder(x)
    assert stages.widths == [32, 64]
    torch.testing.assert_close(both[:, 32:], h)
    first = loaded.encoder.get_submodule("layer1")
    inside: list[torch.Tensor] = []
    first.register_forward_hook(lambda module, inputs, output: inside.append(output))
    with torch.no_grad():
        loaded.encoder(x)
    torch.testing.assert_close(both[:, :32], inside[-1].mean(dim=(2, 3)))
    features = layer_features(load(run), head, images, images.rows("test"))
    assert list(features) == ["stage-1", "h", "head-1", "z"]


def test_the_probe_finds_classes_that_can_be_told(images: ImageSet, folder: StudyFolder) -> None:
    one = task(Cell(name="a"), images, folder, labels=60)
    split = at_most(one.split, 60)
    noise = np.random.default_rng(0).normal(size=(len(split.rows) + len(split.asked), 8)).astype(np.float32)
    assert probe(one, noise) < 0.55
    told = noise.copy()
    told[:, 0] += 10 * np.concatenate([split.ids, split.truth])
    assert probe(one, told) > 0.95


def test_labels_teach_more_than_chance_and_seeds_differ(images: ImageSet, folder: StudyFolder) -> None:
    cells = [Cell(name="s", seed=seed, measure="supervised", settings={"epochs": 30.0}) for seed in (0, 1)]
    top1s = [measured(cell, images, folder)["top1"] for cell in cells]
    assert min(top1s) > 0.5
    assert measured(cells[0], images, folder)["top1"] == top1s[0], "a function of the cell"
    still = replace(cells[0], options={"base_lr": 1e-9})
    assert measured(still, images, folder)["top1"] < min(top1s), "its rate is that of its options"


@pytest.mark.parametrize("batch", [7, 8], ids=["odd", "even"])
def test_supervised_training_has_the_views_of_one_branch(
    batch: int, images: ImageSet, folder: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from twofold.studies.engine import measures

    def schedule(*_args: Any, **_options: Any) -> Schedule:
        return Schedule(steps=3, batch_size=batch, optim=OptimRecipe(optimizer="sgd", warmup_fraction=0.0))

    trained: list[dict[str, torch.Tensor]] = []

    def fit(network: torch.nn.Module, *args: Any, **options: Any) -> None:
        fit_network(network, *args, **options)
        trained.append(state(network))

    monkeypatch.setattr(measures, "make_schedule", schedule)
    monkeypatch.setattr(measures, "fit_network", fit)
    for value in (False, True):
        measured(Cell(name="s", measure="supervised", settings={"one_branch": value}), images, folder)
    assert same(*trained)


def test_fine_tuning_starts_from_the_pretrained_encoder(
    images: ImageSet, folder: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from twofold.studies.engine import measures

    started: list[torch.Tensor] = []
    whole = measures.build_network

    def remember(encoder: torch.nn.Module, **options: Any) -> Any:
        started.append(encoder.state_dict()["conv1.weight"].clone())
        return whole(encoder, **options)

    monkeypatch.setattr(measures, "build_network", remember)
    options = {"fraction": 0.5, "base_lr": 0.05, "epochs": 1.0}
    for way in ("finetune", "supervised"):
        cell = Cell(name=way, measure="trained on labels", options={**options, "way": way})
        assert 0 <= measured(cell, images, folder)["top1"] <= 1
    own = load(task(Cell(name="a"), images, folder).trained).encoder.state_dict()["conv1.weight"]
    assert torch.equal(started[0], own)
    assert not torch.equal(started[1], own)


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_shares_told_right(name: str, images: ImageSet, folder: StudyFolder) -> None:
    run = task(Cell(name="a"), images, folder).trained
    found = tell_transformation(name, load(run), load_head(run), images, images.rows("train"), seed=0)
    assert found.keys() == {"told from h", "told from z"}
    assert all(0 <= value <= 1 for value in found.values())
    if name == "Sobel":
        assert found["told from h"] > 0.9, "edges on black are no photograph"


def test_cells_of_one_recipe_share_a_run(images: ImageSet, folder: StudyFolder) -> None:
    first = task(Cell(name="a"), images, folder).trained
    assert task(Cell(name="b", on="selection"), images, folder).trained == first
    assert task(Cell(name="a", seed=1), images, folder).trained != first


def test_the_estimate_counts_a_shared_pretraining_once() -> None:
    scale = replace(TINY, labels=10)
    estimate = build_estimate(scale, HARDWARE, images=1_000_000, asked=10, base_views_per_s=1000.0)
    one = estimate([Cell(name="a")])
    assert one == pytest.approx(2 * 1_000_000 / 1000, rel=0.01)
    assert estimate([Cell(name="a"), Cell(name="b", on="selection")]) == pytest.approx(one, rel=0.01)
    assert estimate([Cell(name="a"), Cell(name="a", seed=1)]) == pytest.approx(2 * one, rel=0.01)
    assert estimate([Cell(name="a", settings={"epochs": 2.0})]) == pytest.approx(2 * one, rel=0.01)
    assert estimate([Cell(name="a", settings={"width": 1.0})]) > 5 * one
    assert estimate([Cell(name="a", measure="supervised")]) == pytest.approx(one / 2, rel=0.01)


def test_log_of_a_run_lies_beside_it(images: ImageSet, folder: StudyFolder, capsys: pytest.CaptureFixture[str]) -> None:
    run = task(Cell(name="quiet", settings={"temperature": 0.3}), images, folder).trained
    assert capsys.readouterr().out == ""
    assert "Recipe" in Path(f"{run}.log").read_text()
