"""Windows of a slide of pathology, by OpenSlide, which is an extra."""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from twofold.data.colour_space import Colours
from twofold.data.formats import SLIDES, UnreadableError, load_extra
from twofold.data.tiff import number_of


def is_slide(path: str) -> bool:
    """Whether a file is a slide by its name, which is read in tiles alone."""
    return path.lower().endswith(SLIDES)


class SlideWindows:
    """A slide at all of its sizes. What the scanner left out is white."""

    colours, bits, missing, orientation = 3, 8, None, 1

    def __init__(self, path: Path) -> None:
        """Raises UnreadableError without the extra, and for what OpenSlide does not open."""
        openslide = load_extra("openslide", "slides", "a slide's")
        try:
            self._slide: Any = openslide.OpenSlide(path)
        except openslide.OpenSlideError as error:
            raise UnreadableError(f"OpenSlide does not read it ({error or 'no slide that it knows'})") from error
        self.size: tuple[int, int] = self._slide.dimensions
        self.micrometres_per_px = number_of(self._slide.properties.get(openslide.PROPERTY_NAME_MPP_X))
        profile = getattr(self._slide, "color_profile", None)  # from OpenSlide 4 on
        self.said = Colours(None if profile is None else profile.tobytes())

    def read(self, x: int, y: int, w: int, h: int, *, shrink: float = 1.0) -> UInt8[np.ndarray, "h w 3"]:
        """A window in pixels of the whole slide, from the smallest copy that is at most `shrink` times smaller."""
        smaller = [factor for factor in self._slide.level_downsamples if factor <= max(1.0, shrink * 1.01)]
        factor = smaller[-1]
        size = max(1, round(w / factor)), max(1, round(h / factor))
        region = self._slide.read_region((x, y), len(smaller) - 1, size)
        white = Image.new("RGBA", size, "white")
        return np.asarray(Image.alpha_composite(white, region).convert("RGB"))
