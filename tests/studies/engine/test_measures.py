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
from twofold.studies.engine import baseline
from twofold.studies.engine.baseline import untrained_top1
from twofold.studies.engine.cell import Cell
from twofold.studies.engine.estimate import build_estimate
from twofold.studies.engine.folder import StudyFolder
from twofold.studies.engine.layers import Stages, layer_features
from twofold.studies.engine.measures import MEASURES, Measured, Task, needs_pretraining, probe
from twofold.studies.engine.pretrained import pretrained
from twofold.studies.engine.ranks import RANKS
from twofold.studies.engine.split import at_most, split_rows
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
    return Task(
        cell=cell,
        recipe=recipe,
        images=images,
        hardware=HARDWARE,
        run=run,
        labels=labels,
        baseline=lambda task: untrained_top1(task, folder.runs),
    )


def measured(cell: Cell, images: ImageSet, folder: StudyFolder, **options: Any) -> dict[str, float]:
    return MEASURES[cell.measure](task(cell, images, folder, **options)).values


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
    assert probe(one, noise).mean() < 0.55
    told = noise.copy()
    told[:, 0] += 10 * np.concatenate([split.ids, split.truth])
    assert probe(one, told).mean() > 0.95


def with_labels(epochs: float, seed: int = 0, **options: Any) -> Cell:
    return Cell(name="s", seed=seed, measure="supervised", settings={"epochs": epochs}, options=options)


@pytest.fixture(scope="module")
def taught(images: ImageSet, folder: StudyFolder) -> Measured:
    """A network trained with labels for long enough to tell the classes."""
    return MEASURES["supervised"](task(with_labels(30.0), images, folder))


def test_labels_teach_more_than_chance_and_seeds_differ(
    taught: Measured, images: ImageSet, folder: StudyFolder
) -> None:
    assert taught.values["top1"] > 0.5
    cells = with_labels(8.0), with_labels(8.0), with_labels(8.0, seed=1), with_labels(8.0, base_lr=1e-9)
    first, again, other, still = (MEASURES["supervised"](task(cell, images, folder)).right["top1"] for cell in cells)
    assert (first == again).all(), "a function of the cell"
    assert (first != other).any()
    assert (first != still).any(), "its rate is that of its options"
    assert still.mean() < taught.values["top1"]


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
    assert all(right.dtype == bool for right in found.values())
    if name == "Sobel":
        assert found["told from h"].mean() > 0.9, "edges on black are no photograph"


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


def test_a_cell_says_how_many_directions_it_uses_and_which_images_are_right(
    images: ImageSet, folder: StudyFolder
) -> None:
    found = MEASURES["linear"](task(Cell(name="a"), images, folder))
    assert {*RANKS, "top1", "contrast_accuracy", "contrast_entropy"} == set(found.values)
    assert len(found.right["top1"]) == len(images.rows("test"))
    assert found.right["top1"].mean() == pytest.approx(found.values["top1"])
    dim = load(task(Cell(name="a"), images, folder).trained).dim
    assert all(1 <= found.values[name] <= dim for name in RANKS if name != "alpha_req")


@pytest.mark.parametrize(("pairs", "baseline_top1", "learnt"), [(1.0, 0.0, True), (1.0, 1.0, False), (0.0, 0.0, False)])
def test_an_encoder_has_learnt_where_pairs_and_the_probe_say_so(
    pairs: float,
    baseline_top1: float,
    learnt: bool,
    images: ImageSet,
    folder: StudyFolder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from twofold.studies.engine import measures

    monkeypatch.setattr(measures, "_contrast", lambda run: {"contrast_accuracy": pairs, "contrast_entropy": 1.0})
    one = replace(task(Cell(name="a"), images, folder), baseline=lambda task: baseline_top1)
    assert MEASURES["linear"](one).learnt is learnt


def test_a_network_has_learnt_where_it_is_above_the_most_frequent_class(
    taught: Measured, images: ImageSet, folder: StudyFolder
) -> None:
    assert taught.learnt
    slowest = replace(task(with_labels(1.0), images, folder), slower=1e9)
    assert not MEASURES["supervised"](slowest).learnt


def test_the_untrained_encoder_is_measured_once(
    images: ImageSet, folder: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, calls = task(Cell(name="a", settings={"temperature": 0.7}), images, folder), [0]
    whole = baseline.measure_untrained
    monkeypatch.setattr(baseline, "measure_untrained", lambda task: calls.__setitem__(0, calls[0] + 1) or whole(task))
    again = [untrained_top1(one, folder.runs) for _ in range(2)]
    assert again[0] == again[1]
    assert calls[0] <= 1
    other = replace(one, recipe=one.recipe.with_settings(width=0.25))
    untrained_top1(other, folder.runs)
    assert len(list(folder.runs.glob("untrained-*.json"))) >= 2, "another encoder has a baseline of its own"
