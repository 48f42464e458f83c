"""twofold distill as a person meets it: a student with its classifier, judged on labels that were left out."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import twofold
from pictures import write_pictures
from small_recipe import SMALL
from twofold.errors import TwofoldError
from twofold.programs import distill as program


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """data/, run/ and cache/."""
    home = tmp_path_factory.mktemp("distill")
    data = write_pictures(home / "data", per_class=12)
    twofold.pretrain(data, out=home / "run", recipe=SMALL, cache=home / "cache", verbose=False)
    return home


def ask(home: Path, out: Path | None, **given: object) -> object:
    asked = {"to": "resnet10", "epochs": 2, "out": out, "cache": home / "cache", "device": "cpu", "verbose": False}
    data = given.pop("data", home / "data")
    return twofold.distill(home / "run", data, **{**asked, **given})


def test_the_student_and_its_classifier_are_taken_by_predict_and_load(home: Path, tmp_path: Path) -> None:
    result = ask(home, tmp_path / "out")
    folder = tmp_path / "out"
    assert result.folder == folder
    loaded = twofold.load(folder / "encoder.safetensors", device="cpu")
    assert loaded.recipe.encoder.encoder == "resnet10"
    answers = twofold.predict(
        folder / "encoder.safetensors",
        home / "data",
        classifier=folder / "classifier.safetensors",
        out=tmp_path / "predictions",
        cache=home / "cache",
        device="cpu",
        verbose=False,
    )
    count = len(result.classifier.ids)
    assert 3 <= count <= 9  # a fifth of the labels of train
    assert answers.expected["all"][0] == pytest.approx(result.student)
    with pytest.raises(TwofoldError, match="was fitted on another encoder"):
        twofold.predict(
            home / "run",
            home / "data",
            classifier=folder / "classifier.safetensors",
            out=tmp_path / "other",
            cache=home / "cache",
            device="cpu",
            verbose=False,
        )


def as_table(home: Path, file: Path, patient: Callable[[Path], str]) -> Path:
    """A table of the images of home/data with the patient of each."""
    rows = [(str(path), path.parent.name, patient(path), "train") for path in sorted((home / "data").rglob("*.png"))]
    with file.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("path", "label", "patient", "split"), *rows])
    return file


def test_neither_teacher_nor_student_sees_a_group_that_judges_them(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six patients a class, two images each, of which the second has no label."""
    taught, judged = list[set[str]](), list[np.ndarray]()
    fit, left_out = program.fit_by_distillation, program._left_out

    def fitted(student: object, teacher: object, images: Any, rows: np.ndarray, **how: object) -> None:
        taught.append({images.groups[row] for row in rows.tolist()})
        assert not taught[-1] & {images.groups[row] for row in judged[0].tolist()}
        fit(student, teacher, images, rows, **how)

    def chosen(given: Any, groups: Any) -> Any:
        kept, cut = left_out(given, groups)
        judged.append(given.rows[cut])
        return kept, cut

    monkeypatch.setattr(program, "fit_by_distillation", fitted)
    monkeypatch.setattr(program, "_left_out", chosen)
    table = as_table(home, tmp_path / "table.csv", lambda path: f"{path.parent.name}-{int(path.stem) % 6}")
    options: dict[str, Any] = {"group_column": "patient", "allow_outside": True}
    labels = tmp_path / "labels.csv"
    with labels.open("w", newline="", encoding="utf-8") as stream:
        known = [path for path in sorted((home / "data").rglob("*.png")) if path.stem < "006"]
        csv.writer(stream).writerows([("path", "label"), *((str(path), path.parent.name) for path in known)])
    result = ask(home, tmp_path / "out", data=table, labels=labels, **options)
    assert len(taught) == 2, "some steps to tell the time, and all"
    assert result.classifier.groups is not None
    assert len(result.classifier.groups) == len(judged[0])
    with monkeypatch.context() as patch:
        patch.setattr(program, "apart_from", lambda images, rows, out: np.setdiff1d(rows, out))
        with pytest.raises(AssertionError):
            ask(home, tmp_path / "leaking", data=table, labels=labels, **options)
    two = as_table(home, tmp_path / "two.csv", lambda path: str(path.stem < "006"))
    with pytest.raises(TwofoldError, match=r"too few groups \(patients, files ...\) of a class"):
        ask(home, tmp_path / "two", data=two, **options)


def test_labels_left_out_and_images_of_test_teach_nothing(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught: list[np.ndarray] = []
    fitted: list[int] = []
    real_fit, real_classifier = program.fit_by_distillation, program.fit_classifier

    def fit(student: object, teacher: object, images: object, rows: np.ndarray, **how: object) -> None:
        taught.append(rows)
        real_fit(student, teacher, images, rows, **how)
        assert not set(rows.tolist()) & set(images.rows("test").tolist())

    def classifier(h: np.ndarray, ids: np.ndarray, classes: list[str], **how: Any) -> object:
        fitted.append(len(ids))
        return real_classifier(h, ids, classes, **how)

    monkeypatch.setattr(program, "fit_by_distillation", fit)
    monkeypatch.setattr(program, "fit_classifier", classifier)
    result = ask(home, tmp_path / "out")
    assert [len(rows) for rows in taught] == [fitted[0]] * 2  # all of train has a label here: those not left out
    assert fitted[0] == 4 * len(result.classifier.ids)


def test_a_larger_student_and_too_few_labels_are_refused(home: Path, tmp_path: Path) -> None:
    with pytest.raises(TwofoldError, match="a student is no larger than its teacher"):
        ask(home, tmp_path / "out", to="resnet50")
    table = tmp_path / "labels.csv"
    table.write_text("path,label\n")
    with pytest.raises(TwofoldError, match="has no label for any image"):
        ask(home, tmp_path / "out", labels=table)
    with pytest.raises(TwofoldError, match=r"temperature is 0\.0, but it must be above 0"):
        ask(home, tmp_path / "out", temperature=0)
    assert not (tmp_path / "out").exists()


def test_a_file_of_mine_is_left_alone_before_any_training(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "note.txt").write_text("mine")
    monkeypatch.setattr(program, "fit_classifier", None)
    with pytest.raises(TwofoldError, match="nothing of yours is overwritten"):
        ask(home, tmp_path)
