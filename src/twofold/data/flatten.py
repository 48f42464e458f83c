"""From a decoded image of any mode to 8 bits, without transparency, at the size that is kept; in little memory.

A large image goes through in strips: the rules act on each pixel, or on blocks that no strip cuts, so the result is the
same bit for bit as that of the whole.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image

from twofold.errors import TwofoldError

GAP = 2.0  # the cheap part of shrinking stops at this multiple of the target, bicubic does the rest
_STRIP_PIXELS = 2**21  # at some 20 bytes each
_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "I;16N": 2}  # a pixel as Pillow holds it, else 4
_DECODER_BYTES = {"WEBP": 12, "TIFF": 4}  # canvases and strips of the libraries behind Pillow
_CHUNK_BYTES = 20  # the copies of a strip
_RESULT_BYTES = 10  # a pixel of the result: in Pillow, as an array, and with the channels in front


class UnreadableError(TwofoldError):
    """A picture that cannot be decoded; the message is the reason."""


def flatten(image: Image.Image, mode: str, target: tuple[int, int]) -> Image.Image:
    """In `mode` L or RGB, 8 bits, at the size `target` (width, height), antialiased.

    Transparency is laid over white, 16-bit grey scaled by 255/65535. Raises UnreadableError for 32-bit pixels.
    """
    convert = _converter(image, mode)
    across, down = _factors(image.size, target)
    width, height = image.size
    if width * height > _STRIP_PIXELS and convert is not _as_it_is:
        flat = _in_strips(image, mode, convert, across, down)
    else:
        flat = convert(image)
        flat = flat.reduce((across, down)) if across > 1 or down > 1 else flat
    if flat.size == target:
        return flat
    return flat.resize(target, Image.Resampling.BICUBIC, box=(0, 0, width / across, height / down))


def bytes_needed(image: Image.Image, size: tuple[int, int], target: tuple[int, int]) -> int:
    """About how many bytes it takes to load the image and to flatten it to `target`.

    `size` is that of the file; that of `image` may be less already, where a JPEG shrinks as it decodes.
    """
    pixels, kept = image.width * image.height, target[0] * target[1]
    across, down = _factors(image.size, target)
    loaded = pixels * (_BYTES.get(image.mode, 4) + _DECODER_BYTES.get(image.format or "", 0))
    if image.info.get("progressive"):  # all its coefficients, of 16 bits, before the first pixel
        loaded += size[0] * size[1] * 2 * len(image.getbands())
    reduced = pixels // (across * down) * 4
    return loaded + reduced + min(pixels, _STRIP_PIXELS) * _CHUNK_BYTES + kept * _RESULT_BYTES


def _factors(size: tuple[int, int], target: tuple[int, int]) -> tuple[int, int]:
    """By how much whole blocks are averaged before bicubic: as Pillow's `reducing_gap` has it."""
    across, down = (int(whole / kept / GAP) or 1 for whole, kept in zip(size, target, strict=True))
    return across, down


def _in_strips(
    image: Image.Image, mode: str, convert: Callable[[Image.Image], Image.Image], across: int, down: int
) -> Image.Image:
    width, height = image.size
    rows = max(1, _STRIP_PIXELS // (width * down)) * down
    flat = Image.new(mode, (-(-width // across), -(-height // down)))
    for top in range(0, height, rows):
        strip = convert(image.crop((0, top, width, min(top + rows, height))))
        flat.paste(strip.reduce((across, down)) if across > 1 or down > 1 else strip, (0, top // down))
    return flat


def _converter(image: Image.Image, mode: str) -> Callable[[Image.Image], Image.Image]:
    """What brings the image, or a part of it, to `mode`."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        return lambda part: _from_16_bits(part).convert(mode)
    if image.mode in ("I", "F"):
        raise UnreadableError(
            f"pixels of 32 bits (mode {image.mode}) have no agreed range; convert them to 8 or 16 bits"
        )
    if image.has_transparency_data:
        return lambda part: _over_white(part).convert(mode)
    if image.mode == mode:
        return _as_it_is
    if mode == "L" and image.mode not in ("1", "RGB"):
        return lambda part: part.convert("RGB").convert(mode)
    return lambda part: part.convert(mode)


def _as_it_is(image: Image.Image) -> Image.Image:
    return image


def _over_white(image: Image.Image) -> Image.Image:
    picture = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")


def _from_16_bits(image: Image.Image) -> Image.Image:
    """round(255/65535 v)"""
    wide = np.asarray(image).astype(np.uint32)
    return Image.fromarray(((wide + 128) // 257).astype(np.uint8))
