"""The cache is told, checked and pruned, and only what can be made anew is removed."""

import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from pictures import write_pictures
from twofold.data import Rules, decode, load_images
from twofold.data.inventory import check, parts_of, prune
from twofold.errors import TwofoldError
from twofold.programs.cache import list_cache
from twofold.recipes.recipe import DataRecipe


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """With the images of two folders, the second opened last 40 days ago."""
    for name, side in (("new", 24), ("old", 20)):
        write_pictures(tmp_path / name, per_class=3, side=side)
        load_images(tmp_path / name, recipe=DataRecipe(), store_px=32, cache=tmp_path / "cache")
    longest_ago = min((tmp_path / "cache" / "openings").iterdir(), key=lambda path: path.stat().st_mtime)
    before = time.time() - 40 * 24 * 3600
    for path in (tmp_path / "cache").rglob("*.npz"):
        if path != longest_ago:
            os.utime(path, (before, before))
    return tmp_path / "cache"


def require_whole(data: Path, cache: Path) -> None:
    images = load_images(data, recipe=DataRecipe(), store_px=32, cache=cache)
    for path, image in zip(images.paths, images.read(np.arange(len(images))).images.numpy(), strict=True):
        assert np.array_equal(image.transpose(1, 2, 0), decode((data / path).read_bytes(), Rules(channels=3)).pixels)


def test_parts_are_told_with_their_images(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parts = {part.name.split("/")[0]: part for part in list_cache(cache)}
    images = parts["decoded"]
    assert images.images == 18
    assert images.bytes > 9 * (24 * 24 + 20 * 20) * 3
    assert images.unused_days == pytest.approx(0, abs=0.1)
    assert "18 images of 3 channels, short side 32 px, last opened 0 days ago" in capsys.readouterr().out
    assert sum(part.bytes for part in parts.values()) == sum(p.stat().st_size for p in cache.rglob("*") if p.is_file())


def test_pruning_removes_what_was_not_opened_lately(cache: Path) -> None:
    before = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file())
    assert 0 < prune(cache, 30.0) < before
    assert parts_of(cache)[0].images == 9
    assert len(list(cache.glob("decoded/*/*.pixels"))) == 1
    for name in ("new", "old"):
        require_whole(cache.parent / name, cache)
    prune(cache, 30.0)
    assert parts_of(cache)[0].images == 18, "both were opened a moment ago"


def test_stores_of_earlier_versions_are_named_and_pruned(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (cache / "stores" / "abc").mkdir(parents=True)
    (cache / "stores" / "abc" / "pixels.bin").write_bytes(bytes(2_000_000))
    (cache / "torchvision").mkdir()
    (cache / "torchvision" / "file").write_bytes(b"the user's")
    list_cache(cache)
    assert "stores: 2.0 MB, of an earlier version, not read any more" in capsys.readouterr().out
    list_cache(cache, prune_unused=True)
    assert "removed: 2.0 MB" in capsys.readouterr().out
    assert not (cache / "stores").exists()
    assert (cache / "torchvision" / "file").read_bytes() == b"the user's"


def test_a_damaged_image_is_seen_and_decoded_again(cache: Path) -> None:
    assert check(cache) == []
    pixels = next(path for path in cache.glob("decoded/*/*.pixels") if path.stat().st_size == 9 * 24 * 24 * 3)
    content = bytearray(pixels.read_bytes())
    content[4000] ^= 1
    pixels.write_bytes(content)
    with pytest.raises(AssertionError):
        require_whole(cache.parent / "new", cache)
    (line,) = check(cache)
    assert "1 of 9 images are damaged" in line
    assert parts_of(cache)[0].images == 17
    require_whole(cache.parent / "new", cache)
    assert check(cache) == []


def test_a_damaged_index_is_seen(cache: Path) -> None:
    for path in cache.glob("decoded/*/*.npz"):
        path.write_bytes(path.read_bytes()[:99])
    assert len(check(cache)) == 2
    require_whole(cache.parent / "new", cache)


def test_a_cache_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert list_cache(tmp_path / "none") == []
    assert list_cache(tmp_path / "none", check_images=True, prune_unused=True) == []
    assert not (tmp_path / "none").exists()


def test_days_below_zero_are_refused(cache: Path) -> None:
    with pytest.raises(TwofoldError, match=r"unused_days is -1.*--unused-days"):
        list_cache(cache, prune_unused=True, unused_days=-1.0)


def test_what_is_in_use_outlives_pruning(cache: Path) -> None:
    images = load_images(cache.parent / "new", recipe=DataRecipe(), store_px=32, cache=cache)
    before = images.read(np.arange(9)).images
    shutil.rmtree(cache / "openings")
    prune(cache, 0.0)
    assert not list(cache.glob("decoded/*/*.pixels"))
    assert (images.read(np.arange(9)).images == before).all(), "mapped before"
