"""What only the pixels show about a set of images: copies, blank images, cuts that leak; and what decoding will need.

All of it is seen on small copies of the images, so that looking costs little.
"""

import time
from collections import Counter
from functools import partial

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch.nn import functional as F  # noqa: N812

from twofold.data.decode import Rules, decode
from twofold.data.duplicates import pixel_digests
from twofold.data.findings import Finding
from twofold.data.image_set import ImageSet
from twofold.data.leak import find_leak
from twofold.data.parallel import in_order
from twofold.data.record import Source
from twofold.data.splits import permutation

SMALL_PX = 32  # short side of the copies
_FEW = 300  # images below which an encoder learns little
_TIMED = 96  # images that are decoded to tell how long all will take
_AMONG = 20_000  # train images among which the nearest is sought
_SIDE = 8  # of what is compared


def diagnose(images: ImageSet) -> list[Finding]:
    """Findings on copies of at most 32 px: few images, blank ones, copies, and test images near to their neighbours."""
    findings = []
    if len(images) < _FEW:
        findings.append(Finding("TF045", f"{len(images):,} images"))
    blank = images.survey.pixels.notes.get("constant", 0) if images.survey and images.survey.pixels else 0
    if blank:
        findings.append(Finding("TF044", f"{blank:,} of {len(images):,} images are blank"))
    return [*findings, *_copies(images), *find_leak(images, partial(_thumbs, images), most=_AMONG)]


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


def _thumbs(images: ImageSet, rows: Int64[np.ndarray, " n"]) -> Float32[np.ndarray, "n 64"]:
    """Each image as 8 x 8 grey values of mean 0 and length 1."""
    parts = []
    for row in rows.tolist():
        batch = images.read(np.array([row]))
        small = F.adaptive_avg_pool2d(batch.images.float().mean(1, keepdim=True), _SIDE).flatten(1)
        parts.append(F.normalize(small - small.mean(1, keepdim=True)))
    return torch.cat(parts).numpy()
