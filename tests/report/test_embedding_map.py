"""The map shows every image once, and names its labels where their images lie."""

from pathlib import Path

import numpy as np
import pytest

from twofold.report.content import Gallery
from twofold.report.embedding_map import densest_place, embedding_map, map_notes
from twofold.report.read import read_run


def test_every_image_is_one_dot_at_its_place(run: Path) -> None:
    gallery = read_run(run).gallery
    assert gallery is not None
    figure = embedding_map(gallery)
    assert sorted(row for line in figure.series for row in line.images) == list(range(20))
    for line in figure.series:
        for row, x, y in zip(line.images, line.x, line.y, strict=True):
            assert (x, y) == pytest.approx(tuple(gallery.xy[row]), rel=1e-4)
            assert 0 <= figure.x.place(x) <= 1
            assert 0 <= figure.y.place(y) <= 1
    assert (figure.x.high - figure.x.low) / figure.width == pytest.approx(
        (figure.y.high - figure.y.low) / figure.height
    )


def test_classes_beyond_ten_are_called_other() -> None:
    labels = [f"c{row % 25 if row % 2 else row % 6:02d}" for row in range(300)]
    gallery = Gallery(
        thumbs=np.zeros((300, 2, 2, 3), np.uint8),
        paths=labels,
        labels=labels,
        xy=np.random.default_rng(0).normal(size=(300, 2)),
        queries=np.arange(0),
        neighbours=np.zeros((0, 8), dtype=int),
        split="train",
        searched=300,
        images=300,
        split_images=300,
    )
    names = [line.name for line in embedding_map(gallery).series]
    assert len(names) == 11
    assert names[-1] == "other"


def test_the_densest_place_lies_in_a_cluster() -> None:
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(60, 2)) * 0.1, rng.normal(size=(40, 2)) * 0.1 + [10, 0]
    x, y = densest_place(np.concatenate([left, right]))
    assert np.hypot(x, y) < 0.3  # the median of two equal clusters would be between them


def test_names_do_not_cover_each_other() -> None:
    notes = map_notes([("heron", 0.0, 0.0), ("stork", 0.1, 0.1), ("egret", 0.0, 0.05)], 10.0)
    heights = sorted(y for _, y, _ in notes)
    assert np.diff(heights).min() >= 0.4 - 1e-9
