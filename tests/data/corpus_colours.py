"""Image files that say what their colours are otherwise than by a profile, or by two ways at once.

The colours that are due come from the published matrices of each space (D50) and its formula.
"""

import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from data.corpus_pixels import (
    AVIF,
    CURVES,
    FIELDS_YCC,
    P3,
    SRGB,
    Case,
    by_torchvision,
    colour,
    deep_tiff,
    grey,
    mask,
    numbers,
    of_ycc,
    on_white,
    palette,
    palette_truth,
    shown,
    through,
)
from data.image_files import png, png_chunk, profile, saved, tiff

ADOBE = np.array([[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]])
BT_2020 = np.array([[0.67348, 0.16569, 0.12505], [0.27905, 0.67534, 0.04561], [-0.00193, 0.02998, 0.79686]])
OF_SRGB = CURVES["sRGB's formula"][1]
WHITE = (0.3127, 0.3290)
PRIMARIES = {"sRGB": (0.64, 0.33, 0.30, 0.60, 0.15, 0.06), "P3": (0.68, 0.32, 0.265, 0.69, 0.15, 0.06)}


SRGB_PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def of_video(v: np.ndarray) -> np.ndarray:
    """BT.709, from a signal to light."""
    return np.where(v < 0.081, v / 4.5, ((v + 0.099) / 1.099) ** (1 / 0.45))


def gamma(number: int) -> tuple[bytes, bytes]:
    return b"gAMA", struct.pack(">I", number)


def chromaticities(space: str) -> tuple[bytes, bytes]:
    return b"cHRM", struct.pack(">8I", *(round(v * 100000) for v in (*WHITE, *PRIMARIES[space])))


def points(primaries: int, transfer: int, is_full: int = 1) -> tuple[bytes, bytes]:
    return b"cICP", bytes([primaries, transfer, 0, is_full])


def embedded(content: bytes) -> tuple[bytes, bytes]:
    return b"iCCP", b"test\0\0" + zlib.compress(content)


def by(*chunks: tuple[bytes, bytes], values: Callable[[], np.ndarray] = colour) -> Callable[[], bytes]:
    return lambda: png(values(), *chunks)


def linear(levels: np.ndarray) -> np.ndarray:
    """Linear light in sRGB."""
    return through(SRGB, 1.0, levels if levels.shape[2] == 3 else levels.repeat(3, axis=2))


def of_png() -> list[Case]:
    srgb, wide = (b"sRGB", b"\0"), profile(b"RGB ", 2.2, P3)
    deep, dark = lambda: numbers("u2", 3, 65535), lambda: numbers("u2", 3, 4000)
    plain: dict[str, Any] = {"truth": colour}
    of_p3, unknown = {"truth": lambda: through(P3, OF_SRGB), "notes": "profile"}, {**plain, "notes": "profile unknown"}
    bright = {"truth": lambda: linear(colour()), "notes": "profile"}
    told: list[tuple[str, Callable[[], bytes], dict[str, Any]]] = [
        ("gamma 1 / 2.2", by(gamma(45455)), plain),
        ("gamma and primaries of sRGB", by(gamma(45455), chromaticities("sRGB")), plain),
        ("linear", by(gamma(100000)), bright),
        ("gamma of the old Macintosh", by(gamma(55556)), {**bright, "truth": lambda: through(SRGB, 1.8)}),
        ("primaries of P3", by(gamma(45455), chromaticities("P3")), of_p3),
        ("primaries of P3 alone", by(chromaticities("P3")), of_p3),
        ("linear P3", by(gamma(100000), chromaticities("P3")), {**bright, "truth": lambda: through(P3, 1.0)}),
        ("linear, under sRGB", by(srgb, gamma(100000)), plain),
        ("linear, under a profile", by(embedded(wide), gamma(100000)), {**bright, "truth": lambda: through(P3, 2.2)}),
        ("a profile under code points of sRGB", by(points(1, 13), embedded(wide)), plain),
        ("code points of P3, sRGB below", by(points(12, 13), srgb), of_p3),
        ("code points of nothing", by(points(2, 2), gamma(100000)), bright),
        ("code points, linear", by(points(2, 8)), bright),
        ("code points of BT.709", by(points(1, 1)), {**bright, "truth": lambda: through(SRGB, of_video)}),
        ("code points of BT.2020", by(points(9, 14)), {**bright, "truth": lambda: through(BT_2020, of_video)}),
        ("code points of PQ", by(points(9, 16), gamma(45455)), {**plain, "notes": "hdr"}),
        ("code points of HLG", by(points(9, 18)), {**plain, "notes": "hdr"}),
        (
            "code points of PQ over a profile",
            by(points(9, 16), embedded(wide)),
            {"truth": lambda: through(P3, 2.2), "notes": "hdr profile"},
        ),
        ("code points that nobody has", by(points(1, 9)), unknown),
        ("code points of the range of video", by(points(1, 13, 0)), unknown),
        ("a profile that cannot be unpacked", by((b"iCCP", b"test\0\0no deflate")), unknown),
        ("gamma 0", by(gamma(0)), unknown),
        ("primaries on one line", by((b"cHRM", struct.pack(">8I", *[31270] * 8))), unknown),
        ("primaries that are 0", by((b"cHRM", bytes(32))), unknown),
        ("grey, linear", by(gamma(100000), values=grey), {**bright, "truth": lambda: linear(grey())}),
        ("grey, code points of P3", by(points(12, 13), values=grey), {"truth": lambda: grey().repeat(3, axis=2)}),
        (
            "grey with transparency, linear",
            by(gamma(100000), values=lambda: np.concatenate([grey(), mask()], axis=2)),
            {"truth": lambda: on_white(linear(grey()), mask()), "notes": "profile transparent"},
        ),
        (
            "16 bits, linear",
            by(gamma(100000), values=deep),
            {**bright, "truth": lambda: linear(deep() / 257), "rules": {"range": (0.0, 100.0)}},
        ),
        (
            "16 bits, gamma and primaries of sRGB",
            by(gamma(45455), chromaticities("sRGB"), values=dark),
            {"truth": lambda: shown(dark(), 0, 4000), "rules": {"range": (0.0, 4000.0)}},
        ),
        (
            "grey of 16 bits, linear",
            by(gamma(100000), values=lambda: numbers("u2", 1, 65535)),
            {"truth": lambda: shown(numbers("u2", 1, 65535), 0, 65535), "notes": "profile unused"},
        ),
    ]
    return [Case(f"PNG: {name}", content, **due) for name, content, due in told]


