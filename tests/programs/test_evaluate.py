"""The two programs that measure, as a person calls them: what they write, what they say, what they refuse."""

import json
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pictures import write_pictures
from small_recipe import SMALL
from twofold.cli import main as cli
from twofold.curation.classifier import load_classifier
from twofold.data import load_images
from twofold.errors import TwofoldError
from twofold.evaluation import KeptPredictions, embed_images
from twofold.programs.compare import compare
from twofold.programs.embed import embed
from twofold.programs.embedded import encoder_digest
from twofold.programs.evaluate import evaluate
from twofold.programs.measurement import seen_in_pretraining
from twofold.programs.predict import predict
from twofold.programs.pretrain import pretrain
from twofold.programs.transfer import transfer
from twofold.recipes.recipe import DataRecipe
from twofold.runs.encoder_file import build_untrained, load, save_encoder

RECIPE = SMALL.with_settings(z_dim=16)
KNN: dict[str, Any] = {"protocol": ["knn"], "shots": [1], "seeds": 1, "few_seeds": 1}


@dataclass(frozen=True)
class Home:
    """data/ (two splits), more/ (train, validation), cache/, and two runs on data/: in colour, and with one channel."""

    folder: Path
    data: Path
    more: Path
    cache: Path
    run: Path
    grey: Path

    def copy(self, name: str, run: Path | None = None) -> Path:
        return Path(shutil.copytree(run or self.run, self.folder / name))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    folder = tmp_path_factory.mktemp("measured")
    data = write_pictures(folder / "data", per_class=8, splits=("train", "test"))
    more = write_pictures(folder / "more", per_class=10, splits=("train", "validation"))
    cache, run, grey = (folder / name for name in ("cache", "run", "grey"))
    pretrain(data, out=run, recipe=RECIPE, cache=cache)
    pretrain(data, out=grey, recipe=RECIPE.with_settings(channels=1), cache=cache)
    return Home(folder, data, more, cache, run, grey)


Command = Callable[[str], tuple[object, str]]


