"""Images of any number of channels: their bands as they are stored, none taken for colour or transparency."""

import io
from dataclasses import replace

import numpy as np
from jaxtyping import Num, UInt8
from PIL import Image

from twofold.data.deep import deep_samples
from twofold.data.dicom import is_dicom, open_dicom
from twofold.data.flatten import flatten
from twofold.data.formats import BITS, File, UnreadableError, format_of, head_of, is_tiff, orientation_of
from twofold.data.numpy_file import is_numpy, open_numpy
from twofold.data.pillow_file import open_by_pillow
from twofold.data.rasters import is_imagine, open_raster, tiff_or_raster
from twofold.data.rules import Rules
from twofold.data.samples import Range, Samples, Seen, is_missing, scale
from twofold.data.tiff import tiff_bands

_AS_PIXELS = {"1": "L", "P": "RGB", "PA": "RGBA", "La": "LA", "RGBa": "RGBA", "RGBX": "RGB"}  # of Pillow's modes


def open_bands(content: bytes | File | Image.Image | Samples, rules: Rules) -> Samples:
    """The bands that become the channels, in their order; with its header read and its pixels not yet.

    Raises UnreadableError where the image has not got them, or what Pillow raises.
    """
    return _chosen(_all_bands(content, rules.pages), rules)


def shrink_bands(
    samples: Samples, range_: Range, target: tuple[int, int], seen: Seen
) -> list[UInt8[np.ndarray, "h w"]]:
    """Each band in 8 bits, as it is stored or scaled by its own pair of `range_`, at the size (width, height) `target`.

    Black where a pixel has no number.
    """
    values = samples.read(0, samples.size[1])
    missing = is_missing(values, samples.missing)
    seen.add(values, missing)
    shrunk = []
    for number in range(values.shape[2]):
        band = values[:, :, number : number + 1]
        if samples.is_deep:
            shown = scale(band, range_ if len(range_) == 2 else range_[2 * number : 2 * number + 2])
        else:
            shown = band.astype(np.uint8)
        shown = 255 - shown if samples.is_inverted else shown
        shown = np.where(missing[:, :, number : number + 1], np.uint8(0), shown)
        shrunk.append(_shrunk(Image.fromarray(np.ascontiguousarray(shown[:, :, 0])), target))
    return shrunk


def _shrunk(band: Image.Image, target: tuple[int, int]) -> UInt8[np.ndarray, "h w"]:
    return np.asarray(flatten(lambda _top, _bottom: band, band.size, target, whole=True))


def _all_bands(content: bytes | File | Image.Image | Samples, pages: str) -> Samples:
    if isinstance(content, Samples):
        return content
    if isinstance(content, Image.Image):
        return _of_image(content, None)
    if isinstance(content, bytes):
        if not content:
            raise UnreadableError("the file is empty (0 bytes)")
        return _of_file(io.BytesIO(content), content, pages)
    return _of_file(content, None, pages)


def _of_file(file: File, content: bytes | None, pages: str) -> Samples:
    head = head_of(file)
    if is_numpy(head):
        return open_numpy(file)
    if is_tiff(head):
        return tiff_or_raster(file, lambda tiff: tiff_bands(tiff, pages))
    if is_imagine(head):
        return open_raster(file, "an Imagine")
    if is_dicom(file):
        return open_dicom(file, all_frames=pages == "channels")
    image = open_by_pillow(file)
    return image if isinstance(image, Samples) else _of_image(image, content)


def _of_image(image: Image.Image, content: bytes | None) -> Samples:
    deep = deep_samples(image, content)
    if deep is not None:
        return replace(deep, colours=deep.colours + (deep.alpha is not None))
    mode = _AS_PIXELS.get(image.mode, image.mode)
    bands = len(Image.new(mode, (1, 1)).getbands())

    def read(top: int, bottom: int) -> Num[np.ndarray, "h w b"]:
        rows = np.asarray(image.crop((0, top, image.width, bottom)).convert(mode))
        return rows.reshape(*rows.shape[:2], bands)

    return Samples(
        format=format_of(image),
        size=image.size,
        bits=1 if image.mode == "1" else image.info.get(BITS, 8),
        colours=bands,
        read=read,
        limits=(0.0, 255.0),
        orientation=orientation_of(image),
        held_bytes=8 * image.width * image.height,
    )


def _chosen(samples: Samples, rules: Rules) -> Samples:
    """With the bands of the rules alone. Raises UnreadableError."""
    there = samples.colours + samples.further_bands
    bands = rules.bands or tuple(range(1, there + 1))
    if max(bands) > there:
        raise UnreadableError(f"it has {there} bands, not the band {max(bands)} that --bands asks for")
    if len(bands) != rules.channels:
        raise UnreadableError(
            f"it has {there} bands, not {rules.channels} as --channels says; choose with --bands, or change --channels"
        )
    places = [band - 1 for band in bands]
    read = samples.read_bands or samples.read
    width, height = samples.size
    return replace(
        samples,
        colours=len(bands),
        read=lambda top, bottom: read(top, bottom)[:, :, places],
        read_bands=None,
        alpha=None,
        further_bands=0,
        held_bytes=samples.held_bytes + 8 * there * width * height,
        info={},
    )