def said_avif(primaries: int, transfer: int) -> bytes:
    return AVIF.replace(b"nclx\0\1\0\x0d", b"nclx" + struct.pack(">HH", primaries, transfer))


def exif(space: int, option: str = "", order: str = "<") -> Image.Exif:
    """As cameras write it: the colour space, and the option file that names Adobe RGB."""
    written = Image.Exif()
    written.endian = order
    inner = written.get_ifd(0x8769)
    inner[0xA001] = space
    if option:
        inner[0xA005] = {1: option}
    return written


def jpeg_2000(colr: bytes) -> bytes:
    """With another box of colours in its header."""
    content = saved(Image.fromarray(colour()), "JPEG2000", irreversible=False)
    old = struct.pack(">I4sBBBI", 15, b"colr", 1, 0, 0, 16)
    place = content.index(b"jp2h") - 4
    (size,) = struct.unpack_from(">I", content, place)
    header = content[place + 4 : place + size].replace(old, struct.pack(">I", 8 + len(colr)) + b"colr" + colr)
    return content[:place] + struct.pack(">I", 4 + len(header)) + header + content[place + size :]


def bitmap(kind: bytes, attached: bytes) -> bytes:
    """A bitmap of Windows of the fifth version, with what is attached."""
    plain = saved(Image.fromarray(colour()), "BMP")
    pixels = plain[54:]
    header = struct.pack("<I", 124) + plain[18:54] + bytes(16) + kind + bytes(48)
    header += struct.pack("<IIII", 4, 124 + len(pixels), len(attached), 0)
    return b"BM" + struct.pack("<IHHI", 14 + 124 + len(pixels) + len(attached), 0, 0, 138) + header + pixels + attached


