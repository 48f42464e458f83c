"""Codes of what only images together show, each in three sets: where it is due, next to it, where it cannot apply.

No code of all that there are lacks the three.
"""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curation.test_findings import EMBEDDED
from data.sources.test_archives import png, write_tar, write_zip
from data.test_findings import OF_RECORDS, bursts, plain
from data.test_pixel_findings import FILES
from data_objects import Pairs, pixels
from pictures import picture
from twofold.data import ImageSet, as_given, load_images, open_source
from twofold.data.diagnosis import SMALL_PX, diagnose
from twofold.data.findings import CHECKS
from twofold.programs.images import open_images
from twofold.programs.opening import as_opener
from twofold.recipes.recipe import DataRecipe, Recipe
from twofold.runs.encoder_file import Loaded

Images = dict[str, np.ndarray]


@dataclass(frozen=True)
class Set:
    """Images by path, in a folder, and settings of the data recipe."""

    images: Images
    settings: dict[str, Any] = field(default_factory=dict)


def burst(order: list[int], **settings: str) -> Set:
    """Images of bursts, in an order."""
    kinds = {kind: bursts(kind) for kind in ("bars", "discs")}
    images = {f"{kind}/{n:03d}.png": some[m] for kind, some in kinds.items() for n, m in enumerate(order)}
    return Set(images, settings)


def people(first: str, second: str, **settings: str) -> Set:
    """Two images of a person in train, and two of a person in test."""
    kinds = enumerate(("bars", "discs"))
    homes = {f"{split}/{kind}/{who}-{n}.png": (kind, n + 9 * (split == "test")) for n, kind in kinds
             for split, who in (("train", first), ("test", second))}  # fmt: skip
    return Set({path: picture(kind, seed, 12) for path, (kind, seed) in homes.items()}, settings)


def splits(**more: np.ndarray) -> Set:
    """Train and test of images that all differ, and some `more`, whose names have __ for /."""
    images = {f"{split}/{path}": picture(path.split("/")[0], int(path[-6:-4]) + 50 * (split == "test"), 12)
              for split in ("train", "test") for path in plain(3)}  # fmt: skip
    return Set(images | {f"{path.replace('__', '/')}.png": one for path, one in more.items()})


