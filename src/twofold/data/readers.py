"""Which reader opens an image: its header is read, its pixels are not yet."""

import io
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from PIL import Image

from twofold.data.bands import open_bands
from twofold.data.deep import deep_samples
from twofold.data.dicom import is_dicom, open_dicom
from twofold.data.formats import (
    MAX_PIXELS,
    File,
    UnreadableError,
    head_of,
    is_heic,
    is_raw,
    is_tiff,
    open_heic,
    open_raw,
    reason_of,
)
from twofold.data.numpy_file import is_numpy, open_numpy
from twofold.data.pillow_file import open_by_pillow
from twofold.data.quiet import quiet
from twofold.data.rasters import is_imagine, open_raster, tiff_or_raster
from twofold.data.record import Source
from twofold.data.rules import Rules
from twofold.data.samples import Samples
from twofold.data.tiff import open_tiff
from twofold.errors import TwofoldError


@contextmanager
def as_unreadable() -> Iterator[None]:
    """Without warnings; whatever goes wrong inside with a file is an UnreadableError."""
    with quiet():
        try:
            yield
        except (TwofoldError, MemoryError):
            raise
        except Exception as error:  # Pillow's readers raise almost anything for a broken file
            raise UnreadableError(reason_of(error)) from error


def open_image(content: bytes | File | Image.Image | Samples, rules: Rules | None = None) -> Image.Image | Samples:
    """The image with its header read and its pixels not yet; its bands where the rules ask for them.

    Raises UnreadableError or what Pillow raises.
    """
    if rules is not None and rules.by_bands:
        opened: Image.Image | Samples = open_bands(content, rules)
    elif isinstance(content, bytes):
        if not content:
            raise UnreadableError("the file is empty (0 bytes)")
        opened = _open(io.BytesIO(content))
    else:
        opened = content if isinstance(content, Image.Image | Samples) else _open(content)
    if opened.size[0] * opened.size[1] > MAX_PIXELS:
        raise Image.DecompressionBombError
    if isinstance(opened, Samples):
        return opened
    return deep_samples(opened, content if isinstance(content, bytes) else None) or opened


@contextmanager
def opened(source: Source, index: int, rules: Rules | None = None) -> Iterator[Image.Image | Samples]:
    """An image of a source with its header read; its file is closed at the end, an image of the user's own is not.

    Raises what `open_image` raises.
    """
    content = source.open(index)
    with nullcontext(content) if isinstance(content, Image.Image) else content as file:
        yield open_image(file, rules)


def _open(file: File) -> Image.Image | Samples:
    head = head_of(file)
    if is_heic(head):
        return open_heic(file)
    if is_raw(head):
        return open_raw(file)
    if is_numpy(head):
        return open_numpy(file)
    if is_dicom(file):
        return open_dicom(file)
    if is_imagine(head):
        return open_raster(file, "an Imagine")
    return tiff_or_raster(file, open_tiff) if is_tiff(head) else open_by_pillow(file)
