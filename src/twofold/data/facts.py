"""A quick look at images, before anything is decoded."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median_low

from twofold.data.decode import is_grey
from twofold.data.formats import reason_of
from twofold.data.parallel import in_order
from twofold.data.readers import opened
from twofold.data.record import SPLITS, Source
from twofold.data.records import Records
from twofold.data.samples import Samples
from twofold.data.splits import permutation
from twofold.errors import TwofoldError
from twofold.recipes.recipe import DataRecipe


@dataclass(frozen=True)
class Facts:
    """What the headers of a sample and the list of records tell."""

    count: int  # images in the source, readable or not
    channels: int  # 1 if every sampled image is grey, else 3
    short_side_px: int  # median
    min_px: int  # the smallest side in the sample
    max_px: int  # the largest side in the sample
    labelled: bool  # every record has a label, and there are at least two different ones
    classes: int
    splits: list[str]  # the source's own, in the order train, validation, test
    unreadable: int  # in the sample: headers that cannot be read
    formats: dict[str, int] = field(default_factory=dict)  # in the sample: "JPEG" -> images, the commonest first
    bits: dict[int, int] = field(default_factory=dict)  # in the sample: bits of a number -> images
    bands: dict[int, int] = field(default_factory=dict)  # in the sample: bands, where beyond grey or colour -> images


def look_at(source: Source, sample: int = 1000) -> Facts:
    """Facts from the records and the headers of `sample` of them, the same ones each time.

    Raises TwofoldError where none of the sampled headers can be read.
    """
    records = Records.of(source.records)
    indices = sorted(permutation(len(records), 0)[:sample].tolist())
    headers, reasons = _headers(source, indices)
    if not headers:
        raise TwofoldError(
            f"none of {len(indices):,} files looked at in '{source.name}' can be read as an image "
            f"({records.paths[indices[0]]}: {reasons[0]}). Give a folder with whole images."
        )
    sides = [side for one in headers for side in one.size]
    labels, splits = set(records.labels), set(records.splits)
    return Facts(
        count=len(records),
        channels=1 if all(one.is_grey for one in headers) else 3,
        short_side_px=median_low([min(one.size) for one in headers]),
        min_px=min(sides),
        max_px=max(sides),
        labelled=None not in labels and len(labels) >= 2,
        classes=len(labels - {None}),
        splits=[split for split in SPLITS if split in splits],
        unreadable=len(reasons),
        formats=dict(Counter(one.format for one in headers).most_common()),
        bits=dict(sorted(Counter(one.bits for one in headers).items())),
        bands=dict(sorted(Counter(one.bands for one in headers if one.bands).items())),
    )


def require_channels(facts: Facts, recipe: DataRecipe, name: str) -> list[str]:
    """Compare the images called `name` with what an encoder was trained on; what people should know, if anything.

    Raises TwofoldError for images in colour and an encoder of 1 channel. Grey ones suit an encoder of 3.
    """
    if recipe.by_bands:
        return []  # an image without the bands is set aside, with its reason
    if facts.channels > recipe.channels:
        raise TwofoldError(
            f"the images in '{name}' are in colour ({facts.channels} channels), but the encoder was trained with "
            f"channels {recipe.channels} (grey). Convert them to grey first or train with --channels 3."
        )
    if facts.channels < recipe.channels:
        return [f"the images in '{name}' are grey: each is copied to the {recipe.channels} channels of the encoder"]
    return []


@dataclass(frozen=True)
class _Header:
    size: tuple[int, int]  # width, height
    is_grey: bool
    format: str
    bits: int
    bands: int  # of more than grey, colour and transparency; else 0


def _headers(source: Source, indices: Sequence[int]) -> tuple[list[_Header], list[str]]:
    """Those of the readable images, and the reasons for the others."""
    told = list(in_order(lambda place: _header(source, indices[place]), len(indices), text="", show=False))
    return [one for one in told if isinstance(one, _Header)], [one for one in told if isinstance(one, str)]


def _header(source: Source, index: int) -> _Header | str:
    """That of an image, or the reason why there is none."""
    try:
        with opened(source, index) as image:
            bits = image.bits if isinstance(image, Samples) else 1 if image.mode == "1" else 8
            bands = image.colours + image.further_bands if isinstance(image, Samples) else 0
            bands = bands if bands > 4 or bands == 2 else 0
            return _Header(image.size, is_grey(image), image.format or "memory", bits, bands)
    except Exception as error:  # as in decode
        return reason_of(error)