FIRST = picture("bars", 0, 12)  # train/bars/00.png
DOT = np.full((12, 12, 3), 7, np.uint8)
DOT[5, 5] = 200
SETS: dict[str, tuple[Set, Set, Set]] = {
    "TF001": (Set(plain()), Set(plain(), {"test_fraction": 0.0}), Set({"a.png": FIRST, "b.png": DOT})),
    "TF031": (
        burst(list(range(60))),
        burst(np.random.default_rng(1).permutation(60).tolist()),
        burst(list(range(60)), group_by=r"/(\d\d)"),
    ),
    "TF032": (people("p1", "p1", group_by=r"(p\d)"), people("p1", "p2", group_by=r"(p\d)"), people("p1", "p1")),
    "TF033": (Set(plain(1)), Set(plain(2)), Set({"a.png": FIRST, "b.png": DOT})),
    "TF041": (splits(train__bars__90=FIRST), splits(train__bars__90=255 - FIRST), Set({"a.png": FIRST})),
    "TF042": (
        splits(test__bars__90=FIRST),
        splits(train__bars__90=FIRST),
        Set({"a.png": FIRST, "b.png": FIRST, "c.png": DOT}),
    ),
    "TF043": (
        splits(train__discs__90=FIRST),
        splits(train__bars__90=FIRST),
        Set({"a.png": FIRST, "b.png": FIRST, "c.png": DOT}),
    ),
    "TF044": (
        Set({"a.png": FIRST, "b.png": np.full_like(FIRST, 7)}),
        Set({"a.png": FIRST, "b.png": DOT}),
        Set({"a.png": FIRST, "b.png": np.full((12, 12), 999, np.uint16)}),  # set aside, with its reason
    ),
    "TF045": tuple(
        Set({f"{n}.png": np.full((4, 4, 3), (n % 256, n // 256, 9), np.uint8) for n in range(count)})
        for count in (299, 300, 301)
    ),  # type: ignore[dict-item]
}


def written(one: Set, folder: Path) -> Path:
    for path, values in one.images.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values).save(folder / path)
    return folder


def opened(data: Any, folder: Path, **settings: Any) -> ImageSet:
    recipe = DataRecipe(max_unreadable_fraction=0.9, **settings)
    return load_images(data, recipe=recipe, store_px=SMALL_PX, cache=folder / "cache")


@pytest.mark.parametrize("code", SETS)
def test_it_is_found_and_neither_next_to_it_nor_where_it_cannot_apply(code: str, tmp_path: Path) -> None:
    due = []
    for number, one in enumerate(SETS[code]):
        images = opened(written(one, tmp_path / str(number)), tmp_path, **one.settings)
        due.append(code in {finding.code for finding in [*images.findings, *diagnose(images)]})
    assert due == [True, False, False]


def test_tf050_grey_images_for_an_encoder_of_colour(tmp_path: Path) -> None:
    due = []
    for channels, bands in ((3, 1), (3, 3), (1, 1)):
        home = tmp_path / f"{channels} {bands}"
        written(Set({f"{n}.png": one[:, :, 0] if bands == 1 else one for n, one in enumerate(pixels(4))}), home)
        loaded = object.__new__(Loaded)
        object.__setattr__(loaded, "recipe", Recipe().with_settings(channels=channels, size_px=16))
        images = open_images(loaded, str(home), as_opener({"cache": tmp_path / "cache"}), quiet=True)
        due.append("TF050" in {finding.code for finding in images.findings})
    assert due == [True, False, False]


def test_tf070_labels_of_an_object_that_name_no_class(tmp_path: Path) -> None:
    due = []
    for labels in ([{"boxes": []}] * 4, [0, 1, 0, 1], None):
        images = opened(as_given(Pairs(pixels(4), labels), cache=tmp_path), tmp_path)
        due.append("TF070" in {finding.code for finding in images.findings})
    assert due == [True, False, False]


def test_tf047_and_tf048_archives_with_labels_beside_and_compressed_whole(tmp_path: Path) -> None:
    due = []
    for name, label in (("a.tar.gz", ".cls"), ("b.tar", ".txt"), ("c.zip", ".cls")):
        files = {f"{n}{end}": content for n in range(2) for end, content in ((".png", png(n)), (label, b"7"))}
        write = {"a.tar.gz": partial(write_tar, mode="w:gz"), "b.tar": write_tar, "c.zip": write_zip}[name]
        source = open_source(write(tmp_path / name, files), cache=tmp_path)
        due.append({finding.code for finding in source.findings} & {"TF047", "TF048"})
    assert due == [{"TF047", "TF048"}, set(), set()]


def test_tf049_images_cut_into_tiles(tmp_path: Path) -> None:
    data = written(Set({"a.png": np.tile(picture("bars", 0, 12), (4, 4, 1)), "b.png": FIRST}), tmp_path / "data")
    due = [
        "TF049" in {finding.code for finding in opened(data, tmp_path, tile=tile).findings} for tile in (16, None, 64)
    ]
    assert due == [True, False, False]


def test_no_code_lacks_its_three_kinds() -> None:
    tables: tuple[dict[str, Any], ...] = (OF_RECORDS, FILES, SETS, EMBEDDED)
    held = {code: kinds for table in tables for code, kinds in table.items()}
    elsewhere = {"TF047", "TF048", "TF049", "TF050", "TF051", "TF070", "TF072", "TF074", "TF075"}
    assert {*held, *elsewhere} == set(CHECKS)
    assert {len(kinds) for kinds in held.values()} == {3}
