"""twofold search as a person meets it: exact, and by an index."""

import csv
import sys
from pathlib import Path

import pytest

import twofold
from pictures import write_pictures
from small_recipe import SMALL
from twofold.errors import TwofoldError
from twofold.programs import search as program


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """data/, run/ and cache/."""
    home = tmp_path_factory.mktemp("search")
    data = write_pictures(home / "data", per_class=8)
    twofold.pretrain(data, out=home / "run", recipe=SMALL, cache=home / "cache", verbose=False)
    return home


def test_an_image_is_most_like_itself(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    query = home / "data" / "bars" / "000.png"
    hits = twofold.search(home / "run", home / "data", query=query, top=3, cache=home / "cache")
    assert hits.of(0)[0][0] == "bars/000.png"
    assert hits.of(0)[0][1] == pytest.approx(1, abs=1e-3)
    assert "bars/000.png" in capsys.readouterr().out
    with (home / "run" / "search" / "search.csv").open(newline="") as lines:
        assert [row["rank"] for row in csv.DictReader(lines)] == ["1", "2", "3"]
    assert "bars/000.png" in (home / "run" / "search" / "search.html").read_text(encoding="utf-8")


def test_above_the_limit_an_index_answers_and_says_its_recall(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("usearch.index")
    monkeypatch.setattr(program, "_EXACT_UP_TO", 10)
    asked = {"query": home / "data" / "bars", "top": 3, "cache": home / "cache"}
    near = twofold.search(home / "run", home / "data", out=tmp_path / "near", **asked)
    assert "index of 24 images (24 added): it finds 100.0% of the 3 nearest" in capsys.readouterr().out
    assert (home / "run" / "search-index" / "index.json").exists()
    exact = twofold.search(home / "run", home / "data", out=tmp_path / "exact", exact=True, **asked)
    assert near.rows.tolist() == exact.rows.tolist()


def test_without_usearch_there_is_one_line_and_exact_still_answers(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "_EXACT_UP_TO", 10)
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    asked = {"query": home / "data" / "bars" / "000.png", "cache": home / "cache", "verbose": False}
    with pytest.raises(TwofoldError, match=r"needs usearch.*pip install 'twofold\[search\]'"):
        twofold.search(home / "run", home / "data", **asked)
    assert twofold.search(home / "run", home / "data", out=tmp_path, exact=True, **asked).rows.shape == (1, 20)


def test_a_query_that_is_no_image_is_refused(home: Path, tmp_path: Path) -> None:
    for query, words in ((tmp_path, "holds no image"), (tmp_path / "x.png", "is not there")):
        with pytest.raises(TwofoldError, match=words):
            twofold.search(home / "run", home / "data", query=query, cache=home / "cache", verbose=False)
    with pytest.raises(TwofoldError, match="exact is True, but it must be False where an index is given"):
        twofold.search(home / "run", home / "data", query=tmp_path, index=tmp_path, exact=True)
