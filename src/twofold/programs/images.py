"""The images that a trained encoder embeds or is measured on."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast, get_type_hints

from twofold.console import say
from twofold.data import Finding, ImageSet, Source, load_images, require_channels
from twofold.data.survey import said_of_finding
from twofold.errors import TwofoldError, require, unknown_name
from twofold.evaluation.gallery import MOST_SEARCHED
from twofold.recipes.data import Reading
from twofold.recipes.kinds import as_kind
from twofold.runs.encoder_file import Loaded
from twofold.runs.other_encoders import OtherEncoder
from twofold.runs.run_directory import Run


def open_pictures(
    loaded: Loaded,
    data: str | Source,
    cache: Path | None,
    *,
    own: str | None = None,
    beside: Sequence[OtherEncoder] = (),
    allow_outside: bool = False,
    limit: float | None = None,
    reading: Reading | None = None,
    quiet: bool = False,
) -> ImageSet:
    """The images in `data` as an encoder takes them; the survey is printed, unless `quiet`.

    `limit` and `reading` replace its recipe's max_unreadable_fraction, columns of tables and pattern of groups.
    Raises TwofoldError for colour where it takes grey, unless they are those of the fingerprint `own`, which it was
    trained on: these it saw in the same way.
    """
    given: dict[str, Any] = {} if limit is None else {"max_unreadable_fraction": limit}
    recipe = replace(loaded.recipe.data, **given, **(reading or {}))
    store_px = max(loaded.recipe.stored_px, *(2 * other.views.embedding_px for other in beside), 0)
    images = load_images(
        data, recipe=recipe, store_px=store_px, cache=cache, show_progress=not quiet, allow_outside=allow_outside
    )
    if len(images) == 0:
        raise TwofoldError(f"'{images.name}' holds no readable image. Give a folder with images.")
    if images.fingerprint != own and images.survey:
        grey = [Finding("TF050", text) for text in require_channels(images.survey.facts, recipe, images.name)]
        images.findings.extend(grey)
        for finding in grey:
            say(f"  {said_of_finding(finding)}")
    return images


def as_reading(given: Mapping[str, object]) -> Reading:
    """Columns of a table and a pattern of groups, as keywords name them. Raises TwofoldError for other keywords."""
    for name in given:
        if name not in get_type_hints(Reading):
            raise unknown_name("setting", name, get_type_hints(Reading))
    return cast(Reading, {name: as_kind(name, value, str | None) for name, value in given.items()})


def as_unreadable_limit(value: object) -> float | None:
    """A max_unreadable_fraction for `open_pictures`, or None. Raises TwofoldError."""
    name = "max_unreadable_fraction"
    limit: float | None = as_kind(name, value, float | None)
    require(limit is None or 0 <= limit < 1, name, limit, "a fraction in [0, 1)")
    return limit


def most_searched(run: Run) -> int:
    """How many images may be embedded to find neighbours for the report: about a hundredth of what training cost.

    A step costs six times as much an image as an embedding: two views, forward and backward.
    """
    record = run.read_recipe()
    seen = record["plan"]["steps"] * record["recipe"]["schedule"]["batch_size"]
    return int(min(MOST_SEARCHED, seen // 16))
