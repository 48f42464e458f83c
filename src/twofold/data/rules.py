"""By which rules the images of a data set become pixels of 8 bits."""

from dataclasses import dataclass, replace

from twofold.data.samples import Range
from twofold.recipes.data import DataRecipe, reads_bands

LONG_SIDES = 4  # the long side is at most so many short sides of the store


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How images become pixels of 8 bits."""

    channels: int  # 1 (grey), 3 (RGB), or as many bands as there are
    short_px: int | None = None  # a larger image shrinks to it, its long side to 4 short_px at most
    range: Range | None = None  # of images of more than 8 bits: low, high; or such a pair for each channel
    range_from: str = "type"  # without a range: what the type of number holds; "image": each its own; "data": an error
    truncated: str = "read"  # or "skip": what to do with a JPEG that ends early
    bands: tuple[int, ...] | None = None  # from 1: those that become the channels; None: all, or grey and colour
    pages: str = "first"  # or "channels": each page is a channel

    @classmethod
    def of(cls, recipe: DataRecipe, short_px: int | None) -> "Rules":
        """Those of a recipe."""
        return cls(
            channels=recipe.channels,
            short_px=short_px,
            range=recipe.range,
            range_from=recipe.range_from,
            truncated=recipe.truncated,
            bands=recipe.bands,
            pages="first" if recipe.pages == "images" else recipe.pages,  # of a page alone
        )

    @property
    def by_bands(self) -> bool:
        """Whether bands are read as they are stored: nothing is taken for colour or transparency."""
        return reads_bands(self.channels, self.bands, self.pages)

    def alone(self) -> "Rules":
        """Those for an image of which no data set is known: without a range, what its type of number holds."""
        return replace(self, range_from="type") if self.range_from == "data" else self


def stored_size(size: tuple[int, int], short_px: int | None) -> tuple[int, int]:
    """(width, height) after shrinking to a short side of `short_px` and a long side of 4 short_px at most."""
    if short_px is None:
        return size
    scale = min(1.0, short_px / min(size), LONG_SIDES * short_px / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
