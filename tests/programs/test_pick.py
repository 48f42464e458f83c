"""twofold pick and twofold search as a person meets them."""

import csv
from pathlib import Path

import pytest

import twofold
from pictures import write_pictures
from small_recipe import SMALL
from twofold.errors import TwofoldError


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """data/ with splits, run/ and cache/."""
    home = tmp_path_factory.mktemp("pick")
    data = write_pictures(home / "data", per_class=10, splits=("train", "test"))
    twofold.pretrain(data, out=home / "run", recipe=SMALL, cache=home / "cache", verbose=False)
    return home


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def test_picking_labelling_and_picking_again(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = {"count": 9, "cache": home / "cache", "device": "cpu"}
    first = twofold.pick(home / "run", home / "data", out=tmp_path / "first", **asked)
    said = capsys.readouterr().out.replace("\n", "")
    assert f"Then: twofold predict {home / 'run'} {home / 'data'}" in said, "what to do next"
    picked = [row["path"] for row in rows(tmp_path / "first" / "pick.csv")]
    assert picked == [first.paths[row] for row in first.rows]
    page = (tmp_path / "first" / "label.html").read_text(encoding="utf-8")
    assert all(path in page for path in picked)
    labels = tmp_path / "labels.csv"
    labels.write_text("path,label\n" + "".join(f"{path},{path.split('/')[1]}\n" for path in picked))
    again = {"labels": labels, "method": "uncertain", **asked}
    twofold.pick(home / "run", home / "data", out=tmp_path / "second", **again)
    more = rows(tmp_path / "second" / "pick.csv")
    assert not {row["path"] for row in more} & set(picked)
    assert {row["suggestion"] for row in more} <= {"bars", "checks", "discs"}


def test_simulating_says_what_picks_are_worth(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    worths = twofold.pick(home / "run", home / "data", simulate=True, cache=home / "cache", device="cpu")
    assert [worth.per_class for worth in worths] == [1, 2, 5, 10]
    assert worths[0].sentence() in capsys.readouterr().out.replace("\n", " ")
    assert (home / "run" / "pick" / "worth.json").exists()


def test_an_image_finds_itself_first(home: Path, tmp_path: Path) -> None:
    query = home / "data" / "train" / "discs"
    asked = {"query": query, "top": 4, "cache": home / "cache", "device": "cpu", "verbose": False}
    hits = twofold.search(home / "run", home / "data", out=tmp_path / "out", **asked)
    assert hits.rows.shape == (10, 4)
    assert [hits.of(number)[0][0] for number in range(10)] == [f"train/discs/{number:03d}.png" for number in range(10)]
    assert hits.of(0)[0][1] == pytest.approx(1, abs=1e-4)
    table = rows(tmp_path / "out" / "search.csv")
    assert [row["rank"] for row in table[:4]] == ["1", "2", "3", "4"]
    assert "train/discs/000.png" in (tmp_path / "out" / "search.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["none.png", "empty"])
def test_a_query_that_holds_no_image_is_refused(home: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(TwofoldError, match=r"--query .*(is not there|holds no image)"):
        twofold.search(home / "run", home / "data", query=tmp_path / name, cache=home / "cache")
