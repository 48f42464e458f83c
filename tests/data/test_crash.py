"""Whatever ends the decoding of images, what was decoded stays: kills, other processes, a power cut."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pictures import write_pictures
from twofold.data import Rules, decode, load_images, pool, segments
from twofold.data.parallel import cores
from twofold.data.segment_index import read_index
from twofold.data.segments import recover, writing
from twofold.errors import TwofoldError
from twofold.recipes.recipe import DataRecipe

DRIVER = Path(__file__).parents[1] / "decode_driver.py"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("crash")


@pytest.fixture(scope="module")
def told(home: Path) -> dict[str, Any]:
    """What the driver did in `home`: one process for all, since it takes long to import."""
    result = subprocess.run(
        [sys.executable, str(DRIVER), str(home), "100"], capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
    return dict(json.loads(result.stdout.splitlines()[-1]))


def require_whole(data: Path, cache: Path) -> None:
    """Every image is there, as an independent decoding has it."""
    images = load_images(data, recipe=DataRecipe(), store_px=None, cache=cache)
    assert images.paths == sorted(path.relative_to(data).as_posix() for path in data.rglob("*.png"))
    for path, image in zip(images.paths, images.read(np.arange(len(images))).images.numpy(), strict=True):
        assert np.array_equal(image.transpose(1, 2, 0), decode((data / path).read_bytes(), Rules(channels=3)).pixels)


def test_a_kill_costs_the_image_in_hand_of_each_thread_and_a_change_one_image(told: dict[str, Any], home: Path) -> None:
    """Of 3,000 images ten kills so cost less than a hundredth with two threads."""
    assert told["codes"] == [-9] * 10 + [0, 0]
    threads = min(cores(), told["images"] // 16)
    assert told["images"] <= told["first"] <= told["images"] + 10 * threads
    assert told["changed"] == told["first"] + 1, "one was added, one removed and one renamed"
    require_whole(home / "data", home / "killed")
    assert not list((home / "killed" / "decoded").glob("*/*.rows"))


def test_two_processes_at_once_decode_each_image_once(told: dict[str, Any], home: Path) -> None:
    assert told["together"] == [0, 0]
    assert told["pair"] == told["images"]
    require_whole(home / "data", home / "pair")


def test_what_is_interrupted_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, decoded = write_pictures(tmp_path / "data", per_class=20), Counter[bytes]()

    def interrupted(content: bytes, rules: Rules) -> object:
        if len(decoded) == 40:
            raise KeyboardInterrupt
        decoded[content] += 1
        return decode(content, rules)

    with monkeypatch.context() as patch:
        patch.setattr(pool, "decode", interrupted)
        with pytest.raises(KeyboardInterrupt):
            require_whole(data, tmp_path / "cache")
    again = Counter[bytes]()
    monkeypatch.setattr(pool, "decode", lambda *given: again.update([given[0]]) or decode(*given))
    require_whole(data, tmp_path / "cache")
    assert sum(again.values()) == 20
    assert not again & decoded


def add(folder: Path, count: int) -> None:
    """Images of one value each, left as a killed process leaves them."""
    writer = segments.SegmentWriter(folder)
    for number in range(count):
        writer.add(f"{number:064x}", "{}", np.full((1, 4, 4), number, np.uint8))
    segment = writer._segment
    assert segment is not None
    segment._stack.close()  # the locks go with the process


def held(folder: Path) -> list[int]:
    index = read_index(folder)
    return sorted(int(content.hex() or "0", 16) for content in (one.ljust(32, b"\0") for one in index.contents))


def test_what_a_killed_process_left_is_sealed_by_the_next(tmp_path: Path) -> None:
    add(tmp_path, 5)
    assert held(tmp_path) == []
    recover(tmp_path)
    assert held(tmp_path) == [0, 1, 2, 3, 4]
    assert {path.suffix for path in tmp_path.iterdir()} == {".npz", ".pixels"}


@pytest.mark.parametrize(
    ("damage", "left"),
    [
        (lambda pixels, _: pixels.write_bytes(pixels.read_bytes()[:50]), [0, 1, 2]),  # a power cut: pixels are lost
        (lambda pixels, _: pixels.write_bytes(b"\0" * 80), [0]),  # only their length was written: 0 is all zeros
        (lambda _, rows: rows.write_bytes(rows.read_bytes()[:-9]), [0, 1, 2, 3]),  # a line is cut
        (lambda _, rows: rows.write_bytes(b""), []),
    ],
)
def test_pixels_that_a_power_cut_lost_are_not_taken(
    tmp_path: Path, damage: Callable[[Path, Path], int], left: list[int]
) -> None:
    add(tmp_path, 5)
    ((pixels,), (rows,)) = (list(tmp_path.glob(f"*{end}")) for end in (".pixels", ".rows"))
    damage(pixels, rows)
    recover(tmp_path)
    assert held(tmp_path) == left


def test_a_segment_that_is_being_written_is_left_alone(tmp_path: Path) -> None:
    with writing(tmp_path) as writer:
        writer.add("ab" * 32, "{}", np.zeros((1, 2, 2), np.uint8))
        recover(tmp_path)
        assert {path.suffix for path in tmp_path.iterdir()} == {".lock", ".pixels", ".rows"}
    assert len(read_index(tmp_path)) == 1


def test_segments_end_where_they_are_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "_MOST_IMAGES", 7)
    data = write_pictures(tmp_path / "data", per_class=9)
    require_whole(data, tmp_path / "cache")
    assert len(list((tmp_path / "cache" / "decoded").glob("*/*.npz"))) == 4


def test_too_little_space_is_told_before_the_first_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, cache = write_pictures(tmp_path / "data", per_class=4), tmp_path / "cache"
    usage = type("Usage", (), {"free": 12 * 24 * 24 * 3 - 1})
    monkeypatch.setattr("twofold.data.space.shutil.disk_usage", lambda _: usage)
    with monkeypatch.context() as patch:
        patch.setattr(pool, "decode", lambda *_: pytest.fail("decoded"))
        with pytest.raises(TwofoldError, match=r"about 0.0 GB, but .* free.*--cache"):
            require_whole(data, cache)
    usage.free += 1  # type: ignore[attr-defined]
    require_whole(data, cache)
    usage.free = 0  # type: ignore[attr-defined]
    (data / "bars" / "000.png").touch()
    require_whole(data, cache)  # they are there already


def test_the_journal_holds_what_the_index_holds(tmp_path: Path) -> None:
    add(tmp_path, 3)
    (rows,) = tmp_path.glob("*.rows")
    told = [json.loads(line) for line in rows.read_text().splitlines()]
    recover(tmp_path)
    index = read_index(tmp_path)
    assert [line[1:3] for line in told] == [[0, 16], [16, 16], [32, 16]]
    assert index.starts.tolist() == [0, 16, 32]
    assert index.checks.tolist() == [line[5] for line in told]
