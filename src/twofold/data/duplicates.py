"""Images that occur more than once: in train and in test, or under two labels."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from twofold.data.image_set import ImageSet

_BATCH = 16  # images read at a time: a canvas is as large as the tallest and the widest of them together


@dataclass(frozen=True, kw_only=True)
class Shared:
    """How many images have exactly the pixels of another one."""

    train: int  # images looked at
    test: int  # images looked at
    test_also_in_train: int  # test images whose pixels occur in train, under whatever label
    conflicting_labels: int  # labelled train images whose pixels occur in train under another label too

    def sentences(self) -> list[str]:
        """What people should know when they read the figures; two labels only where there are any."""
        held = "test images that train holds too, pixel for pixel"
        if self.test_also_in_train == 0:
            sentences = [f"{held}: none of {self.test:,} (copies that were re-saved or resized are not found)"]
        else:
            share = f"{self.test_also_in_train:,} of {self.test:,} ({self.test_also_in_train / self.test:.2%})"
            sentences = [f"{held}: {share}; there a figure may show memory, and be too high by up to that share"]
        if self.conflicting_labels:
            share = f"{self.conflicting_labels:,} of {self.train:,} ({self.conflicting_labels / self.train:.2%})"
            sentences.append(f"train images whose pixels occur in train under another label too: {share}")
        return sentences


def count_shared(images: ImageSet, train: Int64[np.ndarray, " n"], test: Int64[np.ndarray, " m"]) -> Shared:
    """Compare the images in two sets of rows by height, width and every byte of their pixels.

    The pixels are the decoded ones in the store, so two files of different formats can be the same image. Memory
    holds a few images and 16 bytes for each row.
    """
    digests = list(pixel_digests(images, train))
    known = set(digests)
    labels_of: dict[bytes, set[str]] = {}
    labels = [images.labels[row] for row in train.tolist()]
    for digest, label in zip(digests, labels, strict=True):
        if label is not None:
            labels_of.setdefault(digest, set()).add(label)
    pairs = zip(digests, labels, strict=True)
    return Shared(
        train=len(train),
        test=len(test),
        test_also_in_train=sum(digest in known for digest in pixel_digests(images, test)),
        conflicting_labels=sum(label is not None and len(labels_of[digest]) > 1 for digest, label in pairs),
    )


def pixel_digests(images: ImageSet, rows: Int64[np.ndarray, " n"]) -> Iterator[bytes]:
    """One for each row, of its own pixels alone: what pads the canvas of a batch depends on the others in it."""
    for first in range(0, len(rows), _BATCH):
        batch = images.read(rows[first : first + _BATCH])
        for canvas, (height, width) in zip(batch.images.numpy(), batch.sizes.tolist(), strict=True):
            content = canvas[:, :height, :width].tobytes()
            yield hashlib.blake2b(f"{height} x {width}: ".encode() + content, digest_size=16).digest()
