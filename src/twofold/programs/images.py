"""The images that a trained encoder embeds or is measured on."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from twofold.data import Finding, ImageSet, load_images, look_at, open_source, require_channels
from twofold.errors import TwofoldError, require
from twofold.recipes.kinds import as_kind
from twofold.runs.encoder_file import Loaded
from twofold.runs.foreign_encoders import Beside


def open_pictures(
    loaded: Loaded,
    data: str,
    cache: Path | None,
    *,
    own: str | None = None,
    beside: Sequence[Beside] = (),
    allow_outside: bool = False,
    limit: float | None = None,
) -> ImageSet:
    """The pictures in `data` as an encoder takes them; `limit` replaces its recipe's max_unreadable_fraction.

    Raises TwofoldError for colour where it takes grey, unless they are those of the fingerprint `own`, which it was
    trained on: these it saw in the same way.
    """
    recipe = loaded.recipe.data if limit is None else replace(loaded.recipe.data, max_unreadable_fraction=limit)
    store_px = max(loaded.recipe.stored_px, *(2 * other.views.embedding_px for other in beside), 0)
    images = load_images(
        data, recipe=recipe, store_px=store_px, cache=cache, show_progress=True, allow_outside=allow_outside
    )
    if len(images) == 0:
        raise TwofoldError(f"'{data}' holds no readable picture. Give a folder with pictures.")
    if images.fingerprint != own:
        source = open_source(data, cache=cache, allow_outside=allow_outside)
        images.findings.extend(Finding("TF050", text) for text in require_channels(look_at(source), recipe, data))
    return images


def as_unreadable_limit(value: object) -> float | None:
    """A max_unreadable_fraction for `open_pictures`, or None. Raises TwofoldError."""
    name = "max_unreadable_fraction"
    limit: float | None = as_kind(name, value, float | None)
    require(limit is None or 0 <= limit < 1, name, limit, "a fraction in [0, 1)")
    return limit
