"""Whether a test split leaks: the train image nearest to a test image is the one next to it by name, as in bursts."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable

import numpy as np
from jaxtyping import Float32, Int64

from twofold.data.findings import Finding
from twofold.data.image_set import ImageSet
from twofold.data.sources.names import split_named
from twofold.data.splits import permutation

_ASKED = 500  # test images whose nearest train image is sought
_OFTEN, _TIMES = 0.2, 5  # neighbours by name are nearest in a fifth of all cases and so many times above chance

Rows = Int64[np.ndarray, " n"]


def find_leak(images: ImageSet, embed: Callable[[Rows], Float32[np.ndarray, "n d"]], *, most: int) -> list[Finding]:
    """Whether the train image nearest to many test images (by the cosine) is the one before or after it by name.

    By chance alone it would be 2 in the number of train images of its folder. Folders of splits do not count: a split
    of one's own may have been cut at random too. Of more than `most` train images a stretch is looked at that holds the
    neighbours of all test images that are asked. Images in groups are not looked at.
    """
    if images.test_from is None or images.groups:
        return []
    keys = {int(row): _key(images.paths[row]) for split in ("train", "test") for row in images.labelled_rows(split)}
    train, test = (_by_name(images.labelled_rows(split), keys) for split in ("train", "test"))
    if len(train) > most:
        train = train[:most]
        test = test[[keys[row] < keys[int(train[-1])] for row in test.tolist()]]
    if len(test) == 0 or len(train) == 0:
        return []
    asked = test[permutation(len(test), 0)[:_ASKED]]
    nearest = train[(_unit(embed(asked)) @ _unit(embed(train)).T).argmax(1)]
    order = [keys[row] for row in train.tolist()]
    places = [bisect_left(order, keys[row]) for row in asked.tolist()]
    beside = [train[max(0, place - 1) : place + 1].tolist() for place in places]
    share = float(np.mean([one in near for one, near in zip(nearest.tolist(), beside, strict=True)]))
    held = Counter(folder for folder, _ in order)
    chance = float(np.mean([2 / max(2, held[keys[row][0]]) for row in asked.tolist()]))
    if share < _OFTEN or share < _TIMES * chance:
        return []
    text = f"of {share:.0%} of the test images the nearest train image is the one next to it by name"
    return [Finding("TF031", f"{text} (by chance {chance:.0%})")]


def _key(path: str) -> tuple[str, str]:
    """The folder without those of splits, and the name."""
    *folders, name = path.split("/")
    return "/".join(folder for folder in folders if split_named(folder) is None), name


def _by_name(rows: Rows, keys: dict[int, tuple[str, str]]) -> Rows:
    return np.array(sorted(rows.tolist(), key=lambda row: keys[row]), np.int64)


def _unit(vectors: Float32[np.ndarray, "n d"]) -> Float32[np.ndarray, "n d"]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
