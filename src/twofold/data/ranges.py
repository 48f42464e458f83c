"""One intensity range for all images of a source that have more than 8 bits, measured on a sample of them."""

import json
from contextlib import suppress
from pathlib import Path

import numpy as np
from jaxtyping import Float

from twofold.data.colour_space import colours_of
from twofold.data.decode import MEMORY
from twofold.data.formats import UnreadableError
from twofold.data.readers import as_unreadable, open_image, opened
from twofold.data.record import Source, digest
from twofold.data.rules import Rules
from twofold.data.samples import PERCENTILES, Range, Samples, is_missing, spread
from twofold.data.splits import permutation
from twofold.files import write_atomically

_MEASURED = 64  # images of more than 8 bits whose values are read
_NEVER_DEEP = (".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".gif", ".bmp")


def known_range(stamp: str, cache: Path, rules: Rules) -> Range | None:
    """What was measured before on the source with this stamp."""
    with suppress(OSError, ValueError, TypeError):
        return tuple(float(end) for end in json.loads(_place(stamp, cache, rules).read_text(encoding="utf-8")))
    return None


def find_range(source: Source, stamp: str, cache: Path, rules: Rules) -> Range | None:
    """`measure_range`, kept in `cache` under the source's stamp."""
    measured = measure_range(source, rules)
    if measured is not None:
        place = _place(stamp, cache, rules)
        with suppress(OSError):  # a cache that may only be read: measured each time
            place.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(place, json.dumps(measured).encode())
    return measured


def _place(stamp: str, cache: Path, rules: Rules) -> Path:
    bands = [rules.channels, rules.bands, rules.pages] if rules.by_bands else []
    return cache / "ranges" / digest([stamp, _MEASURED, PERCENTILES, *bands])


def measure_range(source: Source, rules: Rules | None = None) -> Range | None:
    """The 0.1 and 99.9 percentiles of the values of up to 64 images, of each channel where there are several.

    Images of 8 bits are not counted, nor those in colour with a profile: what their numbers mean is agreed. None where
    no image is left.
    """
    records = source.records
    parts: list[Float[np.ndarray, "m c"]] = []
    for index in permutation(len(records), 0).tolist():
        if records[index].path.lower().endswith(_NEVER_DEEP):
            continue
        with suppress(UnreadableError, OSError):
            values = _values(source, index, rules)
            if values is not None:
                parts.append(values)
        if sum(len(part) > 0 for part in parts) == _MEASURED:
            break
    if not parts:
        return None
    channels = max(part.shape[1] for part in parts)
    values = np.concatenate([np.broadcast_to(part, (len(part), channels)) for part in parts])
    return tuple(end for channel in range(channels) for end in _range_of(values[:, channel]))


def _range_of(values: Float[np.ndarray, " m"]) -> Range:
    """Of the values of a channel, NaN where one is missing."""
    there = values[~np.isnan(values)]
    return spread(np.percentile(there, PERCENTILES)) if len(there) else (0.0, 1.0)


def _values(source: Source, index: int, rules: Rules | None) -> Float[np.ndarray, "m c"] | None:
    """The colours of some pixels of an image of more than 8 bits, NaN where one is missing; None for all others."""
    with as_unreadable(), opened(source, index, rules) as image:
        if not _is_measured(image):
            return None
    with as_unreadable():
        samples = open_image(source.read(index), rules)
        assert isinstance(samples, Samples)
        with MEMORY.take(2 * samples.held_bytes):
            colours = samples.sample()[:, : samples.colours]
        missing = is_missing(colours, samples.missing)
        return np.where(missing, np.nan, colours.astype(np.float64))[~missing.all(axis=1)]


def _is_measured(image: object) -> bool:
    if not isinstance(image, Samples) or not image.is_deep:
        return False
    return image.colours == 1 or colours_of(image.info, is_grey=False).profile is None or image.limits is None
