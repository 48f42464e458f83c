"""The recipe that a program runs: by its name, from a file, with the user's settings put in."""

from pathlib import Path
from typing import Any

from twofold.console import say
from twofold.data import Source, look_at, open_source
from twofold.data.records import Records
from twofold.data.sources.columns import Columns
from twofold.data.sources.tiles import divided
from twofold.hardware.device import gpu_gib
from twofold.recipes.named import Found, build_recipe
from twofold.recipes.recipe import DataRecipe, HardwareRecipe, Recipe

_CUT = ("pages", "tile", "stride", "micrometres_per_px", "tile_content")


def resolve_recipe(
    name: str, data: str | Source, *, cache: Path | None, settings: dict[str, Any], allow_outside: bool = False
) -> Recipe:
    """The recipe called `name` or in that file, with `settings` put in; says why it picked what it picked."""

    def look() -> Found:
        columns = Columns(**{name: settings.get(f"{name}_column") for name in ("path", "label", "split", "group")})
        source = open_source(data, cache=cache, allow_outside=allow_outside, columns=columns)
        cut = {name: settings[name] for name in _CUT if name in settings}
        source = divided(source, DataRecipe(**cut), cache)
        facts = look_at(source)
        return Found(
            pictures=sum(split in (None, "train") for split in Records.of(source.records).splits),
            short_side_px=facts.short_side_px,
            channels=facts.channels,
            gpu_gib=gpu_gib(HardwareRecipe(device=settings.get("device") or "auto").device),
        )

    chosen, reasons = build_recipe(name, look)
    if reasons:
        say(f"Recipe {name} picked:")
    for reason in reasons:
        say(f"  {reason}")
    resolved = chosen.with_settings(**settings)
    if resolved.views.colour != chosen.views.colour and "colour" not in settings:
        say(
            f"  --colour {resolved.views.colour}: gain, offset and gamma of each of {resolved.data.channels} channels, "
            "and a channel left out, in place of jitter and grayscale, which need 1 or 3"
        )
    return resolved
