"""Every study in miniature, from the plan to the verdicts; killed, shared and continued."""

import json
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tiny_study
from pictures import write_pictures
from tiny_study import CELLS, CELLS_RUN, TUNED, measured_in, run_tiny
from twofold.errors import DivergedError, TwofoldError
from twofold.programs import study as program
from twofold.programs.study import list_studies, study
from twofold.recipes.recipe import Recipe
from twofold.studies import STUDIES
from twofold.studies.engine import run
from twofold.studies.engine.attempts import unpacked
from twofold.studies.engine.cell import Cell
from twofold.studies.engine.claim import VERDICTS
from twofold.studies.engine.measures import Measured
from twofold.studies.engine.pretrained import run_name
from twofold.studies.engine.scale import PAPER

DRIVER = Path(tiny_study.__file__)


def test_a_setting_that_came_later_leaves_the_names_of_runs_as_they_were() -> None:
    """The name that the version before `deterministic` gave."""
    assert run_name(Recipe()) == "b0d3e147acac4d23"
    others = [Recipe().with_settings(**{name: value}) for name, value in (("deterministic", True), ("seed", 1))]
    assert len({run_name(recipe) for recipe in (Recipe(), *others)}) == 3


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("studies")
    write_pictures(home / "train-only", per_class=4, side=16)
    write_pictures(home / "data", per_class=10, splits=("train", "test"), side=16)
    return home


@pytest.fixture(autouse=True, scope="module")
def quick() -> Iterator[None]:
    """As the processes of `tiny_study` are, so that they measure the same."""
    with pytest.MonkeyPatch.context() as patch:
        for module, replaced in tiny_study.shortcuts().items():
            for name, value in replaced.items():
                patch.setattr(module, name, value)
        yield


