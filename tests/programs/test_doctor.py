"""`twofold doctor`: the survey alone, with what pixels show and what decoding costs."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import twofold
from pictures import write_pictures
from twofold.data import load_images
from twofold.data.decode import Rules
from twofold.data.diagnosis import decoding_cost
from twofold.data.sources.source import open_source
from twofold.errors import TwofoldError
from twofold.recipes.recipe import DataRecipe


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images of three sizes, a copy, a blank one, two that are broken and a photograph of a phone."""
    home = write_pictures(tmp_path / "data", per_class=6)
    Image.new("RGB", (40, 30), "red").save(home / "bars" / "blank.png")
    Image.open(home / "bars" / "000.png").save(home / "bars" / "copy.png")
    for name in "ab":
        (home / "discs" / f"broken {name}.png").write_bytes(b"no image")
    (home / "scan.fits").write_bytes(b"x")
    return home


def test_all_is_printed_and_returned(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = twofold.doctor(folder, cache=tmp_path / "cache")
    out = " ".join(capsys.readouterr().out.split())
    assert "labels: 3 classes, bars (8), checks (6), discs (8)" in out
    for code in ("TF010", "TF040", "TF041", "TF044", "TF045"):
        assert out.count(f"[{code}]") == 1, code
        assert code in {finding.code for finding in found.findings}
    assert "bars/copy.png is bars/000.png" in out
    assert "needs about 0.0 MB" in out
    assert "docs/checks.md" in out


def test_what_decoding_needs_is_near_to_what_it_takes(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "data", per_class=20, side=64)
    for number in range(20):
        wide = Image.fromarray(np.random.default_rng(number).integers(0, 256, (64, 160, 3), np.uint8))
        wide.save(folder / "bars" / f"wide{number}.png")
    recipe = DataRecipe()
    told, seconds = decoding_cost(open_source(folder), Rules.of(recipe, 32))
    load_images(folder, recipe=recipe, store_px=32, cache=tmp_path / "cache")
    (store,) = (tmp_path / "cache" / "decoded").glob("*/*.pixels")
    assert told == pytest.approx(store.stat().st_size, rel=0.2)
    assert 0 < seconds < 60


def test_it_trains_nothing_and_writes_only_to_the_cache(folder: Path, tmp_path: Path) -> None:
    before = sorted(path for path in tmp_path.rglob("*"))
    twofold.doctor(folder, cache=tmp_path / "cache", verbose=False)
    after = sorted(path for path in tmp_path.rglob("*") if tmp_path / "cache" not in (path, *path.parents))
    assert after == before


def test_columns_and_groups_can_be_named(folder: Path, tmp_path: Path) -> None:
    (folder / "list.csv").write_text("where,what\nbars/000.png,a\nbars/001.png,b\nbars/002.png,a\nbars/003.png,b\n")
    found = twofold.doctor(
        folder / "list.csv", path_column="where", label_column="what", group_by="bars", cache=tmp_path / "c"
    )
    assert found.survey.classes == {"a": 2, "b": 2}
    assert found.survey.groups == 1


def test_a_folder_without_images_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(TwofoldError, match="holds no readable image"):
        twofold.doctor(tmp_path / "data")
