"""From an 8-bit image of any mode to grey or RGB: colour profiles honoured, transparency laid over white."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PIL import Image

from twofold.data import profiles
from twofold.data.colour_space import Colours, colours_of

Convert = Callable[[Image.Image], Image.Image]


@dataclass(frozen=True)
class Conversion:
    """How to bring an image to its mode: `before` acts on each part at full size, `after` on the shrunk image."""

    before: Convert | None  # None where the image has that mode already
    after: Convert | None
    notes: tuple[str, ...]  # of traits.NOTES


def conversion(image: Image.Image, mode: str) -> Conversion:
    """What brings a loaded image, or parts of it, to `mode` L or RGB."""
    notes: list[str] = []
    transparent = image.has_transparency_data and _is_see_through(image)
    if transparent:
        notes.append("transparent")
    colours = image.mode if image.mode in ("L", "CMYK", "LAB") else "L" if _is_grey(image) else "RGB"
    space = (image.info.get("icc_profile") or b"")[16:20]
    if colours == "L" and (space == b"RGB " or (transparent and space != b"GRAY")):
        colours = "RGB"  # grey is red, green and blue of one level
    transform = _transform(image, "RGBA" if transparent and colours != "L" else colours, notes)
    if colours == "CMYK" and transform is None:
        notes.append("cmyk")
    if transparent:
        return Conversion(lambda part: _over_white(part, transform).convert(mode), None, tuple(notes))
    if transform is not None and image.mode == mode == "RGB":  # cheaper once it is small
        return Conversion(None, lambda small: profiles.apply(transform, small), tuple(notes))
    if transform is not None:
        return Conversion(lambda part: profiles.apply(transform, _as(part, colours)).convert(mode), None, tuple(notes))
    if image.mode == mode:
        return Conversion(None, None, tuple(notes))
    through_rgb = mode == "L" and image.mode not in ("1", "RGB")
    return Conversion(lambda part: _as(part, "RGB" if through_rgb else mode).convert(mode), None, tuple(notes))


def _as(image: Image.Image, mode: str) -> Image.Image:
    """The image in a mode, whatever lies between."""
    if image.mode == "La":  # Pillow converts it to nothing else
        image = image.convert("LA")
    return image if image.mode == mode else image.convert(mode)


def _is_grey(image: Image.Image) -> bool:
    return image.mode in ("1", "LA", "La")


def _transform(image: Image.Image, mode: str, notes: list[str]) -> profiles.Transform | None:
    if mode == "LAB":
        return profiles.lab_to_srgb()
    has_inks = mode == "CMYK"
    said = Colours(image.info.get("icc_profile")) if has_inks else colours_of(image.info, is_grey=mode == "L")
    if said.is_hdr:
        notes.append("hdr")
    if not said.profile:
        return None
    try:
        transform = profiles.to_srgb(said.profile, mode)
    except profiles.UnknownProfileError:
        notes.append("profile unknown")
        return None
    if transform is not None:
        notes.append("profile")
    return transform


def _is_see_through(image: Image.Image) -> bool:
    """Whether any pixel is not opaque, as far as that can be told without a copy."""
    if image.mode in ("LA", "PA", "RGBA", "La", "RGBa"):
        ends: Any = image.getextrema()[-1]
        return bool(ends[0] < 255)
    return True


def _over_white(image: Image.Image, transform: profiles.Transform | None) -> Image.Image:
    straight = _as(image, "RGBA")
    if transform is not None and transform.input_mode == "L":
        shown = profiles.apply(transform, straight.convert("L"))
        shown.putalpha(straight.getchannel("A"))
        straight = shown
    elif transform is not None:
        straight = profiles.apply(transform, straight)
    return Image.alpha_composite(Image.new("RGBA", straight.size, "white"), straight).convert("RGB")
