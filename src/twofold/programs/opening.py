"""The keywords that all programs take which put an encoder to use: what they may be, and as plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast, get_type_hints

from twofold.errors import require, unknown_name
from twofold.models.own import EncoderSource, as_source
from twofold.recipes.data import Reading
from twofold.recipes.kinds import AnyPath, as_kind, as_optional_path
from twofold.recipes.recipe import HardwareRecipe


class Opening(Reading, total=False):
    """How an encoder and images are opened: `encoder` as in `load`, the others as in `pretrain`."""

    encoder: EncoderSource | None
    cache: AnyPath | None
    allow_outside: bool
    device: str
    precision: str
    max_unreadable_fraction: int | float | None


@dataclass(frozen=True, kw_only=True)
class Opener:
    """The same, checked."""

    encoder: EncoderSource | None
    cache: Path | None
    allow_outside: bool
    hardware: HardwareRecipe
    limit: float | None = None  # max_unreadable_fraction
    reading: Reading = field(default_factory=Reading)


def as_opener(opening: Opening) -> Opener:
    """Check the keywords. Raises TwofoldError for a value that none may have, and for a name that there is not."""
    given = dict(opening)
    for name in given:
        if name not in get_type_hints(Opening):
            raise unknown_name("setting", name, get_type_hints(Opening))
    return Opener(
        encoder=as_source(opening.get("encoder")),
        cache=as_optional_path("cache", opening.get("cache")),
        allow_outside=as_kind("allow_outside", opening.get("allow_outside", False), bool),
        hardware=HardwareRecipe(device=opening.get("device", "auto"), precision=opening.get("precision", "auto")),
        limit=_unreadable_limit(opening.get("max_unreadable_fraction")),
        reading=as_reading({name: given[name] for name in get_type_hints(Reading) if name in given}),
    )


def as_reading(given: Mapping[str, object]) -> Reading:
    """Pages, tiles, columns and groups, as keywords name them. Raises TwofoldError for other keywords."""
    hints = get_type_hints(Reading)
    for name in given:
        if name not in hints:
            raise unknown_name("setting", name, hints)
    return cast(Reading, {name: as_kind(name, value, hints[name]) for name, value in given.items()})


def _unreadable_limit(value: object) -> float | None:
    """A max_unreadable_fraction, or None. Raises TwofoldError."""
    name = "max_unreadable_fraction"
    limit: float | None = as_kind(name, value, float | None)
    require(limit is None or 0 <= limit < 1, name, limit, "a fraction in [0, 1)")
    return limit
