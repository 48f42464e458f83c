"""Which files are images, by name and by content, and who reads them: Pillow, or a library that is an extra."""

import importlib
import importlib.util
import io
from functools import cache
from typing import Any, BinaryIO

from PIL import Image, UnidentifiedImageError

from twofold.data.colour_space import CODE_POINTS
from twofold.errors import TwofoldError

MAX_PIXELS = 178_956_970  # Pillow's own limit; above it a header is taken to lie
File = BinaryIO | io.BytesIO  # open for reading, at its beginning

# All that Pillow reads without another program. TGA has no magic number, so it comes last.
ANIMATED = ("GIF", "WEBP", "PNG", "AVIF")  # formats whose files may hold several frames
_FIRST = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "AVIF", "JPEG2000", "PPM", "DIB", "DDS", "ICO", "ICNS", "PSD")
FORMATS = (*_FIRST, "QOI", "PCX", "DCX", "SGI", "SUN", "MSP", "XBM", "XPM", "TGA")


def _named(text: str) -> frozenset[str]:
    return frozenset(f".{ending}" for ending in text.split())


_HEIC = _named("heic heif hif")
_RAW = _named("3fr arw cr2 cr3 dng erf iiq kdc mef mos mrw nef nrw orf pef raf rw2 rwl sr2 srf srw x3f")
_DICOM = _named("dcm dicom ima")
SLIDES = tuple(sorted(_named("svs ndpi mrxs scn vms vmu bif")))
_EXTRAS = (  # extensions, the library that reads them, our extra
    (_HEIC, "pi_heif", "heic"),
    (_RAW, "rawpy", "raw"),
    (_DICOM, "pydicom", "dicom"),
    (_named("img"), "rasterio", "geo"),
    (frozenset(SLIDES), "openslide", "slides"),
)
_PILLOW_EXTENSIONS = _named("""
    jpg jpeg jpe jfif mpo png apng webp bmp dib gif tif tiff avif jp2 j2k j2c jpc jpf jpx ppm pgm pbm pnm pfm tga psd
    dds qoi pcx sgi ras
""")


@cache
def extensions() -> frozenset[str]:
    """The extensions of the files that are read here, with the extras that are installed."""
    return _PILLOW_EXTENSIONS.union(*(ends for ends, module, _ in _EXTRAS if is_installed(module)))


def extra_for(extension: str) -> str | None:
    """The extra of this package that would read files of an extension, where it is not installed."""
    wanted = (extra for ends, module, extra in _EXTRAS if extension in ends and not is_installed(module))
    return next(wanted, None)


def is_installed(module: str) -> bool:
    """Whether a library is there, which is not loaded for that."""
    return importlib.util.find_spec(module) is not None


_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
_RAW_STARTS = (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"\0MRM", b"FOVb")
_HEAD = 64  # bytes that tell
_TURNS = {3: 3, 5: 8, 6: 6}  # LibRaw's flip -> EXIF's orientation
ORIENTATION = 0x0112
BITS = "bits of a sample"  # in an image's info, where Pillow makes 8 of them
PAGES = "further pages"  # in an image's info: there are pages or frames beyond the one that is read


NO_DATA = "it holds no data: every pixel is nodata or not a number"


class UnreadableError(TwofoldError):
    """An image that cannot be decoded; the message is the reason."""


class RangeNeededError(UnreadableError):
    """An image of more than 8 bits, where the range for all of them is yet to be measured."""


def reason_of(error: Exception) -> str:
    """Why an image could not be read, in a few words."""
    if isinstance(error, UnreadableError):
        return str(error)
    if isinstance(error, UnidentifiedImageError):
        return "its content is not recognised as an image, whatever its name"
    if isinstance(error, Image.DecompressionBombError):
        return f"the header claims more than {MAX_PIXELS / 1e6:.0f} million pixels"
    if isinstance(error, OSError) and error.strerror:
        return f"the file cannot be opened ({error.strerror})"
    text = " ".join(str(error).split())[:200]
    if text.startswith("Truncated"):
        return "the file is truncated: it ends within its header"
    return text or type(error).__name__


def format_of(image: Image.Image) -> str:
    """What a survey calls it: a phone's JPEG with a second one is a JPEG."""
    return {"MPO": "JPEG", None: "memory"}.get(image.format, str(image.format))


def head_of(file: File) -> bytes:
    """The first bytes; the file is back at its beginning afterwards."""
    head = file.read(_HEAD)
    file.seek(0)
    return head


def is_tiff(head: bytes) -> bool:
    """Whether a file begins as a TIFF does, many RAW files among them."""
    return head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def is_heic(head: bytes) -> bool:
    """Whether a file is HEIC or HEIF; AVIF, in the same container, is not."""
    return head[4:8] == b"ftyp" and head[8:12] in _HEIC_BRANDS and b"avif" not in head


def is_raw(head: bytes) -> bool:
    """Whether a file is a camera's RAW, as far as the first bytes tell; `tiff.is_raw` looks further."""
    return head.startswith(_RAW_STARTS) or head[8:10] == b"CR" or head[4:12] == b"ftypcrx "


def open_heic(file: File) -> Image.Image:
    """The header of a HEIC file. libheif turns it upright as it decodes. Raises UnreadableError without the extra."""
    image: Image.Image = load_extra("pi_heif", "heic", "a HEIC").HeifImageFile(file)
    image.format = "HEIC"
    image.info[BITS] = image.info.get("bit_depth", 8)
    if "nclx_profile" in image.info:
        points = ("color_primaries", "transfer_characteristics", "matrix_coefficients")
        image.info[CODE_POINTS] = (*(image.info["nclx_profile"][point] for point in points), 1)
    return image


def open_raw(file: File) -> Image.Image:
    """The preview in a RAW file. Raises UnreadableError where there is none, and without the extra."""
    rawpy = load_extra("rawpy", "raw", "a camera's RAW")
    try:
        with rawpy.imread(file) as raw:
            preview, flip = raw.extract_thumb(), raw.sizes.flip
    except (rawpy.LibRawNoThumbnailError, rawpy.LibRawUnsupportedThumbnailError) as error:
        raise UnreadableError("the RAW file has no readable preview; export it as JPEG or TIFF") from error
    except rawpy.LibRawError as error:
        raise UnreadableError(f"the RAW file cannot be read ({error}); export it as JPEG or TIFF") from error
    if preview.format == rawpy.ThumbFormat.JPEG:
        image: Image.Image = Image.open(io.BytesIO(preview.data), formats=("JPEG",))
    else:
        image = Image.fromarray(preview.data)
    if ORIENTATION not in image.getexif():
        image.getexif()[ORIENTATION] = _TURNS.get(flip, 1)
    image.format = "RAW"
    return image


def orientation_of(image: Image.Image) -> int:
    """EXIF's orientation, 1 (upright) to 8."""
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # broken metadata around whole pixels: take them as they are
        return 1


def load_extra(module: str, extra: str, what: str) -> Any:
    """A library that is an extra, for `what` file. Raises UnreadableError with the line that installs it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UnreadableError(
            f"it is {what} file, which needs one more library: pip install 'twofold[{extra}]'"
        ) from error
