"""The page of predictions: what accuracy to expect, whether probabilities hold, and the unsure images first."""

from pathlib import Path

import numpy as np

from twofold import __version__
from twofold.curation.answers import UNLIKE, Answers
from twofold.curation.confidence import reliability
from twofold.data import ImageSet
from twofold.files import write_atomically
from twofold.report.clean_page import Gallery, Shown
from twofold.report.template import load_template

_SHOWN = 60


def write_predict_page(answers: Answers, images: ImageSet, path: Path, *, summary: list[str]) -> None:
    """Write one file without references to others, whole or not at all; `summary` is what the terminal says."""
    classifier, gallery = answers.classifier, Gallery(images)
    own = classifier.counted
    open_rows = answers.unsure(len(images))
    strange = np.array([answers.decisions[row] == UNLIKE for row in open_rows], bool)
    page = load_template("predictions.html.j2", "twofold.report").render(
        version=__version__,
        name=images.name,
        summary=summary,
        classes=[_class_row(answers, name) for name in classifier.classes],
        calibration=[
            {"confidence": f"{confidence:.0%}", "right": f"{right:.0%}", "count": f"{count:,}", "width": 100 * right}
            for confidence, right, count in reliability(classifier.held_out[own].max(1), classifier.right[own])
        ],
        sections=[
            {"title": "Unsure, the least sure first", "images": _shown(answers, gallery, open_rows[~strange])},
            {"title": "Unlike anything labelled", "images": _shown(answers, gallery, open_rows[strange])},
        ],
    )
    write_atomically(path, page.encode("utf-8", "backslashreplace"))


def _class_row(answers: Answers, name: str) -> dict[str, str]:
    place = answers.classifier.classes.index(name)
    labels = int((answers.classifier.ids == place).sum())
    share, low, high, _ = answers.expected.get(f"class {name}", (None, None, None, 0))
    predicted = int((answers.ranked[:, 0] == place).sum())
    return {
        "name": name,
        "labels": f"{labels:,}",
        "expected": "in one group, not judged" if share is None else f"{share:.0%} ({low:.0%} to {high:.0%})",
        "predicted": f"{predicted:,}",
    }


def _shown(answers: Answers, gallery: Gallery, rows: np.ndarray) -> list[Shown]:
    return [gallery.show(int(row), _note(answers, int(row))) for row in rows[:_SHOWN]]


def _note(answers: Answers, row: int) -> str:
    names, (first, second), p = answers.classifier.classes, answers.ranked[row], answers.probabilities[row]
    return f"{names[first]} {p[first]:.0%}, {names[second]} {p[second]:.0%}; novelty p {answers.novelty[row]:.2g}"
