"""The page of a cleaning: groups of copies, borderline pairs with a threshold to move, and the images to look at."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from twofold import __version__
from twofold.curation import Cleaning, Flaw
from twofold.data import ImageSet
from twofold.evaluation.gallery import build_thumbs
from twofold.files import write_atomically
from twofold.report.pictures import picture_uri
from twofold.report.template import load_template

_SIDE_PX = 112
_GROUPS = 40
_OF_A_GROUP = 8
_PAIRS = 24
_OF_A_SECTION = 48
_SECTIONS = (
    ("leak", "Test images with a copy in train", "Their accuracy may show memory. Remove one of the two."),
    ("label", "Suspect labels", "The label of each, and what its neighbours suggest. The most doubtful come first."),
    ("unlikely label", "Labels to look at", "The least likely come first."),
    ("off topic", "Far from all others", "The farthest come first. They may not belong here, or be rare and valuable."),
    ("blank", "Blank images", "One colour throughout."),
    ("cut off", "Images that look cut off", "The lower part is the even grey of a file that ends early."),
)


@dataclass(frozen=True)
class Shown:
    """An image on a page."""

    uri: str
    path: str
    note: str = ""


class Gallery:
    """Images of a set as small images for a page."""

    def __init__(self, images: ImageSet) -> None:
        self._images = images
        self._side_px = int(min(_SIDE_PX, images.pixels.sizes.min(axis=1).max(initial=1))) if len(images) else 1

    def show(self, row: int, note: str = "") -> Shown:
        """The whole central square of the image."""
        thumb = build_thumbs(self._images, np.array([row]), side_px=self._side_px, crop_fraction=1.0)[0]
        return Shown(picture_uri(thumb), self._images.paths[row], note)


def write_clean_page(cleaning: Cleaning, images: ImageSet, path: Path) -> None:
    """Write the page, whole or not at all: one file without references to others."""
    gallery, copies = Gallery(images), cleaning.copies
    groups = [
        {
            "images": [gallery.show(row, _place(cleaning, row)) for row in group[:_OF_A_GROUP]],
            "differ": len({cleaning.labels[row] for row in group} - {None}) > 1,
            "more": _more(group),
        }
        for group in copies.groups[:_GROUPS]
    ]
    borderline = [
        {"first": gallery.show(first), "second": gallery.show(second), "likeness": f"{likeness:.4f}"}
        for first, second, likeness in copies.borderline(_PAIRS)
    ]
    page = load_template("clean.html.j2", "twofold.report").render(
        version=__version__,
        name=images.name,
        total=f"{len(images):,}",
        counts=cleaning.sentences(),
        effect=cleaning.leak_effect.sentence() if cleaning.leak_effect else None,
        groups=groups,
        groups_total=len(copies.groups),
        borderline=borderline,
        threshold=f"{copies.threshold:g}",
        alike=_alike(cleaning, gallery),
        sections=list(_sections(cleaning, gallery)),
    )
    write_atomically(path, page.encode("utf-8", "backslashreplace"))


def _sections(cleaning: Cleaning, gallery: Gallery) -> Iterable[dict[str, object]]:
    for kind, title, text in _SECTIONS:
        flaws = [flaw for flaw in cleaning.flaws if flaw.kind == kind]
        if flaws:
            shown = [gallery.show(flaw.row, _note(cleaning, flaw)) for flaw in flaws[:_OF_A_SECTION]]
            if kind in ("label", "unlikely label") and cleaning.suspects is not None:
                text = f"{text} {cleaning.suspects.sentence()}"
            yield {
                "title": title,
                "text": text,
                "images": shown,
                "total": f"{len(flaws):,}",
                "more": len(flaws) > len(shown),
            }


def _alike(cleaning: Cleaning, gallery: Gallery) -> dict[str, object] | None:
    flaws = [flaw for flaw in cleaning.flaws if flaw.kind == "alike"]
    pairs = [(flaw.other, flaw.row, flaw.score) for flaw in flaws if flaw.other is not None]
    if not pairs or cleaning.alike is None:
        return None
    return {
        "cosine": f"{cleaning.alike.threshold:.4f}",
        "total": f"{len(pairs):,}",
        "pairs": [
            {"first": gallery.show(first), "second": gallery.show(second), "cosine": f"{cosine:.4f}"}
            for first, second, cosine in pairs[:_PAIRS]
        ],
    }


def _note(cleaning: Cleaning, flaw: Flaw) -> str:
    if flaw.kind in ("label", "unlikely label"):
        return f"label {cleaning.labels[flaw.row]}, rather {flaw.suggestion}"
    return _place(cleaning, flaw.row)


def _place(cleaning: Cleaning, row: int) -> str:
    label = cleaning.labels[row]
    return f"{cleaning.splits[row]}, {label}" if label is not None else cleaning.splits[row]


def _more(group: list[int]) -> int:
    return max(0, len(group) - _OF_A_GROUP)
