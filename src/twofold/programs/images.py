"""The images that a trained encoder embeds or is measured on."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from twofold.console import say
from twofold.data import Finding, ImageSet, Source, load_images, require_channels
from twofold.data.survey import said_of_finding
from twofold.errors import TwofoldError
from twofold.evaluation.gallery import MOST_SEARCHED
from twofold.programs.opening import Opener
from twofold.recipes.data import read_anew
from twofold.runs.encoder_file import Loaded
from twofold.runs.other_encoders import OtherEncoder
from twofold.runs.run_directory import Run


def open_images(
    loaded: Loaded,
    data: str | Source,
    how: Opener,
    *,
    own: str | None = None,
    beside: Sequence[OtherEncoder] = (),
    quiet: bool = False,
) -> ImageSet:
    """The images in `data` as an encoder takes them; the survey is printed, unless `quiet`.

    What `how` says of unreadable files, pages, tiles, columns of tables and groups replaces what its recipe says.
    Raises TwofoldError for colour where it takes grey, unless they are those of the fingerprint `own`, which it was
    trained on: these it saw in the same way.
    """
    given: dict[str, Any] = {} if how.limit is None else {"max_unreadable_fraction": how.limit}
    recipe = replace(read_anew(loaded.recipe.data, how.reading), **given)
    store_px = max(loaded.recipe.stored_px, *(2 * other.views.embedding_px for other in beside), 0)
    images = load_images(
        data,
        recipe=recipe,
        store_px=store_px,
        cache=how.cache,
        show_progress=not quiet,
        allow_outside=how.allow_outside,
    )
    if len(images) == 0:
        raise TwofoldError(f"'{images.name}' holds no readable image. Give a folder with images.")
    if images.fingerprint != own and images.survey:
        grey = [Finding("TF050", text) for text in require_channels(images.survey.facts, recipe, images.name)]
        images.findings.extend(grey)
        for finding in grey:
            say(f"  {said_of_finding(finding)}")
    return images


def most_searched(run: Run) -> int:
    """How many images may be embedded to find neighbours for the report: about a hundredth of what training cost.

    A step costs six times as much an image as an embedding: two views, forward and backward.
    """
    record = run.read_recipe()
    seen = record["plan"]["steps"] * record["recipe"]["schedule"]["batch_size"]
    return int(min(MOST_SEARCHED, seen // 16))