def of_others() -> list[Case]:
    wide = profile(b"RGB ", 2.2, P3)
    pale = profile(b"RGB ", 2.2, P3, {b"cicp": b"cicp" + bytes(4) + bytes([9, 16, 0, 1])})
    photo = {"quality": 100, "subsampling": 0}
    adobe = saved(Image.fromarray(colour()), "JPEG", exif=exif(65535, "R03"), **photo)
    levels = np.rint((np.arange(256) / 255) ** 1.5 * 65535).astype(int).tolist()
    fields = lambda: of_ycc(FIELDS_YCC)  # noqa: E731
    told: list[tuple[str, Callable[[], bytes], dict[str, Any]]] = [
        (
            "AVIF of P3",
            lambda: said_avif(12, 13),
            {"truth": lambda: through(P3, OF_SRGB, fields()), "notes": "profile"},
        ),
        ("AVIF of PQ", lambda: said_avif(9, 16), {"truth": fields, "notes": "hdr"}),
        ("AVIF that says nothing", lambda: said_avif(2, 2), {"truth": fields}),
        (
            "AVIF with a profile",
            lambda: saved(Image.fromarray(colour()), "AVIF", quality=100, subsampling="4:4:4", icc_profile=wide),
            {"notes": "profile"},
        ),
        (
            "TIFF with primaries of P3",
            lambda: tiff(colour(), photometric=2, tags={318: (5, WHITE), 319: (5, PRIMARIES["P3"])}),
            {"truth": lambda: through(P3, OF_SRGB), "notes": "profile"},
        ),
        (
            "TIFF with primaries of sRGB",
            lambda: tiff(colour(), photometric=2, tags={318: (5, WHITE), 319: (5, PRIMARIES["sRGB"])}),
            {"truth": colour},
        ),
        (
            "TIFF with a table of light",
            lambda: tiff(colour(), photometric=2, tags={301: (3, tuple(levels * 3))}),
            {"truth": lambda: through(SRGB, 1.5), "notes": "profile"},
        ),
        (
            "TIFF, grey, with a table of light",
            lambda: tiff(grey(), tags={301: (3, tuple(levels))}),
            {"truth": lambda: through(SRGB, 1.5, grey().repeat(3, axis=2)), "notes": "profile"},
        ),
        (
            "TIFF of 16 bits with primaries of P3",
            lambda: tiff(numbers("u2", 3, 65535), photometric=2, tags={318: (5, WHITE), 319: (5, PRIMARIES["P3"])}),
            {"truth": lambda: through(P3, OF_SRGB, numbers("u2", 3, 65535) / 257), "notes": "profile"},
        ),
        (
            "TIFF of 16 bits with a profile of PQ",
            lambda: deep_tiff(pale),
            {"truth": lambda: through(P3, 2.2, numbers("u2", 3, 65535) / 257), "notes": "hdr profile"},
        ),
        (
            "PNG with a profile of PQ",
            by(embedded(pale)),
            {"truth": lambda: through(P3, 2.2), "notes": "hdr profile"},
        ),
        (
            "PNG of a palette, linear",
            lambda: _with_chunk(saved(palette(), "PNG"), *gamma(100000)),
            {"truth": lambda: linear(palette_truth()), "notes": "profile"},
        ),
        (
            "JPEG of Adobe RGB by its EXIF",
            lambda: adobe,
            {"truth": lambda: through(ADOBE, 563 / 256, by_torchvision(adobe)), "notes": "profile"},
        ),
        (
            "JPEG of Adobe RGB by its EXIF, high byte first",
            lambda: saved(Image.fromarray(colour()), "JPEG", exif=exif(65535, "R03", ">"), **photo),
            {"truth": lambda: through(ADOBE, 563 / 256, by_torchvision(adobe)), "notes": "profile"},
        ),
        (
            "WEBP of Adobe RGB by its EXIF",
            lambda: saved(Image.fromarray(colour()), "WEBP", exif=exif(2, "R03"), lossless=True),
            {"truth": lambda: through(ADOBE, 563 / 256), "notes": "profile"},
        ),
        (
            "JPEG of sRGB by its EXIF",
            lambda: saved(Image.fromarray(colour()), "JPEG", exif=exif(1, "R98"), **photo),
            {},
        ),
        (
            "JPEG of no known colours by its EXIF",
            lambda: saved(Image.fromarray(colour()), "JPEG", exif=exif(65535), **photo),
            {"notes": "profile unknown"},
        ),
        (
            "JPEG of Adobe RGB by its EXIF, with a profile",
            lambda: saved(Image.fromarray(colour()), "JPEG", exif=exif(65535, "R03"), icc_profile=wide, **photo),
            {"notes": "profile"},
        ),
        ("JPEG 2000 of sRGB", lambda: jpeg_2000(struct.pack(">BBBI", 1, 0, 0, 16)), {"truth": colour}),
        (
            "JPEG 2000 with a profile",
            lambda: jpeg_2000(b"\2\0\0" + wide),
            {"truth": lambda: through(P3, 2.2), "notes": "profile"},
        ),
        (
            "JPEG 2000 of ROMM RGB",
            lambda: jpeg_2000(struct.pack(">BBBI", 1, 0, 0, 21)),
            {"truth": colour, "notes": "profile unknown"},
        ),
        (
            "JPEG, grey, with a profile of colours",
            lambda: saved(Image.fromarray(grey()[:, :, 0]), "JPEG", quality=100, icc_profile=profile(b"RGB ", 1.0, P3)),
            {"truth": lambda: linear(grey()), "notes": "profile"},
        ),
        (
            "JPEG, grey, with the profile of sRGB",
            lambda: saved(Image.fromarray(grey()[:, :, 0]), "JPEG", quality=100, icc_profile=SRGB_PROFILE),
            {"truth": lambda: grey().repeat(3, axis=2)},
        ),
        (
            "PNG, grey with transparency, with a profile of grey",
            by(embedded(profile(b"GRAY", 1.0)), values=lambda: np.concatenate([grey(), mask()], axis=2)),
            {"truth": lambda: on_white(linear(grey()), mask()), "notes": "profile transparent"},
        ),
        ("BMP of the fifth version", lambda: bitmap(b"BGRs", b""), {"truth": colour}),
        (
            "BMP with a profile",
            lambda: bitmap(b"DEBM", wide),
            {"truth": lambda: through(P3, 2.2), "notes": "profile"},
        ),
        (
            "BMP whose profile lies elsewhere",
            lambda: bitmap(b"KNIL", b"c:\\wide.icm\0"),
            {"truth": colour, "notes": "profile unknown"},
        ),
    ]
    return [Case(name, content, **due) for name, content, due in told]


def _with_chunk(content: bytes, name: bytes, data: bytes) -> bytes:
    """A PNG with one more chunk after its header."""
    return content[:33] + png_chunk(name, data) + content[33:]


CASES = [*of_png(), *of_others()]
