"""twofold predict as a person meets it: labels from a table, a folder or the data; a classifier used again."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import twofold
from pictures import write_pictures
from small_recipe import SMALL
from twofold.errors import TwofoldError
from twofold.evaluation.intervals import share_interval, wilson_interval
from twofold.evaluation.self_trainer import WAYS, SelfTrainer


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """data/, run/, cache/ and labels.csv of 8 images a class."""
    home = tmp_path_factory.mktemp("predict")
    data = write_pictures(home / "data", per_class=12)
    twofold.pretrain(data, out=home / "run", recipe=SMALL, cache=home / "cache", verbose=False)
    labelled = [path for path in sorted(data.rglob("*.png")) if int(path.stem) < 8]
    write_labels(home / "labels.csv", [(str(path.relative_to(data)), path.parent.name) for path in labelled])
    return home


def write_labels(file: Path, rows: list[tuple[str, str]]) -> Path:
    with file.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("path", "label"), *rows])
    return file


def ask(home: Path, out: Path | None, **given: object) -> object:
    asked = {"out": out, "cache": home / "cache", "device": "cpu", "verbose": False}
    return twofold.predict(home / "run", home / "data", **{**asked, **given})


def test_tables_classifier_and_page_are_there(home: Path, tmp_path: Path) -> None:
    answers = ask(home, tmp_path / "out", labels=home / "labels.csv", abstain=0.9)
    with (tmp_path / "out" / "predictions.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["path"] for row in rows] == answers.paths
    assert sum(row["given"] != "" for row in rows) == 24
    assert {row["decision"] for row in rows} <= {"label", "unsure", "unlike anything labelled"}
    assert "label" in {row["decision"] for row in rows}
    for row in rows:
        assert 1 / 3 <= float(row["probability"]) <= 1
        assert float(row["second_probability"]) <= float(row["probability"])
    table = pq.read_table(tmp_path / "out" / "predictions.parquet")
    assert table["label"].to_pylist() == [row["label"] for row in rows]
    page = (tmp_path / "out" / "predictions.html").read_text(encoding="utf-8")
    assert "expected accuracy" in page
    assert "http" not in page.replace("http-equiv", "")


def test_groups_are_neither_divided_nor_counted_as_single_images(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three images of each patient: what is said is about other patients."""
    images = sorted((home / "data").rglob("*.png"))
    with (tmp_path / "table.csv").open("w", newline="", encoding="utf-8") as stream:
        rows = [(str(path), path.parent.name, int(path.stem) % 4, "train") for path in images]
        named = [(path, label, f"{label}-{patient}", split) for path, label, patient, split in rows]
        csv.writer(stream).writerows([("path", "label", "patient", "split"), *named])
    options: dict[str, Any] = {"cache": home / "cache", "device": "cpu", "allow_outside": True}
    answers = twofold.predict(
        home / "run", tmp_path / "table.csv", out=tmp_path / "out", group_column="patient", **options
    )
    model = answers.classifier
    assert model.groups is not None
    assert np.unique(model.groups, return_counts=True)[1].tolist() == [3] * 9, "three patients were cut off as a test"
    assert model.independent == 9
    told = " ".join(capsys.readouterr().out.split())
    assert "come in 9 groups, none of which is both learnt from and judged" in told
    share, low, high, count = answers.expected["all"]
    assert count == 27
    assert (share, low, high) == share_interval(model.right, model.groups) != (share, *wilson_interval(share, count))
    alone = twofold.predict(home / "run", tmp_path / "table.csv", out=tmp_path / "alone", **options)
    assert alone.classifier.groups is None


def test_a_kept_classifier_says_the_same_of_images_without_a_label(home: Path, tmp_path: Path) -> None:
    first = ask(home, tmp_path / "first", labels=home / "labels.csv")
    second = ask(home, tmp_path / "second", classifier=tmp_path / "first" / "classifier.safetensors")
    free = [row for row, given in enumerate(first.given) if given is None]
    np.testing.assert_allclose(second.probabilities[free], first.probabilities[free])
    assert second.given == [None] * 36


