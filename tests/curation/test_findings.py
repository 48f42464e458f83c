"""Each code of `twofold clean` in three sets of images: where it is due, next to it, and where it cannot apply."""

from collections.abc import Callable

import numpy as np
import pytest

from scenes import scene_thumbs
from twofold.curation import Cleaning, Embedded, clean_embedded, clean_pixels

COUNT = 60
Change = Callable[[np.ndarray, np.ndarray, list[str | None], list[str]], None]  # of thumbs, h, labels, splits


def embedded(change: Change | None = None) -> Cleaning:
    """Scenes in two classes that embeddings part, ten of them in test, after a change."""
    thumbs, ids = scene_thumbs(COUNT), np.arange(COUNT) % 2
    h = (np.eye(6)[ids] + 0.05 * np.random.default_rng(0).normal(size=(COUNT, 6))).astype(np.float32)
    labels: list[str | None] = [("x", "y")[i] for i in ids]
    splits = ["train"] * (COUNT - 10) + ["test"] * 10
    if change:
        change(thumbs, h, labels, splits)
    paths = [f"{row * 37 % COUNT:02d}.png" for row in range(COUNT)]
    return clean_embedded(thumbs, Embedded(h=h, paths=paths, labels=labels, splits=splits), cosine=0.99999)


def pixels(count: int = 12) -> Cleaning:
    """The same without embeddings, labels and splits."""
    return clean_pixels(scene_thumbs(count), [f"{n}.png" for n in range(count)], [None] * count, ["train"] * count)


def copy(thumbs: np.ndarray, h: np.ndarray, labels: list[str | None], splits: list[str]) -> None:
    thumbs[3] = thumbs[1]
    h[3] = h[1]


def leak(thumbs: np.ndarray, h: np.ndarray, labels: list[str | None], splits: list[str]) -> None:
    copy(thumbs, h, labels, splits)
    splits[3] = "test"


def cut_off(thumbs: np.ndarray, h: np.ndarray, labels: list[str | None], splits: list[str]) -> None:
    thumbs[3, 20:] = 128


def letterbox(thumbs: np.ndarray, h: np.ndarray, labels: list[str | None], splits: list[str]) -> None:
    thumbs[3, 20:] = 0


def far(thumbs: np.ndarray, h: np.ndarray, labels: list[str | None], splits: list[str]) -> None:
    h[4] = [0, 0, 0, 0, 0, 1]


def blurred(thumbs: np.ndarray, h: np.ndarray, labels: list[str | None], splits: list[str]) -> None:
    h[:] = np.eye(6)[np.arange(COUNT) % 2] + 0.3 * np.random.default_rng(0).normal(size=h.shape)


def mislabelled(thumbs: np.ndarray, h: np.ndarray, labels: list[str | None], splits: list[str]) -> None:
    labels[4] = "y"


def equal(thumbs: np.ndarray, h: np.ndarray, labels: list[str | None], splits: list[str]) -> None:
    h[3] = 2 * h[1]


def noise(thumbs: np.ndarray, h: np.ndarray, labels: list[str | None], splits: list[str]) -> None:
    h[:] = np.random.default_rng(1).normal(size=h.shape)


EMBEDDED: dict[str, tuple[Callable[[], Cleaning], Callable[[], Cleaning], Callable[[], Cleaning]]] = {
    "TF080": (lambda: embedded(copy), embedded, lambda: pixels(2)),
    "TF081": (lambda: embedded(leak), lambda: embedded(copy), pixels),
    "TF082": (lambda: embedded(cut_off), lambda: embedded(letterbox), pixels),
    "TF083": (lambda: embedded(far), lambda: embedded(blurred), pixels),
    "TF084": (lambda: embedded(mislabelled), embedded, pixels),
    "TF085": (lambda: embedded(equal), embedded, pixels),
    "TF086": (lambda: embedded(noise), embedded, pixels),
}


@pytest.mark.parametrize("code", EMBEDDED)
def test_it_is_found_and_neither_next_to_it_nor_where_it_cannot_apply(code: str) -> None:
    assert [code in {flaw.code for flaw in make().flaws} for make in EMBEDDED[code]] == [True, False, False]
