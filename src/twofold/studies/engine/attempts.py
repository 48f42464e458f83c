"""A cell that learns nothing is trained again at lower rates: one rule for all studies."""

import base64
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Bool

from twofold.studies.engine.cell import Cell
from twofold.studies.engine.measures import Measured
from twofold.studies.engine.results import Right

SLOWER = (1.0, 3.0, 9.0)  # what the rates are divided by, in turn


def attempt(cell: Cell, measure: Callable[[float], Measured]) -> dict[str, Any]:
    """The record of a cell: `measure(divisor)` at its own rates, then at lower ones until something is learnt.

    "tries" holds all but the last, which counts. A cell on selection is tried once, as what is chosen there are rates
    among others, and so is one that `may_fail`. Where the last try has not learnt either, the cell has failed.
    """
    tries: list[dict[str, Any]] = []
    for slower in SLOWER:
        measured = measure(slower)
        if measured.learnt or cell.on != "test" or cell.may_fail or slower == SLOWER[-1]:
            break
        tries.append({"rates_divided_by": slower, "measure": measured.values, "learnt": False})
    return {
        "measure": measured.values,
        "right": packed(measured.right),
        "learnt": measured.learnt,
        "rates_divided_by": slower,
        **({"tries": tries} if tries else {}),
        **({"may_fail": True} if cell.may_fail else {}),
    }


def packed(right: Right) -> dict[str, str]:
    """A bit an image, as text for JSON: the number of images, a colon, and base64."""
    texts = {metric: base64.b64encode(np.packbits(bits).tobytes()).decode() for metric, bits in right.items()}
    return {metric: f"{len(right[metric])}:{text}" for metric, text in texts.items()}


def unpacked(texts: dict[str, str]) -> dict[str, Bool[np.ndarray, " m"]]:
    """What `packed` made text of."""
    found = {}
    for metric, text in texts.items():
        count, bits = text.split(":")
        whole = np.unpackbits(np.frombuffer(base64.b64decode(bits), np.uint8), count=int(count))
        found[metric] = whole.astype(bool)
    return found