def test_labels_come_from_a_folder_or_from_train(home: Path, tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "labelled", per_class=4)
    assert len(ask(home, tmp_path / "a", labels=folder).classifier.ids) == 12
    own = ask(home, tmp_path / "b")
    assert 0 < sum(given is not None for given in own.given) < 36, "not those of test"


def test_another_question_has_another_folder(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for abstain in (0.05, 0.3, 0.05):
        ask(home, None, labels=home / "labels.csv", verbose=True, abstain=abstain)
    names = sorted(path.name for path in (home / "run").glob("predictions*"))
    assert names == ["predictions", "predictions-2"]
    told = capsys.readouterr().out
    assert "expected accuracy" in told
    assert "With 24 labels no image can be called unlike all at --novelty 0.01: 99 are needed" in told


def test_a_file_of_mine_is_left_alone(home: Path, tmp_path: Path) -> None:
    (tmp_path / "predictions.csv").write_text("mine")
    with pytest.raises(TwofoldError, match="nothing of yours is overwritten"):
        ask(home, tmp_path, labels=home / "labels.csv")
    assert (tmp_path / "predictions.csv").read_text() == "mine"


def test_what_is_wrong_is_named(home: Path, tmp_path: Path) -> None:
    strange = write_labels(tmp_path / "strange.csv", [("nowhere.png", "bars")])
    with pytest.raises(TwofoldError, match=r"'nowhere.png', which is not an image of the data"):
        ask(home, tmp_path / "out", labels=strange)
    with pytest.raises(TwofoldError, match="has no label for any image"):
        ask(home, tmp_path / "out", labels=write_labels(tmp_path / "none.csv", []))
    with pytest.raises(TwofoldError, match=r"abstain is 2\.0, but it must be a fraction between 0 and 1"):
        ask(home, tmp_path / "out", abstain=2)
    with pytest.raises(TwofoldError, match="left out where labels are given"):
        ask(home, tmp_path / "out", labels=strange, classifier=strange)
    assert not (tmp_path / "out").exists()


def test_self_training_writes_the_encoder_that_its_classifier_belongs_to(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = SelfTrainer.choose
    monkeypatch.setattr(SelfTrainer, "choose", lambda *parts, **how: replace(real(*parts, **how), how=WAYS[0]))
    asked = {"labels": home / "labels.csv", "self_train": True, "self_train_steps": 4}
    first = ask(home, tmp_path / "first", verbose=True, **asked)
    assert "images of train, none of test" in capsys.readouterr().out
    encoder = tmp_path / "first" / "encoder.safetensors"
    again = twofold.predict(
        encoder,
        home / "data",
        classifier=tmp_path / "first" / "classifier.safetensors",
        out=tmp_path / "second",
        cache=home / "cache",
        device="cpu",
        verbose=False,
    )
    free = [row for row, given in enumerate(first.given) if given is None]
    np.testing.assert_allclose(again.probabilities[free], first.probabilities[free], atol=1e-5)
    with pytest.raises(TwofoldError, match="was fitted on another encoder"):
        ask(home, tmp_path / "third", classifier=tmp_path / "first" / "classifier.safetensors")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "note.txt").write_text("mine")
    monkeypatch.setattr(SelfTrainer, "choose", None)  # refused before any training
    with pytest.raises(TwofoldError, match="nothing of yours is overwritten"):
        ask(home, tmp_path / "mine", **asked)


def test_self_training_that_is_no_better_gives_the_classifier_without_it(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = SelfTrainer.choose
    monkeypatch.setattr(SelfTrainer, "choose", lambda *parts, **how: replace(real(*parts, **how), how=None))
    asked = {"labels": home / "labels.csv", "self_train": True, "self_train_steps": 4}
    trained = ask(home, tmp_path / "a", verbose=True, **asked)
    assert "the classifier without it is taken" in capsys.readouterr().out
    assert not (tmp_path / "a" / "encoder.safetensors").exists()
    usual = ask(home, tmp_path / "b", labels=home / "labels.csv")
    np.testing.assert_array_equal(trained.probabilities, usual.probabilities)


def test_self_training_needs_labels_of_the_images_themselves(home: Path, tmp_path: Path) -> None:
    with pytest.raises(TwofoldError, match="it learns from labels of the images themselves"):
        ask(home, tmp_path / "out", labels=home / "data", self_train=True)
