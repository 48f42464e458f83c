"""What is said about data: in words, before anything is decoded, and again where decoding found more."""

import json
from pathlib import Path

import pytest
from PIL import Image

from data.corpus_folders import CASES, Case
from pictures import write_pictures
from twofold.data import image_set, load_images, look_at, open_source
from twofold.data.findings import CHECKS, SEVERITIES
from twofold.data.image_set import columns_of
from twofold.data.survey import Survey, survey_of
from twofold.errors import TwofoldError
from twofold.recipes.recipe import DataRecipe


def survey(folder: Path, **settings: float) -> Survey:
    source = open_source(folder)
    return survey_of(source, DataRecipe(**settings), facts=look_at(source))[0]


def test_plain_folders_in_words(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "data", per_class=10)
    assert survey(folder).lines() == [
        f"{folder}: 30 images (30 x .png), PNG, 24 px, 8 bits, colour",
        "  labels: 3 classes, bars (10), checks (10), discs (10)",
        "  splits: train 24, test 6 (test was cut off train)",
        "  no test split: 20 % (6 images) cut off as test by seed 0; evaluation cross-validates (under "
        "1,000 labelled images) [TF001]",
    ]


def test_unlabelled_images_in_words(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "data", per_class=2) / "bars"
    Image.new("L", (4, 8)).save(folder / "x.bmp")
    assert survey(folder).lines() == [
        f"{folder}: 3 images (2 x .png, 1 x .bmp), PNG, BMP, 4 to 24 px, 8 bits, colour",
        "  labels: none",
        "  splits: train 3 (no test split)",
    ]


def test_endings_are_those_of_the_files_however_they_are_written(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    for name in ("a.JPG", "b.jpg", "c.x/plain", "d.Tif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("L", (4, 4)).save(tmp_path / name, "PNG")
    table.write_text("path\na.JPG\nb.jpg\nd.Tif\n")
    assert survey(table).kinds == {".jpg": 2, ".tif": 1}
    table.write_text("path\na.JPG\nb.jpg\nc.x/plain\nd.Tif\n")
    assert survey(table).kinds == {".jpg": 2, "": 1, ".tif": 1}


def test_a_dozen_classes_are_named_and_the_others_counted(tmp_path: Path) -> None:
    for number in range(15):
        (tmp_path / f"class {number:02d}").mkdir()
        for name in "ab":
            Image.new("L", (4, 4)).save(tmp_path / f"class {number:02d}" / f"{name}.png")
    Image.new("L", (4, 4)).save(tmp_path / "loose.png")
    text = survey(tmp_path).lines()[1]
    assert text.startswith("  labels: 15 classes, class 00 (2), class 01 (2), ")
    assert text.endswith("class 11 (2) and 3 more; 1 of 31 images have none")


def test_all_kinds_that_are_left_out_are_named_images_first(tmp_path: Path) -> None:
    write_pictures(tmp_path / "data", per_class=2)
    for name in ("a.txt", "b.txt", "c.md", "d.json", "e.xcf", "f.fits", "g.nd2", "h.fits"):
        (tmp_path / "data" / name).write_bytes(b"x")
    lines = survey(tmp_path / "data").lines()
    (images,) = [line for line in lines if "TF010" in line]
    (others,) = [line for line in lines if "TF011" in line]
    assert images.startswith("  warning: images that cannot be read here: 2 x .fits (FITS image), 1 x .nd2")
    assert ".xcf" in images
    assert "2 x .txt, 1 x .json, 1 x .md" in others


def test_warnings_come_last_and_say_what_to_do(tmp_path: Path) -> None:
    for label in ("cat", "Cat", "dog"):
        (tmp_path / label).mkdir()
        for name in "ab":
            Image.new("L", (4, 4)).save(tmp_path / label / f"{name}.png")
    last = survey(tmp_path).lines()[-1]
    assert last.startswith("  warning: classes that differ by case or blanks alone: 'Cat' and 'cat'. Rename one")
    assert last.endswith("[TF008]")


def test_it_is_printed_before_anything_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise TwofoldError("stopped before decoding")

    monkeypatch.setattr(image_set, "open_store", stop)
    folder = write_pictures(tmp_path / "data", per_class=2)
    with pytest.raises(TwofoldError, match="stopped before decoding"):
        load_images(folder, recipe=DataRecipe(), store_px=None, cache=tmp_path / "cache", show_progress=True)
    assert "labels: 3 classes, bars (2), checks (2), discs (2)" in capsys.readouterr().out


def test_what_decoding_shows_is_said_afterwards_and_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_pictures(tmp_path / "data", per_class=20)
    (folder / "bars" / "broken.png").write_bytes(b"no image")
    images = load_images(folder, recipe=DataRecipe(), store_px=None, cache=tmp_path / "cache", show_progress=True)
    out = capsys.readouterr().out
    assert out.count("broken.png") == out.count("TF040") == 1
    assert images.survey
    assert (images.survey.images, images.survey.unreadable) == (60, 1)
    assert images.survey.findings == tuple(images.findings)


def test_a_decision_that_unreadable_files_change_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_pictures(tmp_path / "data", per_class=20)
    for number in range(20):
        (folder / "bars" / f"broken {number}.png").write_bytes(b"no image")
    recipe = DataRecipe(max_unreadable_fraction=0.5)
    load_images(folder, recipe=recipe, store_px=None, cache=tmp_path / "cache", show_progress=True)
    first, second = (line for line in capsys.readouterr().out.splitlines() if "[TF001]" in line)
    assert "(16 images)" in first
    assert "without the unreadable files: " in second
    assert "(12 images)" in second


def test_nothing_is_said_where_nothing_is_to_be_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    load_images(
        write_pictures(tmp_path / "data", per_class=2), recipe=DataRecipe(), store_px=None, cache=tmp_path / "c"
    )
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("case", [case for case in CASES if not case.error and case.truth], ids=lambda case: case.name)
def test_the_counts_of_the_corpus_are_right(case: Case, tmp_path: Path) -> None:
    recipe = DataRecipe(test_fraction=0.0, **case.settings)
    source = open_source(case.make(tmp_path), columns=columns_of(recipe))
    found = survey_of(source, recipe, facts=look_at(source))[0]
    labels = [label for label, _, _ in case.truth.values()]
    missing = len(source.records) - len(case.truth)  # lines whose file is missing are known after decoding
    assert found.images == len(labels) + missing
    if not missing:
        assert found.classes == {label: labels.count(label) for label in sorted(set(labels) - {None}, key=str)}
        assert found.unlabelled == labels.count(None)
    assert sum(found.splits.values()) == found.images
    assert all(line == line.strip("\n") and line for line in found.lines())
    kept = json.loads(json.dumps(found.to_dict()))
    assert kept["lines"] == found.lines()
    assert {one["code"] for one in kept["findings"]} <= set(CHECKS)


def test_every_check_is_whole() -> None:
    for code, check in CHECKS.items():
        assert code.startswith("TF0")
        assert check.severity in SEVERITIES
        assert all(text.endswith(".") for text in (check.meaning, check.fix)), code
        assert not check.title.endswith(".")
