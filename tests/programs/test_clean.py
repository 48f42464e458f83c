"""twofold clean as a person meets it: from pixels alone, and with a run."""

import csv
import html
import shutil
from pathlib import Path

import pytest
from PIL import Image

import twofold
from pictures import write_pictures
from scenes import scene
from small_recipe import SMALL
from twofold.cli.arguments import run_and_data
from twofold.errors import TwofoldError


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """data/ with splits: scenes, a mirrored copy across the splits, and a blank image; cache/."""
    home = tmp_path_factory.mktemp("clean")
    for number in range(24):
        folder = home / "data" / ("train" if number % 2 else "test") / ("x" if number % 3 else "y")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(scene(number)).save(folder / f"{number}.png")
    Image.fromarray(scene(1)[:, ::-1]).save(home / "data" / "test" / "x" / "copy.png")
    Image.new("RGB", (40, 40), "white").save(home / "data" / "train" / "y" / "blank.png")
    return home


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def test_pixels_alone_find_the_copy_the_leak_and_the_blank_image(home: Path, tmp_path: Path) -> None:
    before = sorted(path.read_bytes() for path in (home / "data").rglob("*.png"))
    found = twofold.clean(None, home / "data", out=tmp_path / "out", cache=home / "cache", verbose=False)
    assert found.counts() == {"copy": 1, "leak": 1, "blank": 1}
    told = {(row["kind"], row["code"], row["path"]) for row in rows(tmp_path / "out" / "findings.csv")}
    assert told == {
        ("copy", "TF080", "train/x/1.png"),
        ("leak", "TF081", "test/x/copy.png"),
        ("blank", "TF044", "train/y/blank.png"),
    }
    dropped = {row["path"]: row["reason"] for row in rows(tmp_path / "out" / "keep.csv") if row["keep"] == "no"}
    assert dropped == {"train/x/1.png": "copy", "train/y/blank.png": "blank"}
    assert before == sorted(path.read_bytes() for path in (home / "data").rglob("*.png"))


def test_the_page_needs_no_other_file_and_shows_the_copy(home: Path, tmp_path: Path) -> None:
    twofold.clean(None, home / "data", out=tmp_path / "out", cache=home / "cache", verbose=False)
    page = (tmp_path / "out" / "clean.html").read_text(encoding="utf-8")
    assert "train/x/1.png" in page
    assert "<li>1 test image with a copy in train</li>" in page
    assert 'data-likeness="1.0000"' in page
    assert "http" not in page.replace("http-equiv", "")


def test_another_threshold_has_a_folder_of_its_own(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for threshold in (0.95, 0.95, 0.97):
        twofold.clean(None, home / "data", threshold=threshold, cache=home / "cache", verbose=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clean", "clean-2"]


def test_a_run_adds_what_embeddings_show(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_pictures(tmp_path / "data", per_class=8, splits=("train", "test"))
    shutil.copy(data / "train" / "discs" / "000.png", data / "test" / "discs" / "copy.png")
    run = twofold.pretrain(data, out=tmp_path / "run", recipe=SMALL, cache=home / "cache", verbose=False)
    found = twofold.clean(run, data, cache=home / "cache", device="cpu")
    assert found.suspects is not None
    assert found.leak_effect is not None
    assert found.leak_effect.sentence() in capsys.readouterr().out
    assert (tmp_path / "run" / "clean" / "clean.html").exists()
    report = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert 'href="clean/clean.html"' in report
    assert found.suspects.sentence() in html.unescape(report)


@pytest.mark.parametrize(("name", "value"), [("threshold", 0.4), ("cosine", 1.1)])
def test_a_threshold_out_of_range_is_refused(home: Path, name: str, value: float) -> None:
    with pytest.raises(TwofoldError, match=rf"{name} is {value}, but it must be in \[0\.5, 1\]"):
        twofold.clean(None, home / "data", cache=home / "cache", **{name: value})


def test_embeddings_are_not_left_out_silently_where_pixels_alone_are_compared(home: Path) -> None:
    with pytest.raises(TwofoldError, match=r"embeddings is 'h\.parquet', but without a run"):
        twofold.clean(None, home / "data", embeddings="h.parquet", cache=home / "cache")


def test_the_command_takes_a_run_or_pixels() -> None:
    assert run_and_data(("run", "data"), False) == ("run", "data")
    assert run_and_data(("data",), True) == (None, "data")
    for given, pixels in (((), False), (("data",), False), (("a", "b", "c"), False), (("run", "data"), True)):
        with pytest.raises(TwofoldError, match="clean takes"):
            run_and_data(given, pixels)