@pytest.fixture
def command(home: Home, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Exit code (None: success) and stdout of a command, as `main` would leave them; {run} and the like are filled."""

    def call(text: str) -> tuple[object, str]:
        words = [word.format(**vars(home)) for word in text.split()]
        monkeypatch.setattr(sys, "argv", ["twofold", *words, "--cache", str(home.cache)])
        code: object = None
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code
        return code, capsys.readouterr().out

    return call


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def sections(run: Path) -> set[str]:
    return set(re.findall(r'<section id="([\w-]+)"', (run / "report.html").read_text()))


def require_rows(rows: list[dict[str, Any]], extra: tuple[str, ...] = ()) -> None:
    names = [*extra, "protocol", "encoder", "labels", "metric", "mean", "low", "high", "seeds", "over", "best"]
    for row in rows:
        assert list(row) == names
        least = -1 if row["metric"] == "overconfidence" else 0
        assert least <= row["mean"] <= 1
        drawn_once = row["seeds"] == 1 and row["over"] == "images and draws"
        assert (row["low"] is None) == (row["high"] is None) == drawn_once
        if row["low"] is not None:
            assert least <= row["low"] <= row["mean"] <= row["high"] <= 1


def test_label_efficiency_in_one_command(home: Home, command: Command) -> None:
    run = home.copy("all-flags")
    code, said = command(
        f"evaluate {run} --data {{data}} --protocol knn linear finetune --label-fraction 0.5 1 --shots 1 2 --seeds 2 "
        "--few-seeds 2 --finetune-from head-1 --finetune-epochs 1"
    )
    assert code is None
    assert re.search(r"\d+ measurements: about", said)
    assert "[1 of " in said

    rows = read(run / "evaluation.json")
    require_rows(rows)
    ways = {(row["protocol"], row["encoder"]) for row in rows}
    probes = {(name, encoder) for name in ("knn", "linear") for encoder in ("trained", "untrained", "pixels")}
    assert ways == probes | {("finetune", "trained"), ("supervised", "untrained")}, "from scratch is always beside"
    for way in ways:
        budgets = [
            row["labels"] for row in rows if (row["protocol"], row["encoder"]) == way and row["metric"] == "top1"
        ]
        assert budgets == ["all", 1, 2, 0.5], way
    assert {row["metric"] for row in rows} == {"top1", "mean_per_class", "overconfidence"}

    details = read(run / "evaluation_details.json")
    assert details["labels_per_class"] == {"all": 8.0, "1": 1.0, "2": 2.0, "0.5": 4.0}
    assert details["protocols"] == ["knn", "linear", "finetune", "supervised"]
    assert (details["test_also_in_train"], details["conflicting_labels"]) == (0, 0)
    assert [one["class"] for one in details["per_class"]] == details["classes"] == ["bars", "checks", "discs"]
    assert all(one["low"] <= one["share"] <= one["high"] and one["count"] == 8 for one in details["per_class"])
    assert np.array(details["confusion"]).sum() == 24
    assert details["main"] == {"protocol": "linear", "encoder": "trained", "labels": "all"}
    pairs = {(one["protocol"], one["against_protocol"], one["against_encoder"]) for one in details["differences"]}
    assert {("finetune", "supervised", "untrained"), ("linear", "linear", "pixels")} <= pairs
    assert {one["labels"] for one in details["differences"]} == {"all", 1, 2, 0.5}
    assert "1 epochs" in " ".join(details["stated"])
    assert details["chosen_training"]["finetune"]["1"]["taken"] == 0, "nothing to hold out: the linear probe"
    assert "fine-tuning with 1 label per class: no step, the linear probe as it is" in details["stated"]

    with np.load(run / "evaluation_pictures.npz", allow_pickle=False) as file:
        assert file["mistake_thumbs"].shape[1:] == (24, 24, 3)
    assert {"measurements", "few-labels", "confusion", "classes", "look-alikes"} <= sections(run)

    (kept,) = (run / "evaluations").iterdir()
    assert read(kept / "evaluation.json") == rows
    scores = KeptPredictions(kept / "predictions.parquet").scores
    for row in rows:
        if row["metric"] == "top1" and row["encoder"] == "trained":
            way = (row["protocol"], row["encoder"], row["labels"])
            means = [one.hits["top1"].mean() for one in scores if one.way == way]
            assert np.mean(means) == pytest.approx(row["mean"]), way
    same = compare(run, home.copy("again", run))  # a copy: the same predictions
    assert {one.mean for one in same} == {0.0}
    assert all(one.low is None or one.low < 0 < one.high for one in same if one.high is not None)


def test_the_main_classifier_is_kept_and_says_what_was_measured(
    home: Home, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, options = home.copy("classified"), {"protocol": ["linear"], "shots": [1], "seeds": 1, "few_seeds": 1}
    evaluation = evaluate(run, data=home.data, cache=home.cache, **options)
    (file,) = run.glob("evaluations/*/classifier.safetensors")
    loaded, main = load(run), evaluation.answers.predictions
    model = load_classifier(file, encoder=encoder_digest(loaded))
    images = load_images(home.data, recipe=loaded.recipe.data, store_px=loaded.recipe.stored_px, cache=home.cache)
    h = embed_images(
        loaded.encoder, images, evaluation.answers.rows, views=loaded.recipe.views, hardware=loaded.hardware
    )
    said = model.probabilities(h).argmax(1)
    assert (said == main.predicted).mean() >= 23 / 24, "but for one that lies on the border"
    assert model.classes == evaluation.details["classes"]
    answers = predict(run, home.more, classifier=file, cache=home.cache)
    assert answers.classifier.classes == model.classes

    monkeypatch.setattr("twofold.programs.evaluate._LARGEST_CLASSIFIER", 100)
    large = home.copy("classified-large")
    evaluate(large, data=home.data, cache=home.cache, **options)
    assert "no classifier is kept: it would take 0 MiB" in capsys.readouterr().out
    assert not list(large.glob("evaluations/*/classifier.safetensors"))


def figures(run: Path, encoder: str) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    rows = [row for row in read(run / "evaluation.json") if row["encoder"] == encoder]
    return {
        (row["protocol"], row["labels"], row["metric"]): (row["mean"], row["low"], row["high"], row["seeds"])
        for row in rows
    }


def test_the_encoder_as_it_came_and_others_are_measured_on_the_same_draws(home: Home, command: Command) -> None:
    run, own, seeds = home.copy("from-weights"), home.run / "encoder.safetensors", "--shots 1 --seeds 1 --few-seeds 2"
    shutil.copy(own, run / "initial.safetensors")  # as if training had changed nothing
    shutil.copy(own, home.folder / "elsewhere.safetensors")
    code, said = command(f"evaluate {run} --data {{data}} {seeds} --beside {{folder}}/elsewhere.safetensors")
    assert code is None
    assert "the encoder before pretraining under the linear probe" in " ".join(said.split())
    mine = figures(run, "trained")
    assert len(mine) >= 8
    assert figures(run, "initial") == figures(run, "elsewhere") == mine
    page = (run / "report.html").read_text()
    assert "from the encoder before pretraining" in page
    assert "Encoder before pretraining" in page
    pairs = {(one["encoder"], one["against_encoder"]) for one in read(run / "evaluation_details.json")["differences"]}
    assert {("trained", "initial"), ("trained", "elsewhere")} <= pairs


def test_another_encoder_that_came_has_other_figures(home: Home) -> None:
    """Were the trained encoder measured twice, the test above could not tell."""
    run = home.copy("from-others")
    save_encoder(run / "initial.safetensors", build_untrained(RECIPE, 7, load(run).hardware), RECIPE)
    evaluate(run, data=home.data, cache=home.cache, verbose=False, **KNN)
    assert figures(run, "initial").keys() == figures(run, "trained").keys()
    assert figures(run, "initial") != figures(run, "trained")


def test_transfer_in_one_command(home: Home, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twofold.evaluation.scope.FINE_L2_GRID", (1e0, 1e-1, 1e-2))  # of 45, most of the time
    run = home.copy("transferred")
    code, said = command(
        f"transfer {run} --to {{more}} {{data}} --seeds 1 --finetune-epochs 1 --beside {{run}}/encoder.safetensors "
        "--finetune-schedule paper"
    )
    assert code is None
    assert "no labelled test split: the 30 labelled validation images are the test" in said

    rows = read(run / "transfer.json")
    require_rows(rows, extra=("data",))
    own = [("linear", "trained"), ("linear", "untrained"), ("linear", "pixels"), ("finetune", "trained")]
    ways = {*own, ("supervised", "untrained"), ("linear", "encoder"), ("finetune", "encoder")}
    for data in (str(home.more), str(home.data)):
        mine = [row for row in rows if row["data"] == data]
        assert {(row["protocol"], row["encoder"]) for row in mine} == ways
        assert {row["labels"] for row in mine} == {"all"}
    means = {(row["data"], row["protocol"], row["encoder"]): row["mean"] for row in rows if row["metric"] == "top1"}
    for data, protocol in ((str(home.more), "linear"), (str(home.data), "finetune")):
        assert means[data, protocol, "trained"] == means[data, protocol, "encoder"], "it is the same encoder"

    details = read(run / "transfer_details.json")
    assert list(details) == ["targets", "differences", "stated", "seconds", "versions"]
    found = [(one["data"], one["train"], one["test"], one["classes"], one["split"]) for one in details["targets"]]
    assert found == [(str(home.more), 30, 30, 3, "validation"), (str(home.data), 24, 24, 3, "own")]
    assert all(one["test_also_in_train"] == 0 for one in details["targets"])
    assert {one["data"] for one in details["differences"]} == {str(home.more), str(home.data)}
    assert ("linear", "encoder") in {
        (one["against_protocol"], one["against_encoder"]) for one in details["differences"]
    }
    assert all(one["chosen_training"] == {} and "finetune" in one["chosen_base_lr"] for one in details["targets"])
    assert any("with a new classifier" in sentence for sentence in details["stated"])
    assert not any(sentence.startswith("no labelled test split") for sentence in details["stated"]), "not true of both"
    assert "transfer" in sections(run)

    said, page = " ".join(said.split()), (run / "report.html").read_text()
    assert [len(one["caveats"]) for one in details["targets"]] == [1, 0], "the second is what it was pretrained on"
    (caveat,) = details["targets"][0]["caveats"]
    assert caveat.startswith("pretraining read other images or other splits than these")
    assert said.count(f"Caveat: {caveat}") == 1
    assert f"Caveat, more: {caveat}" in page
    chance = f"Of {len(details['differences'])} comparisons at 95 %, about "
    assert said.count(chance) == page.count(chance) == 1, "both data sets are counted together"
    edges = [line for one in details["targets"] for line in one["stated"] if line.startswith("at the edge")]
    assert edges, "of a grid of three, some choice is at an end"
    assert all(f"Chosen {edge}" in said for edge in edges)


def test_a_transfer_stands_beside_those_of_other_calls(home: Home) -> None:
    run = home.copy("transferred-twice")
    options: dict[str, Any] = {"protocol": ["knn"], "cache": home.cache, "verbose": False}
    transfer(run, to=[home.more], seeds=1, **options)
    first = read(run / "transfer.json")
    transfer(run, to=[home.data], seeds=1, **options)
    names = [str(home.data), str(home.more)]
    assert list(dict.fromkeys(row["data"] for row in read(run / "transfer.json"))) == names
    assert [row for row in read(run / "transfer.json") if row["data"] == names[1]] == first
    details = read(run / "transfer_details.json")
    assert [one["data"] for one in details["targets"]] == names
    assert {one["data"] for one in details["differences"]} == set(names)
    assert details["seconds"] == pytest.approx(sum(one["seconds"] for one in details["targets"]), abs=0.01)

    transfer(run, to=[home.more], seeds=2, **options)
    again = read(run / "transfer.json")
    assert {row["data"] for row in again} == set(names), "each data set once"
    assert len([row for row in again if row["data"] == names[1]]) == len(first)
    assert len(list((run / "transfers").iterdir())) == 3, "nothing is overwritten"


def test_a_transfer_of_an_older_version_stays_and_a_damaged_one_is_no_obstacle(home: Home) -> None:
    """It named neither seconds nor sentences of a data set, and kept nothing in a folder."""
    run = home.copy("transferred-long-ago")
    options: dict[str, Any] = {"protocol": ["knn"], "seeds": 1, "cache": home.cache, "verbose": False}
    transfer(run, to=[home.more], **options)
    rows, details = read(run / "transfer.json"), read(run / "transfer_details.json")
    shutil.rmtree(run / "transfers")
    older = [{**row, "data": "birds"} for row in rows]
    targets = [
        {**{name: value for name, value in one.items() if name not in ("stated", "seconds")}, "data": "birds"}
        for one in details["targets"]
    ]
    (run / "transfer.json").write_text(json.dumps(older))
    changed = {"targets": targets, "seconds": 100.0, "differences": [], "stated": ["once"]}
    (run / "transfer_details.json").write_text(json.dumps(details | changed))
    transfer(run, to=[home.more], **options)
    assert read(run / "transfer.json") == [*rows, *older]
    assert read(run / "transfer_details.json")["seconds"] > 100
    kept = [json.loads((folder / "evaluation.json").read_text()) for folder in (run / "transfers").glob("birds-*")]
    assert [{row["mean"] for row in one} for one in kept] == [{row["mean"] for row in rows}]
    (run / "transfer_details.json").write_text("{half")
    transfer(run, to=[home.more], **options)
    assert read(run / "transfer.json") == rows


def test_of_a_transfer_what_was_predicted_is_kept(home: Home) -> None:
    """The figures can be computed from it, and two runs be compared by it."""
    runs = [home.copy("kept-transfer"), home.copy("kept-transfer-too")]
    for run in runs:
        transfer(run, to=[home.more], seeds=1, protocol=["knn"], cache=home.cache, verbose=False)
        (folder,) = (run / "transfers").iterdir()
        kept = KeptPredictions(folder / "predictions.parquet")
        rows = {(row["encoder"], row["metric"]): row["mean"] for row in read(run / "transfer.json")}
        (score,) = [one for one in kept.scores if one.encoder == "trained"]
        assert score.hits["top1"].mean() == pytest.approx(rows["trained", "top1"])
        shutil.rmtree(run / "evaluations", ignore_errors=True)
    differences = compare(*runs)
    assert [(one.protocol, one.labels, one.mean) for one in differences] == [("knn", "all", 0.0)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("evaluate {run} --data {data} --protocol knnn", ["unknown protocol 'knnn'", "did you mean 'knn'"]),
        ("evaluate {run} --data {data} --label-fraction 0", ["label_fraction is 0.0,", "--label-fraction"]),
        ("evaluate {run} --data {data} --label-fraction 0.1 1.5", ["label_fraction is 1.5,", "at most 1"]),
        ("evaluate {run} --data {data} --seeds 0", ["seeds is 0,", "--seeds"]),
        ("evaluate {run} --data {data} --few-seeds 0", ["few_seeds is 0,", "--few-seeds"]),
        ("evaluate {run} --data {data} --shots 0", ["shots is 0,", "--shots"]),
        ("evaluate {run} --data {data} --seeds two", ["--seeds", "two"]),
        ("evaluate {run} --data {data} --finetune-epochs 0", ["finetune_epochs is 0.0", "--finetune-epochs"]),
        ("evaluate {run} --data {data} --finetune-from head-9", ["'head-9'", "h, head-1, z"]),
        ("evaluate {run} --data {folder}/missing", ["missing"]),
        ("evaluate {run}", ["--data"]),
        ("transfer {run}", ["--to"]),
        ("transfer {folder} --to {data}", ["is not a run"]),
        ("transfer {run} --to {data} {data}", ["to is", "each of its own name"]),
        ("transfer {run} --to {data} {folder}/missing", ["missing"]),
        ("transfer {run} --to {data} --protocol layers", ["unknown protocol 'layers'", "knn"]),
        ("transfer {run} --to {data} --protocol linaer", ["did you mean 'linear'"]),
        ("transfer {run} --to {data} --seeds 0", ["seeds is 0,"]),
        ("transfer {run} --to {data} --finetune-epochs -1", ["finetune_epochs is -1.0"]),
        ("transfer {run} --to {data} --beside {data}", ["is not a run"]),
        ("transfer {run} --to {data} --beside {grey}", ["takes 1 channels, but that of the run takes 3"]),
        ("transfer {run} --to {data} --beside {run} {run}", ["beside is", "no other encoder"]),
        ("evaluate {run} --data {data} --beside {grey}", ["takes 1 channels, but that of the run takes 3"]),
        ("transfer {run} --to {data} --beside torchvision:resnet18", ["torchvision:resnet18=FILE"]),
        ("transfer {run} --to {data} --beside torchvision:resnet18={folder}/no.pth", ["no.pth", "cannot be read"]),
        ("transfer {grey} --to {more}", ["are in colour (3 channels)", "channels 1"]),
        ("evaluate {grey} --data {more}", ["are in colour (3 channels)", "channels 1"]),
    ],
)
def test_a_mistake_is_one_clear_line_before_anything_is_measured(
    home: Home, command: Command, text: str, words: list[str]
) -> None:
    code, said = command(text)
    assert isinstance(code, str), "sys.exit with a text prints it on stderr and exits with 1"
    assert "\n" not in code
    for word in words:
        assert word in code
    assert "Measuring on" not in said
    assert not (home.run / "evaluation.json").exists()
    assert not (home.run / "transfer.json").exists()


def test_a_run_is_measured_on_the_colour_pictures_it_was_trained_on_in_grey(home: Home, tmp_path: Path) -> None:
    run = home.copy("grey-measured", home.grey)
    evaluate(run, data=home.data, cache=home.cache, **KNN)
    assert (run / "evaluation.json").is_file()
    embed(run, home.data, out=tmp_path / "h.parquet", cache=home.cache)
    with pytest.raises(TwofoldError, match=r"in colour \(3 channels\)"):
        transfer(run, to=[home.data], protocol=["knn"], seeds=1, cache=home.cache)
    with pytest.raises(TwofoldError, match=r"in colour \(3 channels\)"):
        embed(run, home.more, out=tmp_path / "h.parquet", cache=home.cache)


def test_knn_alone_is_named_wherever_its_figures_are_shown(home: Home) -> None:
    run = home.copy("knn-alone")
    evaluation = evaluate(run, data=home.data, cache=home.cache, **KNN)
    assert {row.protocol for row in evaluation.rows} == {"knn"}
    details = read(run / "evaluation_details.json")
    assert details["main"] == {"protocol": "knn", "encoder": "trained", "labels": "all"}
    assert np.array(details["confusion"]).sum() == 24
    assert not any("linear probe" in sentence for sentence in details["stated"])
    page = (run / "report.html").read_text()
    assert {"measurements", "confusion", "classes"} <= sections(run)
    assert "Accuracy of k-NN with all labels by true class" in page
    assert "linear probe" not in page.split('<section id="measurements"')[1].split('<section id="settings"')[0]


@pytest.mark.parametrize("fractions", [[], [1.0]])
def test_networks_see_all_labels_where_that_is_asked_for(home: Home, fractions: list[float]) -> None:
    run = home.copy(f"networks-{len(fractions)}")
    options: dict[str, Any] = {"shots": [1], "seeds": 1, "few_seeds": 1, "finetune_epochs": 1}
    evaluation = evaluate(
        run, data=home.data, protocol=["finetune"], label_fraction=fractions, cache=home.cache, **options
    )
    found = {(row.protocol, row.labels) for row in evaluation.rows}
    budgets = ["all", 1] if fractions else [1]
    assert found == {(name, labels) for name in ("finetune", "supervised") for labels in budgets}
    shown = "all labels" if fractions else "1 label per class"
    assert f"Accuracy of fine-tuning with {shown} by true class" in (run / "report.html").read_text()


def test_training_from_scratch_alone_is_measured_too(home: Home) -> None:
    run = home.copy("scratch")
    options: dict[str, Any] = {"shots": [1], "seeds": 1, "few_seeds": 1, "finetune_epochs": 1}
    evaluation = evaluate(run, data=home.data, protocol=["supervised"], cache=home.cache, **options)
    assert {(row.protocol, row.encoder) for row in evaluation.rows} == {("supervised", "untrained")}


def test_training_from_scratch_belongs_to_the_run_alone_in_a_transfer(home: Home) -> None:
    run = home.copy("scratch-beside")
    options: dict[str, Any] = {"seeds": 1, "finetune_epochs": 1, "cache": home.cache}
    other = str(home.run / "encoder.safetensors")
    found = transfer(run, to=[home.more], protocol=["knn", "supervised"], beside=[other], **options)
    ways = {(row.protocol, row.encoder) for row in found[str(home.more)].rows}
    knn = {("knn", encoder) for encoder in ("trained", "untrained", "pixels", "encoder")}
    assert ways == knn | {("supervised", "untrained")}


def test_an_encoder_that_is_called_like_a_layer_of_a_head_is_refused(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home.copy("z").parent)
    with pytest.raises(TwofoldError, match=r"beside is 'z', but it must be .* no layer of a head"):
        transfer(home.run, to=[home.data], beside=["z"], cache=home.cache)


def test_test_pictures_that_are_in_train_too_are_counted_and_said(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = Path(shutil.copytree(home.data, tmp_path / "shared"))
    for number in range(3):
        shutil.copy(data / "train" / "bars" / f"{number:03d}.png", data / "test" / "bars" / f"again-{number}.png")
    run = home.copy("shared")
    evaluate(run, data=data, cache=home.cache, **KNN)
    sentence = "test images that train holds too, pixel for pixel: 3 of 27 (11.11%)"
    assert sentence in capsys.readouterr().out
    details = read(run / "evaluation_details.json")
    assert details["test_also_in_train"] == 3
    assert any(said.startswith(sentence) for said in details["stated"])
    assert "3 of the 27 test images are in the training split too" in (run / "report.html").read_text()


def test_a_label_of_one_split_alone_is_named(home: Home, command: Command, tmp_path: Path) -> None:
    data = Path(shutil.copytree(home.data, tmp_path / "one-sided"))
    shutil.copytree(data / "train" / "bars", data / "train" / "stripes")
    run = Path(shutil.copytree(home.run, tmp_path / "run"))
    code, said = command(f"evaluate {run} --data {data} --protocol knn --seeds 1 --shots 1 --few-seeds 1")
    assert code is None
    assert "the class 'stripes' only in train" in " ".join(said.split())


def test_what_pretraining_read_is_not_said_of_images_without_a_label(tmp_path: Path) -> None:
    for has_classes in (True, False):
        data = tmp_path / f"{has_classes}"
        for at, name in enumerate(("bars", "discs")):
            (data / name if has_classes else data).mkdir(parents=True, exist_ok=True)
            for number in range(3):
                place = data / name if has_classes else data
                Image.new("RGB", (8, 8), (40 * number, 90 * at, 0)).save(place / f"{name}{number}.png")
        images = load_images(data, recipe=DataRecipe(), store_px=None, cache=tmp_path / "cache")
        said = ["pretraining read 4 of these images, without their labels"] if has_classes else []
        assert seen_in_pretraining(images, images.fingerprint) == said


def test_a_class_of_one_picture_is_left_out_of_data_without_a_test_split(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_pictures(tmp_path / "lone", per_class=10)
    (data / "lonely").mkdir()
    shutil.copy(home.data / "test" / "bars" / "001.png", data / "lonely")
    run = home.copy("lone")
    evaluate(run, data=data, cache=home.cache, **KNN)
    sentence = "the class 'lonely' has 1 image, too few to both fit and test on: left out"
    said = capsys.readouterr().out
    assert sentence in said
    assert "Accuracy by cross-validation, %" in said
    details = read(run / "evaluation_details.json")
    assert details["classes"] == ["bars", "checks", "discs"]
    assert sentence in details["stated"]
    page = (run / "report.html").read_text()
    assert "in cross-validation on the 30 labelled images" in page
    (caveat,) = details["caveats"]
    assert caveat.startswith("pretraining read other images or other splits than these")
    assert f"Caveat: {caveat}" in " ".join(said.split())
    assert f"Caveat: {caveat}" in page
    (kept,) = (run / "evaluations").iterdir()
    assert list(KeptPredictions(kept / "predictions.parquet").folds) == list(range(KNN["seeds"]))
    same = compare(run, home.copy("lone again", run))
    assert {(one.mean, one.over) for one in same} == {(0.0, "images and draws")}


def test_a_class_of_one_picture_in_train_is_measured_and_said(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = Path(shutil.copytree(home.data, tmp_path / "few"))
    for picture in sorted((data / "train" / "discs").iterdir())[1:]:
        picture.unlink()
    run = home.copy("few")
    options: dict[str, Any] = {"shots": [1, 5], "seeds": 1, "few_seeds": 1, "finetune_epochs": 1}
    evaluation = evaluate(
        run, data=data, protocol=["linear", "finetune"], label_fraction=[1.0], cache=home.cache, **options
    )
    assert {row.labels for row in evaluation.rows} == {"all", 1, 5}
    sentence = "5 labels per class: up to 5 of a class, since 1 of 3 classes have fewer in train ('discs' 1)"
    said = capsys.readouterr().out
    assert sentence in " ".join(said.split())
    assert "up to 5 per class" in (run / "report.html").read_text()
    assert sentence in read(run / "evaluation_details.json")["stated"]
