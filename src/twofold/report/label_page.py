"""label.html: one file on which a person labels images, from disk, without a server or a network."""

import json
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
from markupsafe import Markup

from twofold import __version__
from twofold.console import visible
from twofold.curation import Picks
from twofold.data import ImageSet
from twofold.evaluation.gallery import build_thumbs
from twofold.files import write_atomically
from twofold.report.pictures import picture_uri
from twofold.report.template import load_template

_SIDE_PX = 320


def write_label_page(picks: Picks, images: ImageSet, classes: Sequence[str], path: Path) -> None:
    """Write the page, whole or not at all. `classes` are offered at first; more can be typed."""
    side_px = int(min(_SIDE_PX, images.pixels.sizes.min(axis=1).max(initial=1)))
    rows = picks.rows.tolist()
    shown = [
        {
            "path": picks.paths[row],
            "uri": picture_uri(build_thumbs(images, np.array([row]), side_px=side_px, crop_fraction=1.0)[0]),
            "suggestion": suggestion,
            "probability": probability,
        }
        for row, suggestion, probability in zip(rows, picks.suggestions, picks.probabilities, strict=True)
    ]
    name = blake2b("\n".join(one["path"] for one in shown).encode("utf-8", "replace"), digest_size=8).hexdigest()
    content = {"key": f"twofold-labels-{name}", "classes": list(classes), "images": shown}
    page = load_template("label.html.j2", "twofold.report").render(
        version=__version__, name=visible(images.name), content=_json(content)
    )
    write_atomically(path, page.encode("utf-8", "backslashreplace"))


def _json(content: object) -> Markup:
    """For a script element: no text in it can end the element."""
    text = json.dumps(content, ensure_ascii=True)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))
