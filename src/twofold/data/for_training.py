"""The images that a recipe trains on."""

from pathlib import Path

from twofold.console import say
from twofold.data.image_set import ImageSet, load_images
from twofold.data.record import Source
from twofold.recipes.recipe import Recipe


def settled(recipe: Recipe, images: ImageSet) -> Recipe:
    """The recipe with the range that the images were scaled by, which is applied again wherever the encoder is used."""
    return recipe if images.range == recipe.data.range else recipe.with_settings(range=images.range)


def open_for_training(
    recipe: Recipe,
    data: str | Path | Source | ImageSet,
    cache: Path | None,
    *,
    allow_outside: bool = False,
    show_progress: bool = True,
) -> ImageSet:
    """The images in `data` as the recipe's encoder takes them, or `data` where they are that already.

    With `show_progress` their survey is printed before they are decoded.
    """
    if isinstance(data, ImageSet):
        lines = data.survey.lines() if data.survey else data.stated
        for line in lines if show_progress else ():
            say(line)
        return data
    return load_images(
        data,
        recipe=recipe.data,
        store_px=recipe.stored_px,
        cache=cache,
        show_progress=show_progress,
        allow_outside=allow_outside,
    )