@pytest.fixture(scope="module")
def ended(home: Path) -> dict[str, Any]:
    """How the processes of `tiny_study` ended: without type checks, which make them five times slower."""
    done = subprocess.run(
        [sys.executable, str(DRIVER), str(home / "data"), str(home)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    codes: dict[str, Any] = json.loads(done.stdout)
    assert codes["all"] == 0, done.stderr
    return codes


@pytest.fixture(scope="module")
def records(home: Path, ended: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Every study, run once."""
    return {name: json.loads((home / "out" / name / "study.json").read_text()) for name in STUDIES}


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_ends_in_cells_a_table_a_figure_and_verdicts(
    home: Path, records: dict[str, dict[str, Any]], name: str
) -> None:
    record, folder = records[name], home / "out" / name
    assert record["finished"]
    assert len(record["cells"]) == record["cells_planned"]
    assert len(record["cells"]) == CELLS_RUN[name] or (name in TUNED and len(record["cells"]) > CELLS_RUN[name])
    assert all(0 <= cell["measure"]["top1"] <= 1 for cell in record["cells"])
    assert {claim["verdict"] for claim in record["claims"]} <= set(VERDICTS)
    for claim in record["claims"]:
        failed = "learnt nothing" in claim["why_not"]
        assert failed or claim["seeds"] == tiny_study.SEEDS
        assert failed or claim["low"] <= claim["difference"] <= claim["high"]
    table = (folder / "table.md").read_text()
    for panel in record["panels"]:
        assert panel["title"] in table
        assert all(place["mean"] is not None or place["failed"] for place in panel["places"])
    assert (folder / "figure.svg").read_text().lstrip().startswith("<?xml")
    assert "</html>" in (folder / "report.html").read_text()


def test_cells_of_one_name_differ_in_their_seed_alone(records: dict[str, dict[str, Any]]) -> None:
    for record in records.values():
        recipes: dict[tuple[str, str], Any] = {}
        for cell in record["cells"]:
            assert recipes.setdefault((cell["name"], cell["on"]), cell["recipe"]) == cell["recipe"]


def test_seeds_and_settings_reach_the_training(records: dict[str, dict[str, Any]]) -> None:
    """Otherwise all cells would measure the same."""
    entropies = {
        (cell["name"], cell["seed"]): cell["measure"]["contrast_entropy"]
        for cell in records["temperature"]["cells"]
        if cell["on"] == "test"
    }
    assert len(set(entropies.values())) == len(entropies)


def test_run_again_a_study_measures_nothing_and_gives_the_same_table(
    home: Path, records: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = home / "out" / "head"
    before = (folder / "table.md").read_bytes(), (folder / "figure.svg").read_bytes()
    monkeypatch.setattr(run, "MEASURES", {})
    again = run_tiny("head", home / "data", folder, home / "cache")
    assert json.loads((folder / "study.json").read_text()) == json.loads(json.dumps(again))
    assert again["cells"] == records["head"]["cells"]
    assert ((folder / "table.md").read_bytes(), (folder / "figure.svg").read_bytes()) == before


def test_finished_cells_are_taken_over_from_a_record_alone(
    home: Path, records: dict[str, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = {**records["head"], "cells": records["head"]["cells"][:-2]}
    (tmp_path / "study.json").write_text(json.dumps(half))
    measured: list[str] = []
    whole = run.MEASURES["linear"]
    monkeypatch.setitem(run.MEASURES, "linear", lambda task: measured.append(task.cell.key) or whole(task))
    again = run_tiny("head", home / "data", tmp_path, home / "cache")
    assert len(measured) == 2
    assert [cell["measure"] for cell in again["cells"]] == [cell["measure"] for cell in records["head"]["cells"]]


def test_killed_and_run_again_no_finished_cell_is_repeated(home: Path, ended: dict[str, Any]) -> None:
    assert ended["first"] == -signal.SIGKILL
    assert 3 <= ended["cells of the first"] < CELLS["head"]
    assert ended["second"] == 0
    first, second = (measured_in(home / f"{log}.log") for log in ("first", "second"))
    assert len(second) == CELLS["head"] - ended["cells of the first"]
    assert not {*first} & {*second}
    assert (home / "killed" / "table.md").read_text() == (home / "out" / "head" / "table.md").read_text()


def test_two_processes_share_the_cells(home: Path, ended: dict[str, Any], records: dict[str, dict[str, Any]]) -> None:
    assert ended["sharing"] == [0, 0]
    parts = [measured_in(home / f"{log}.log") for log in ("one", "other")]
    keys = [Cell(name=c["name"], seed=c["seed"], on=c["on"]).key for c in records["size"]["cells"]]
    assert sorted(parts[0] + parts[1]) == sorted(keys)
    assert all(parts), "both took some"
    assert (home / "shared" / "table.md").read_text() == (home / "out" / "size" / "table.md").read_text()


def test_processes_of_a_launcher_train_each_cell_together(home: Path, ended: dict[str, Any]) -> None:
    assert ended["together"] == [0, 0]
    keys = measured_in(home / "together-0.log")
    record = json.loads((home / "together" / "study.json").read_text())
    assert len(keys) == len(set(keys)) == len(record["cells"]) >= CELLS["size"]
    assert (home / "together-1.log").read_text() == "", "the first process alone speaks"
    assert record["finished"]
    assert (home / "together" / "report.html").exists()


def test_a_study_does_not_continue_under_another_recipe(home: Path, records: dict[str, dict[str, Any]]) -> None:
    changed = tiny_study.TINY.with_settings(epochs=2.0)
    with pytest.raises(TwofoldError, match=r"base.schedule.epochs is 2.0, but .* was begun with 1.0; .*new --out"):
        study("head", data=home / "data", scale=changed, seeds=2, out=home / "out" / "head", cache=home / "cache")
    with pytest.raises(TwofoldError, match=r"study is 'size', but .* was begun with 'head'"):
        run_tiny("size", home / "data", home / "out" / "head", home / "cache")


def test_a_damaged_cell_is_named(home: Path, records: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    shutil.copytree(home / "out" / "head" / "cells", tmp_path / "cells")
    shutil.copy(home / "out" / "head" / "plan.json", tmp_path)
    (tmp_path / "cells" / "none.0.json").write_text("{")
    with pytest.raises(TwofoldError, match=r"none.0.json' is damaged .*Remove it"):
        run_tiny("head", home / "data", tmp_path, home / "cache")


def test_a_cell_that_diverges_is_tried_at_lower_rates_and_fails(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: list[float] = []

    def diverge(recipe: Recipe, *arguments: object) -> Path:
        rates.append(recipe.optim.base_lr)
        raise DivergedError("not finite")

    monkeypatch.setattr(run, "pretrained", diverge)
    record = run_tiny("head", home / "data", tmp_path, home / "cache")
    assert {cell["measure"]["top1"] for cell in record["cells"]} == {1 / 3}
    assert all(cell["measure"]["diverged"] and not cell["learnt"] for cell in record["cells"])
    assert rates[1] == pytest.approx(rates[0] / 3, rel=1e-4)
    assert len(rates) == 3 * len(record["cells"])
    assert {claim["verdict"] for claim in record["claims"]} == {"not testable here"}
    assert any(note.startswith("Failed, and in no mean: ") for note in record["notes"])
    assert all(place["mean"] is None for panel in record["panels"] for place in panel["places"])
    assert "| nonlinear | failed | failed |" in (tmp_path / "table.md").read_text()


def test_labels_at_too_high_a_rate_fail_on_test_and_count_as_guessing_on_selection(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    divisors: list[tuple[str, float]] = []

    def diverge(task: Any) -> Measured:
        divisors.append((task.cell.on, task.slower))
        raise DivergedError("not finite")

    pretraining = Measured(values={"top1": 0.5, "contrast_accuracy": 0.5, "contrast_entropy": 1.0}, learnt=True)
    monkeypatch.setattr(run, "pretrained", lambda *arguments: (tmp_path, 0.0))
    monkeypatch.setitem(run.MEASURES, "linear", lambda task: pretraining)
    monkeypatch.setitem(run.MEASURES, "supervised", diverge)
    record = run_tiny("size", home / "data", tmp_path, home / "cache")
    for cell in record["cells"]:
        if cell["name"].startswith("supervised"):
            assert cell["measure"] == {"top1": 1 / 3, "diverged": 1.0}
        else:
            assert "diverged" not in cell["measure"]
    assert {one for one in divisors if one[0] == "test"} == {("test", 1.0), ("test", 3.0), ("test", 9.0)}
    assert {one for one in divisors if one[0] == "selection"} == {("selection", 1.0)}


def test_cells_say_with_what_they_were_made(records: dict[str, dict[str, Any]]) -> None:
    for record in records.values():
        for cell in record["cells"]:
            assert {"versions", "hardware", "date", "code"} == cell["made"].keys()
            assert {"learnt", "rates_divided_by", "right"} <= cell.keys()
            counted = {metric: unpacked(cell["right"])[metric].mean() for metric in cell["right"]}
            assert counted == {metric: pytest.approx(cell["measure"][metric]) for metric in counted}
            assert "top1" in counted or "diverged" in cell["measure"]


def test_studies_that_share_encoders_train_the_base_cell_once(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The head of the base recipe and the first of the lengths are one training."""
    shared: dict[str, Any] = {"encoders": tmp_path / "encoders"}
    monkeypatch.setattr(run, "_measure_all", lambda work, *rest: trained.append(work.folder.runs))
    trained: list[Path] = []
    for name in ("head", "duration"):
        run_tiny(name, home / "data", tmp_path / name, home / "cache", **shared)
    assert trained[0] == trained[1]
    assert trained[0].parent == tmp_path / "encoders"
    base = tiny_study.TINY.base
    settings = {"head": "nonlinear", "z_dim": base.head.z_dim}, {"loss": "nt-xent", "batch_size": 16, "epochs": 1.0}
    assert len({run_name(base.with_settings(**one, seed=0)) for one in settings}) == 1


def test_minutes_become_epochs_once(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, Any] = {"minutes": 0.001}
    monkeypatch.setattr(run, "_measure_all", lambda *arguments: None)
    rates = iter([10_000.0, 99_000.0])
    monkeypatch.setattr(run, "views_per_s", lambda *arguments, **options: next(rates))
    record = run_tiny("head", home / "data", tmp_path, home / "cache", **options)
    assert record["base"]["schedule"]["epochs"] == pytest.approx(0.06 * 10_000 / 2 / 30)
    again = run_tiny("head", home / "data", tmp_path, home / "cache", **options)
    assert again["base"] == record["base"]
    monkeypatch.undo()
    with pytest.raises(TwofoldError, match=r"minutes is 0.002, but .* was begun with 0.001"):
        run_tiny("head", home / "data", tmp_path, home / "cache", minutes=0.002)


def test_only_the_plan_measures_nothing(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = run_tiny("loss", home / "data", tmp_path, home / "cache", plan=True)
    assert record["cells"] == []
    assert list(tmp_path.iterdir()) == []
    text = " ".join(capsys.readouterr().out.split())
    assert f"Cells: {CELLS['loss']}, of which 0 are finished" in text
    assert "10 more depend on results" in text
    assert "Time: about" in text


def test_each_study_has_its_own_length_and_seeds_where_they_are_longer(home: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"data": home / "data", "scale": "longer", "plan": True, "cache": home / "cache"}
    head = study("head", out=tmp_path / "head", **options)
    assert head["base"]["schedule"]["epochs"] == 20.0
    assert head["cells_planned"] == 7 * 5 + 7 * 3
    assert head["command"] == "twofold study head --data data --scale longer"
    assert study("head", out=tmp_path / "few", seeds=2, **options)["command"].endswith("--scale longer --seeds 2")


def test_the_list_says_what_each_study_asks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "views_per_s", lambda *arguments: 1234.0)
    list_studies()
    text = capsys.readouterr().out
    for one in STUDIES.values():
        assert one.asks in text
        assert one.paper in text
    assert text.count("here for one process") == len(STUDIES)
    assert "1,234 views/s" in text


def test_the_papers_scale_needs_pictures_that_are_named() -> None:
    with pytest.raises(TwofoldError, match="no images of its own"):
        study("head", scale="paper", plan=True)


def test_a_misspelt_study_is_named() -> None:
    with pytest.raises(TwofoldError, match="unknown study 'haed'; did you mean 'head'"):
        study("haed")


def test_pictures_without_labels_are_refused(home: Path, tmp_path: Path) -> None:
    for folder in (home / "data" / "train").iterdir():
        for number, path in enumerate(sorted(folder.iterdir())):
            (tmp_path / "flat").mkdir(exist_ok=True)
            shutil.copy(path, tmp_path / "flat" / f"{folder.name}-{number}.png")
    with pytest.raises(TwofoldError, match="label"):
        run_tiny("head", tmp_path / "flat", tmp_path / "out", home / "cache")


def test_the_papers_scale_is_planned_and_takes_a_step(home: Path, tmp_path: Path) -> None:
    """The same grid, the paper's encoder and batch in the plan; one step of its first cell, narrow, on small images."""
    from twofold.data import load_images
    from twofold.distributed import World
    from twofold.hardware.device import resolve_hardware
    from twofold.studies.engine.folder import StudyFolder, alone
    from twofold.studies.engine.measures import Task, linear
    from twofold.studies.engine.pretrained import pretrained
    from twofold.studies.engine.results import Results

    planned = study("head", data=home / "data", scale="paper", out=tmp_path / "plan", plan=True, cache=home / "cache")
    assert planned["cells_planned"] == (2 * len(PAPER.z_dims) + 1) * 3
    settings = {"size_px": 32, "batch_size": 4, "epochs": 4 / 30, "width": 0.25, "precision": "fp32", "device": "cpu"}
    small = PAPER.with_settings(**settings)
    cell = STUDIES["head"].cells(small, 3, Results())[0]
    recipe = small.base.with_settings(**cell.settings, seed=cell.seed)
    assert recipe.encoder.encoder == "resnet50"
    images = load_images(home / "data", recipe=recipe.data, store_px=recipe.stored_px, cache=home / "cache")
    folder = StudyFolder(tmp_path / "out")
    folder.create()
    trained, waited_s = pretrained(recipe, images, folder, World())
    assert waited_s < 1.0
    rows = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    assert max(row["step"] for row in rows) == 1
    task = Task(
        cell=cell,
        recipe=recipe,
        images=images,
        hardware=resolve_hardware(recipe.hardware),
        run=trained,
        labels=None,
        baseline=lambda task: 0.0,
    )
    assert 0 <= linear(task).values["top1"] <= 1

    holding, released = threading.Event(), threading.Event()

    def hold() -> None:  # another process that trains the same encoder
        with alone(folder.runs / f".{trained.name}.lock"):
            holding.set()
            released.wait(0.5)

    other = threading.Thread(target=hold)
    other.start()
    holding.wait()
    assert pretrained(recipe, images, folder, World())[1] >= 0.4
    other.join()


@pytest.mark.parametrize("wrong", [{"seeds": 0}, {"minutes": float("inf")}, {"minutes": float("nan")}])
def test_a_study_refuses_numbers_that_cannot_work(wrong: dict[str, Any], tmp_path: Path) -> None:
    (name,) = wrong
    with pytest.raises(TwofoldError, match=rf"^{name} is .* (at least 1|finite).*--{name}"):
        study("loss", data=tmp_path, **wrong)
    if name == "seeds":
        with pytest.raises(TwofoldError, match=r"^seeds is 0, but it must be at least 1"):
            list_studies("laptop", 0)
