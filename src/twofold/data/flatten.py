"""From parts of an image to the image at the size that is kept, in little memory.

A large image goes through in strips: the rules act on each pixel, or on blocks that no strip cuts, so the result is the
same bit for bit as that of the whole.
"""

from collections.abc import Callable

from PIL import Image

GAP = 2.0  # the cheap part of shrinking stops at this multiple of the target, bicubic does the rest
_STRIP_PIXELS = 2**21  # at some 20 bytes each
_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "I;16N": 2}  # a pixel as Pillow holds it, else 4
_DECODER_BYTES = {"WEBP": 12, "TIFF": 4, "AVIF": 12, "JPEG2000": 16, "HEIC": 12}  # of the libraries behind Pillow
_CHUNK_BYTES = 20  # the copies of a strip
_RESULT_BYTES = 10  # a pixel of the result: in Pillow, as an array, and with the channels in front


def flatten(
    part: Callable[[int, int], Image.Image], size: tuple[int, int], target: tuple[int, int], *, whole: bool = False
) -> Image.Image:
    """The image of which `part(top, bottom)` gives rows, of mode L or RGB, at the size `target`, antialiased.

    Sizes are (width, height). `whole`: asking for all rows at once costs nothing.
    """
    across, down = _factors(size, target)
    width, height = size
    if width * height > _STRIP_PIXELS and not whole:
        flat = _in_strips(part, size, across, down)
    else:
        flat = _reduced(part(0, height), across, down)
    if flat.size == target:
        return flat
    return flat.resize(target, Image.Resampling.BICUBIC, box=(0, 0, width / across, height / down))


def bytes_needed(image: Image.Image, size: tuple[int, int], target: tuple[int, int]) -> int:
    """About how many bytes it takes to load the image and to flatten it to `target`.

    `size` is that of the file; that of `image` may be less already, where a JPEG shrinks as it decodes.
    """
    pixels = image.width * image.height
    loaded = pixels * (_BYTES.get(image.mode, 4) + _DECODER_BYTES.get(image.format or "", 0))
    if image.info.get("progressive"):  # all its coefficients, of 16 bits, before the first pixel
        loaded += size[0] * size[1] * 2 * len(image.getbands())
    return loaded + bytes_to_flatten(image.size, target)


def bytes_to_flatten(size: tuple[int, int], target: tuple[int, int], chunk_bytes: int = _CHUNK_BYTES) -> int:
    """About how many bytes it takes to flatten what is in memory already; `chunk_bytes` for a pixel of a strip."""
    pixels, kept = size[0] * size[1], target[0] * target[1]
    across, down = _factors(size, target)
    return pixels // (across * down) * 4 + min(pixels, _STRIP_PIXELS) * chunk_bytes + kept * _RESULT_BYTES


def _factors(size: tuple[int, int], target: tuple[int, int]) -> tuple[int, int]:
    """By how much whole blocks are averaged before bicubic: as Pillow's `reducing_gap` has it."""
    across, down = (int(whole / kept / GAP) or 1 for whole, kept in zip(size, target, strict=True))
    return across, down


def _reduced(image: Image.Image, across: int, down: int) -> Image.Image:
    return image.reduce((across, down)) if across > 1 or down > 1 else image


def _in_strips(part: Callable[[int, int], Image.Image], size: tuple[int, int], across: int, down: int) -> Image.Image:
    width, height = size
    rows = max(1, _STRIP_PIXELS // (width * down)) * down
    first = _reduced(part(0, min(rows, height)), across, down)
    flat = Image.new(first.mode, (-(-width // across), -(-height // down)))
    flat.paste(first)
    for top in range(rows, height, rows):
        flat.paste(_reduced(part(top, min(top + rows, height)), across, down), (0, top // down))
    return flat
