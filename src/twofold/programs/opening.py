"""The keywords that all programs take which put an encoder to use: what they may be, and as plain values."""

from dataclasses import dataclass
from pathlib import Path
from typing import get_type_hints

from twofold.errors import unknown_name
from twofold.models.own import EncoderSource, as_source
from twofold.programs.images import as_reading, as_unreadable_limit
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
    limit: float | None  # max_unreadable_fraction
    reading: Reading


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
        limit=as_unreadable_limit(opening.get("max_unreadable_fraction")),
        reading=as_reading({name: given[name] for name in get_type_hints(Reading) if name in given}),
    )
