"""What only the pixels show about a set of images: copies, blank images, cuts that leak; and what decoding will need.

All of it is seen on small copies of the images, so that looking costs little.
"""

import time
from bisect import bisect_left
from collections import Counter

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch.nn import functional as F  # noqa: N812

from twofold.data.decode import Rules, decode
from twofold.data.duplicates import pixel_digests
from twofold.data.findings import Finding
from twofold.data.image_set import ImageSet
from twofold.data.parallel import in_order
from twofold.data.record import Source
from twofold.data.splits import permutation

SMALL_PX = 32  # short side of the copies
_FEW = 300  # images below which an encoder learns little
_TIMED = 96  # images that are decoded to tell how long all will take
_ASKED, _AMONG = 500, 20_000  # test images whose nearest is sought, and train images, next to each other by name
_OFTEN, _TIMES = 0.2, 5  # neighbours by name are nearest in a fifth of all cases and so many times above chance
_SIDE = 8  # of what is compared


def diagnose(images: ImageSet) -> list[Finding]:
    """Findings on copies of at most 32 px: few images, blank ones, copies, and test images near to their neighbours."""
    findings = []
    if len(images) < _FEW:
        findings.append(Finding("TF045", f"{len(images):,} images"))
    blank = images.survey.pixels.notes.get("constant", 0) if images.survey and images.survey.pixels else 0
    if blank:
        findings.append(Finding("TF044", f"{blank:,} of {len(images):,} images are blank"))
    return [*findings, *_copies(images), *_leak(images)]


def decoding_cost(source: Source, rules: Rules) -> tuple[int, float]:
    """(bytes on disk, seconds) that all images of a source need, told from some, which are decoded for it."""
    chosen = np.sort(permutation(len(source.records), 0)[:_TIMED])

    def size(place: int) -> int | None:
        try:
            return decode(source.read(int(chosen[place])), rules.alone()).pixels.nbytes
        except (OSError, ValueError):  # unreadable: an error of ours is a ValueError
            return None

    start = time.perf_counter()
    sizes = [one for one in in_order(size, len(chosen), text="", show=False) if one is not None]
    seconds = time.perf_counter() - start
    scale = len(source.records) / max(1, len(chosen))
    return round(scale * sum(sizes)), scale * seconds


def _copies(images: ImageSet) -> list[Finding]:
    """Images with the same pixels at 32 px: in all, in train and test, under two labels."""
    digests = list(pixel_digests(images, np.arange(len(images))))
    counts = Counter(digests)
    copied = [row for row, digest in enumerate(digests) if counts[digest] > 1]
    if not copied:
        return []
    first = {digest: row for row, digest in reversed(list(enumerate(digests)))}
    again = next(row for row in copied if first[digests[row]] != row)
    example = f"{images.paths[again]} is {images.paths[first[digests[again]]]}"
    findings = [Finding("TF041", f"{len(copied) - len({digests[r] for r in copied}):,} images are copies; {example}")]
    train = {digests[row] for row in images.rows("train").tolist()}
    both = sum(digests[row] in train for row in images.rows("test").tolist())
    if both:
        findings.append(Finding("TF042", f"{both:,} of {len(images.rows('test')):,} test images are in train too"))
    labels: dict[bytes, set[str]] = {}
    for row in copied:
        if (label := images.labels[row]) is not None:
            labels.setdefault(digests[row], set()).add(label)
    several = sum(len(labels.get(digests[row], ())) > 1 for row in copied)
    if several:
        findings.append(Finding("TF043", f"{several:,} images have copies under another label"))
    return findings


def _leak(images: ImageSet) -> list[Finding]:
    """Whether the nearest train image of many test images is the one before or after it by name.

    Only for a test split that was cut by chance, without groups: by chance alone it would be 2 in the number of train
    images of its folder. Of many images a stretch is looked at that holds the neighbours of all that are asked.
    """
    if images.test_from != "cut" or images.groups:
        return []
    train, test = (_by_name(images, images.labelled_rows(split)) for split in ("train", "test"))
    if len(train) > _AMONG:
        train = train[:_AMONG]
        test = test[[images.paths[row] < images.paths[train[-1]] for row in test.tolist()]]
    if len(test) == 0:
        return []
    asked = test[permutation(len(test), 0)[:_ASKED]]
    bank, queries = _thumbs(images, train), _thumbs(images, asked)
    nearest = train[(queries @ bank.T).argmax(1)]
    close = _next_by_name(images, train, asked)
    share = float(np.mean([one in near for one, near in zip(nearest.tolist(), close, strict=True)]))
    held = Counter(_folder(images, row) for row in train.tolist())
    chance = float(np.mean([2 / max(2, held[_folder(images, row)]) for row in asked.tolist()]))
    if share < _OFTEN or share < _TIMES * chance:
        return []
    text = f"of {share:.0%} of the test images the nearest train image is the one next to it by name"
    return [Finding("TF031", f"{text} (by chance {chance:.0%})")]


def _thumbs(images: ImageSet, rows: Int64[np.ndarray, " n"]) -> Float32[np.ndarray, "n 64"]:
    """Each image as 8 x 8 grey values of mean 0 and length 1."""
    parts = []
    for row in rows.tolist():
        batch = images.read(np.array([row]))
        small = F.adaptive_avg_pool2d(batch.images.float().mean(1, keepdim=True), _SIDE).flatten(1)
        parts.append(F.normalize(small - small.mean(1, keepdim=True)))
    return torch.cat(parts).numpy()


def _next_by_name(
    images: ImageSet, train: Int64[np.ndarray, " n"], asked: Int64[np.ndarray, " m"]
) -> list[tuple[int, ...]]:
    """For each of some rows the train rows before and after it in the order of the paths, in which `train` is."""
    paths = [images.paths[row] for row in train.tolist()]
    places = [bisect_left(paths, images.paths[row]) for row in asked.tolist()]
    return [tuple(train[max(0, place - 1) : place + 1].tolist()) for place in places]


def _by_name(images: ImageSet, rows: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    return np.array(sorted(rows.tolist(), key=lambda row: images.paths[row]), np.int64)


def _folder(images: ImageSet, row: int) -> str:
    return images.paths[row].rpartition("/")[0]
