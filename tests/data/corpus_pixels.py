"""Made-up image files of every format, depth, layout, profile and damage, and what each of them shows.

A case makes a file and says which pixels are due, to within one level, worked out from the numbers that were written
(of a JPEG, from what torchvision reads), or which reason is given that there are none. Images are some 12 x 16 pixels.
"""

import struct
import warnings
import zlib
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from PIL import Image
from torchvision.io import decode_image

from data.image_files import assembled, dng, ink_profile, png, profile, saved, tiff

H, W = 12, 16
HEIC = b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAXxtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAAACJpbG9jAA"
    "AAAERAAAEAAQAAAAABoAABAAAAAAAAARYAAAAjaWluZgAAAAAAAQAAABVpbmZlAgAAAAABAABodmMxAAAAAA5waXRtAAAAAAABAAAA/GlwcnAA"
    "AADcaXBjbwAAAHVodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQApQgEBA3AAAAMAkA"
    "AAAwAAAwAeoCCBBZbqrprm4CGgwIAAAAyAAAADAIRiAAEABkQBwXPBiQAAABNjb2xybmNseAABAA0ABoAAAAAUaXNwZQAAAAAAAABAAAAAQAAA"
    "AChjbGFwAAAAGAAAAAEAAAAQAAAAAf///9gAAAAC////0AAAAAIAAAAQcGl4aQAAAAADCAgIAAAAGGlwbWEAAAAAAAAAAQABBYECAwWEAAABHm"
    "1kYXQAAAESKAGvBjIIsyULgF1Bcvb1Cv//kf9D3afTiRs2yux/bZm1w/NQnXKdjPtE7d1b7f/C98U1HevtBWQ8l5v/ie1f7wlYaFf62P+xJ97c"
    "342d9B5Dwv/NfyDhIunBT96Kf4N1eeuYr+38pseNMXCr83eloYnx227vq3fVYw3BAaTD72GcR6/2/Z/oblo3UndSh5cmEC6a8gYK24qcBFNILy"
    "h9ecKHPXD6I7J8xo+R85y735IRaRmXlN71VAzxzUMKiqYURDZkfpynyheWkflN9YQ/KLaQKg0wFOxwQJ9Mtlo5Masg8A+kWSzCwIewiQqDRGB0"
    "nYqCbbpTTWIUxXhbgefzaDSwAspRTt1I+DdHNCOjGEYx+w=="
)  # four fields of one colour each, 16 x 24 pixels
FIELDS = np.repeat(np.repeat([[(200, 40, 40), (40, 200, 40)], [(40, 40, 200), (220, 220, 60)]], 8, 0), 12, 1)
AVIF = b64decode(
    "AAAAIGZ0eXBhdmlmAAAAAGF2aWZtaWYxbWlhZk1BMUEAAADrbWV0YQAAAAAAAAAhaGRscgAAAAAAAAAAcGljdAAAAAAAAAAAAAAAAAAAAAAOcGl0bQ"
    "AAAAAAAQAAAB5pbG9jAAAAAEQAAAEAAQAAAAEAAAETAAAAKQAAAChpaW5mAAAAAAABAAAAGmluZmUCAAAAAAEAAGF2MDFDb2xvcgAAAABqaXBycAAA"
    "AEtpcGNvAAAAFGlzcGUAAAAAAAAAGAAAABAAAAAQcGl4aQAAAAADCAgIAAAADGF2MUOBIAAAAAAAE2NvbHJuY2x4AAEADQAGgAAAABdpcG1hAAAAAA"
    "AAAAEAAQQBAoMEAAAAMW1kYXQSAAoIOBDv/KAhoNIyG0QAAP6tzZNDbWGiH5ZmswWailrQsmPuHjW1Ng=="
)  # as FIELDS; below are luma and chroma of each field as FFmpeg reads them
FIELDS_YCC = np.array([[(88, -27, 80), (134, -54, -67)], [(58, 80, -14), (202, -80, 13)]]).repeat(8, 0).repeat(12, 1)
P3 = np.array([[0.51512, 0.29198, 0.1571], [0.24120, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]])  # to XYZ, D50
INKS = np.array([[100, 0, 0], [-20, -20, -20], [-20, 20, 0], [-10, 0, 20], [-50, 0, 0]])  # L*a*b*: paper, then each ink
SRGB = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])
CURVES: dict[str, tuple[bytes, Callable[[np.ndarray], np.ndarray]]] = {
    "a table": (
        b"curv" + struct.pack(">4xI4095H", 4095, *np.rint(np.linspace(0, 1, 4095) ** 1.8 * 65535).astype(int).tolist()),
        lambda x: x**1.8,
    ),
    "a power": (b"para" + struct.pack(">4xHxxi", 0, 157286), lambda x: x**2.4),
    "sRGB's formula": (
        b"para" + struct.pack(">4xHxx5i", 3, 157286, 62119, 3417, 5072, 2651),
        lambda x: np.where(x < 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4),
    ),
    "a formula with an offset": (
        b"para" + struct.pack(">4xHxx4i", 2, 131072, 52429, 6554, 6554),
        lambda x: (0.8 * x + 0.1) ** 2 + 0.1,
    ),
}


@dataclass(frozen=True)
class Case:
    """A file, and its pixels (H, W, 3) or the reason (a regular expression) why there are none."""

    name: str
    content: Callable[[], bytes]
    truth: Callable[[], np.ndarray] | None = None
    reason: str = ""
    notes: str = ""  # of traits.NOTES, sorted, but for the range
    rules: dict[str, Any] = field(default_factory=dict)


def colour() -> np.ndarray:
    """Smooth, so that a format with losses keeps it too."""
    y, x = np.mgrid[:H, :W]
    return np.stack([15 * x, 20 * y, 8 * (x + y)], axis=2).astype(np.uint8)


def grey() -> np.ndarray:
    return colour()[:, :, [2]]


def numbers(kind: str, bands: int = 1, top: float = 4000) -> np.ndarray:
    """Values 0 .. top (H, W, bands) of a type, that differ from band to band."""
    y, x = np.mgrid[:H, :W]
    steps = np.stack([(x + W * y + 31 * band) % (H * W) for band in range(bands)], axis=2)
    return (steps / (H * W - 1) * top).astype(kind)


def shown(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """As 8 bits, in three channels."""
    levels = np.clip(np.rint((values.astype(np.float64) - low) / (high - low) * 255), 0, 255)
    return (levels if values.shape[2] == 3 else levels.repeat(3, axis=2)).astype(np.uint8)


def on_white(pixels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    return np.rint(pixels * (alpha / 255) + 255 - alpha)


def mask() -> np.ndarray:
    """Transparency as it is in photographs that were cut out: all, nothing, and an edge between them."""
    return np.clip((np.mgrid[:H, :W][1] - 6) * 100, 0, 255).astype(np.uint8)[:, :, None]


def through(columns: np.ndarray, curve: float | Callable[[np.ndarray], np.ndarray], levels: Any = None) -> np.ndarray:
    """Colours (of `colour()`) in a space of these XYZ and this gamma or curve, in sRGB."""
    shares = (colour() if levels is None else levels) / 255
    linear = curve(shares) if callable(curve) else shares**curve
    return np.rint(255 * _encoded(np.clip(linear @ columns.T @ np.linalg.inv(SRGB).T, 0, 1)))


def of_lab(lab: np.ndarray) -> np.ndarray:
    """L*a*b* (D50) in sRGB."""
    y = (lab[:, :, 0] + 16) / 116
    roots = np.stack([y + lab[:, :, 1] / 500, y, y - lab[:, :, 2] / 200], axis=2)
    xyz = np.where(roots > 6 / 29, roots**3, 3 * (6 / 29) ** 2 * (roots - 4 / 29)) * [0.9642, 1.0, 0.8249]
    return np.rint(255 * _encoded(np.clip(xyz @ np.linalg.inv(SRGB).T, 0, 1)))


def of_ycc(values: np.ndarray) -> np.ndarray:
    """Luma and chroma (BT.601, 0..255) as red, green, blue."""
    y, blue, red = np.moveaxis(values, 2, 0)
    r, b = y + 1.402 * red, y + 1.772 * blue
    return np.clip(np.rint(np.stack([r, (y - 0.299 * r - 0.114 * b) / 0.587, b], axis=2)), 0, 255)


def by_torchvision(content: bytes) -> np.ndarray:
    """A JPEG's pixels (H, W, 3), read without Pillow, profiles not honoured."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The image decoding", DeprecationWarning)
        pixels = decode_image(torch.frombuffer(bytearray(content), dtype=torch.uint8))
    return pixels.permute(1, 2, 0).numpy()


def _encoded(linear: np.ndarray) -> np.ndarray:
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """What is seen of stored pixels, as EXIF's table has it."""
    flipped = pixels.transpose(1, 0, 2) if orientation > 4 else pixels
    flipped = flipped[::-1] if orientation in (3, 4, 7, 8) else flipped
    return flipped[:, ::-1] if orientation in (2, 3, 6, 7) else flipped


def cut_jpeg(end: int | None = None, **options: Any) -> bytes:
    """A JPEG of 64 x 64 pixels up to a byte, counted from the first of its pixels where positive."""
    y, x = np.mgrid[:64, :64]
    content = saved(Image.fromarray(np.stack([3 * x, 3 * y, x + y], axis=2).astype(np.uint8)), "JPEG", **options)
    return content[:end] if end is None or end < 0 else content[: content.index(b"\xff\xda") + end]


def whole_formats() -> list[Case]:
    """Eight bits without losses, in every format that Pillow writes."""
    cases = []
    kinds = ("PNG", "BMP", "TIFF", "PPM", "TGA", "JPEG2000", "PCX", "SGI", "WEBP", "GIF", "DDS", "QOI")
    for kind in kinds:
        options = {"WEBP": {"lossless": True}, "JPEG2000": {"irreversible": False}}.get(kind, {})
        if kind not in ("GIF",):
            cases.append(
                Case(f"{kind} RGB", lambda k=kind, o=options: saved(Image.fromarray(colour()), k, **o), colour)
            )
        if kind not in ("WEBP", "DDS", "QOI"):
            cases.append(
                Case(
                    f"{kind} grey",
                    lambda k=kind, o=options: saved(Image.fromarray(grey()[:, :, 0]), k, **o),
                    lambda: grey().repeat(3, axis=2),
                )
            )
    return cases


def frames(kind: str, **options: Any) -> bytes:
    """Two frames, the first of which is `colour()`."""
    other = Image.fromarray(colour()[::-1].copy())
    return saved(Image.fromarray(colour()), kind, save_all=True, append_images=[other], **options)


def palette() -> Image.Image:
    return Image.fromarray(colour()).quantize(200, dither=Image.Dither.NONE)


def palette_truth() -> np.ndarray:
    table = np.array(palette().getpalette(), np.uint8).reshape(-1, 3)
    return table[np.asarray(palette())]


def other_modes() -> list[Case]:
    """Palettes, single bits, CMYK, CIE Lab."""
    bits = (np.mgrid[:H, :W].sum(axis=0) % 3 == 0)[:, :, None]
    ink = np.concatenate([255 - colour(), np.full((H, W, 1), 40, np.uint8)], axis=2)
    inked = np.rint(colour() * (215 / 255))
    lab = np.concatenate([grey(), np.full((H, W, 2), 0, np.uint8)], axis=2)
    cases = [
        Case(f"{kind} palette", lambda k=kind: saved(palette(), k), palette_truth)
        for kind in ("PNG", "GIF", "BMP", "TIFF", "PCX", "TGA")
    ]
    cases += [
        Case(
            f"{kind} of single bits",
            lambda k=kind: saved(Image.fromarray(bits[:, :, 0]), k),
            lambda: 255 * bits.repeat(3, 2),
        )
        for kind in ("PNG", "BMP", "TIFF", "GIF", "PPM", "PCX")
    ]
    lightness = (grey() / 255 * 100 + 16) / 116
    y = np.where(lightness > 6 / 29, lightness**3, 3 * (6 / 29) ** 2 * (lightness - 4 / 29))
    return [
        *cases,
        Case("AVIF", lambda: AVIF, lambda: of_ycc(FIELDS_YCC)),
        Case(
            "AVIF grey",
            lambda: saved(Image.fromarray(grey()[:, :, 0]), "AVIF", quality=100),
            lambda: grey().repeat(3, axis=2),
        ),
        Case(
            "JPEG CMYK",
            lambda: saved(Image.fromarray(ink, "CMYK"), "JPEG", quality=100),
            lambda: inked,
            notes="cmyk",
        ),
        Case("TIFF CMYK", lambda: saved(Image.fromarray(ink, "CMYK"), "TIFF"), lambda: inked, notes="cmyk"),
        Case(
            "TIFF Lab",
            lambda: saved(Image.frombytes("LAB", (W, H), lab.tobytes()), "TIFF"),
            lambda: np.rint(255 * _encoded(y)).repeat(3, 2),
        ),
    ]


def depths() -> list[Case]:
    """More than 8 bits: grey and colour, of every number type, with the range that is given."""
    types = {"u2": 4095, "i2": 4095, "u4": 1e6, "i4": 1e6, "f2": 900, "f4": 0.7, "f8": 4095, "i1": 120}
    cases = []
    for kind, top in types.items():
        for order in "<>":
            for bands in (1, 3):
                values = numbers(kind, bands, top) - (
                    np.dtype(kind).type(50) if kind[0] in "if" and kind != "i1" and top > 1 else 0
                )
                cases.append(
                    Case(
                        f"TIFF {order}{kind} of {bands} bands",
                        lambda v=values, o=order, b=bands: tiff(v, order=o, photometric=2 if b == 3 else 1, rows=5),
                        lambda v=values, t=top: shown(v, 0, t),
                        rules={"range": (0.0, float(top))},
                    )
                )
    for bits in (10, 12, 14):
        top = 2**bits - 1
        cases += [
            Case(
                f"TIFF, {bits} bits in 16",
                lambda t=top: tiff(numbers("u2", 1, t)),
                lambda t=top: shown(numbers("u2", 1, t), 0, t),
                rules={"range": (0.0, float(top))},
            ),
            Case(
                f"TIFF, {bits} bits without gaps",
                lambda t=top, b=bits: tiff(numbers("u2", 1, t), bits=b),
                lambda t=top: shown(numbers("u2", 1, t), 0, t),
            ),
            Case(
                f"PNG, {bits} bits in 16",
                lambda t=top: png(numbers("u2", 1, t)),
                lambda t=top: shown(numbers("u2", 1, t), 0, t),
                rules={"range": (0.0, float(top))},
            ),
            Case(
                f"PNG in colour, {bits} bits in 16",
                lambda t=top: png(numbers("u2", 3, t)),
                lambda t=top: shown(numbers("u2", 3, t), 0, t),
                rules={"range": (0.0, float(top))},
            ),
        ]
    half = (0.0, 2000.0, 0.0, 4000.0, 1000.0, 3000.0)
    three = numbers("u2", 3)
    alpha16 = mask().astype(np.uint16) * 257
    ppm = three.astype(">u2").tobytes()
    pgm = numbers("u2", 1, 4095)
    pfm = numbers("f4", 1, 1.5)
    with_alpha = np.concatenate([numbers("u2", 3, 65535), alpha16], axis=2)
    grey_alpha = np.concatenate([numbers("u2", 1, 65535), alpha16], axis=2)
    return [
        *cases,
        Case(
            "a range for each channel",
            lambda: png(three),
            lambda: np.concatenate(
                [shown(three[:, :, [c]], *half[2 * c : 2 * c + 2])[:, :, :1] for c in range(3)], axis=2
            ),
            rules={"range": half},
        ),
        Case(
            "its own range",
            lambda: png(numbers("u2", 1, 900)),
            lambda: shown(numbers("u2", 1, 900), *np.percentile(numbers("u2", 1, 900), [0.1, 99.9])),
            rules={"range_from": "image"},
        ),
        Case(
            "PNG of 16 bits, all",
            lambda: png(numbers("u2", 1, 65535)),
            lambda: shown(numbers("u2", 1, 65535), 0, 65535),
        ),
        Case(
            "PNG of 16 bits with transparency",
            lambda: png(with_alpha),
            lambda: on_white(shown(with_alpha[:, :, :3], 0, 65535), mask()),
            notes="transparent",
        ),
        Case(
            "PNG of 16 bits, grey with transparency",
            lambda: png(grey_alpha),
            lambda: on_white(shown(grey_alpha[:, :, :1], 0, 65535), mask()),
            notes="transparent",
        ),
        Case("PPM of 12 bits", lambda: b"P6\n%d %d\n4095\n" % (W, H) + ppm, lambda: shown(three, 0, 4095)),
        Case(
            "PGM of 12 bits",
            lambda: b"P5\n%d %d\n4095\n" % (W, H) + pgm.astype(">u2").tobytes(),
            lambda: shown(pgm, 0, 4095),
        ),
        Case(
            "PFM",
            lambda: b"Pf\n%d %d\n-1.0\n" % (W, H) + pfm[::-1].astype("<f4").tobytes(),
            lambda: shown(pfm, 0, 1.5),
            rules={"range": (0.0, 1.5)},
        ),
        Case(
            "JPEG 2000 of 16 bits",
            lambda: saved(Image.fromarray(numbers("u2", 1, 4095)[:, :, 0]), "JPEG2000", irreversible=False),
            lambda: shown(numbers("u2", 1, 4095), 0, 4095),
            rules={"range": (0.0, 4095.0)},
        ),
    ]


def tiff_layouts() -> list[Case]:
    """Bands, planes, tiles, predictors, photometric interpretations, pages."""
    three, one = numbers("u2", 3), numbers("u2")
    four = np.concatenate([colour(), mask()], axis=2)
    multiplied = np.concatenate([np.rint(colour() * (mask() / 255)).astype(np.uint8), mask()], axis=2)
    infrared = np.concatenate([colour(), (colour()[:, :, :1] // 2 + 60)], axis=2)
    five = np.concatenate([infrared, grey()], axis=2)
    deep = {"range": (0.0, 4000.0)}
    ramp = np.stack([np.arange(256), np.arange(256)[::-1], np.roll(np.arange(256), 90)])
    seen = on_white(colour(), mask())
    thumb = (
        {
            256: (4, 2),
            257: (4, 2),
            258: (3, 8),
            259: (3, 1),
            262: (3, 1),
            254: (4, 1),
            273: (4, 0),
            277: (3, 1),
            278: (4, 2),
            279: (4, 4),
        },
        [bytes(4)],
    )
    page = (
        {
            256: (4, W),
            257: (4, H),
            258: (3, (8, 8, 8)),
            259: (3, 1),
            262: (3, 2),
            273: (4, 0),
            277: (3, 3),
            278: (4, H),
            279: (4, H * W * 3),
        },
        [colour().tobytes()],
    )
    layouts: dict[str, dict[str, Any]] = {
        "planes": {"planar": True},
        "tiles": {"tile": 16},
        "tiles of planes": {"tile": 16, "planar": True},
        "deflate": {"compression": 8},
        "deflate, differences": {"compression": 8, "predictor": 2},
        "differences, high byte first": {"compression": 8, "predictor": 2, "order": ">", "rows": 5},
        "no differences, whatever the tag says": {"tags": {317: (3, 2)}},
        "tiles, deflate, differences": {"tile": 16, "compression": 8, "predictor": 2},
    }
    infrareds = ((0,), (1,), (2,))
    return [
        *(
            Case(
                f"TIFF in {name}",
                lambda o=options: tiff(three, photometric=2, **o),
                lambda: shown(three, 0, 4000),
                rules=deep,
            )
            for name, options in layouts.items()
        ),
        Case(
            "TIFF of floats, predictor 3",
            lambda: tiff(numbers("f4", 3, 2), photometric=2, compression=8, predictor=3),
            lambda: shown(numbers("f4", 3, 2), 0, 2),
            rules={"range": (0.0, 2.0)},
        ),
        Case(
            "TIFF LZW of 16 bits",
            lambda: saved(Image.fromarray(one[:, :, 0]), "TIFF", compression="tiff_lzw"),
            lambda: shown(one, 0, 4000),
            rules=deep,
        ),
        Case("TIFF, white is zero", lambda: tiff(grey(), photometric=0), lambda: 255 - grey().repeat(3, 2)),
        Case(
            "TIFF of 16 bits, white is zero",
            lambda: tiff(one, photometric=0),
            lambda: 255 - shown(one, 0, 4000),
            rules=deep,
        ),
        Case(
            "TIFF with transparency", lambda: tiff(four, photometric=2, extra=(2,)), lambda: seen, notes="transparent"
        ),
        Case(
            "TIFF with premultiplied transparency",
            lambda: tiff(multiplied, photometric=2, extra=(1,)),
            lambda: seen,
            notes="transparent",
        ),
        Case(
            "TIFF, grey with transparency",
            lambda: tiff(np.concatenate([grey(), mask()], 2), extra=(2,)),
            lambda: on_white(grey().repeat(3, 2), mask()),
            notes="transparent",
        ),
        Case(
            "TIFF, transparent everywhere",
            lambda: tiff(np.concatenate([colour(), 0 * mask()], 2), photometric=2, extra=(2,)),
            colour,
            notes="bands",
        ),
        Case("TIFF without a word on its fourth band", lambda: tiff(four, photometric=2), colour, notes="bands"),
        *(
            Case(
                f"TIFF with near-infrared marked {extra[0]}",
                lambda e=extra: tiff(infrared, photometric=2, extra=e),
                colour,
                notes="bands",
            )
            for extra in infrareds
        ),
        Case(
            "TIFF with near-infrared of 16 bits",
            lambda: tiff(numbers("u2", 4), photometric=2, extra=(2,)),
            lambda: shown(numbers("u2", 4)[:, :, :3], 0, 4000),
            notes="bands",
            rules=deep,
        ),
        Case("TIFF of five bands", lambda: tiff(five, photometric=2, extra=(0, 0)), colour, notes="bands"),
        Case(
            "TIFF with transparency and near-infrared",
            lambda: tiff(np.concatenate([four, colour()[:, :, :1]], 2), photometric=2, extra=(2, 0)),
            lambda: seen,
            notes="transparent bands",
        ),
        Case(
            "TIFF of two grey bands",
            lambda: tiff(numbers("u2", 2), extra=(0,)),
            lambda: shown(numbers("u2", 2)[:, :, :1], 0, 4000),
            notes="bands",
            rules=deep,
        ),
        Case("TIFF of two pages", lambda: assembled([page, page]), colour, notes="frames"),
        Case("TIFF, a thumbnail last", lambda: assembled([page, thumb]), colour),
        *(
            Case(f"{kind} of two frames", lambda k=kind, o=options: frames(k, **o), colour, notes="frames")
            for kind, options in {"PNG": {}, "WEBP": {"lossless": True}}.items()
        ),
        Case("GIF of two frames", lambda: frames("GIF"), notes="frames"),
        Case("JPEG of two images, as of a phone", lambda: frames("MPO", quality=100)),
        Case(
            "TIFF of 16 bits of two pages",
            lambda: saved(
                Image.fromarray(one[:, :, 0]), "TIFF", save_all=True, append_images=[Image.fromarray(one[::-1, :, 0])]
            ),
            lambda: shown(one, 0, 4000),
            notes="frames",
            rules=deep,
        ),
        *(
            Case(
                f"TIFF, a palette of numbers to {top}",
                lambda t=top: tiff(grey(), photometric=3, tags={320: (3, tuple((ramp * t // 255).ravel().tolist()))}),
                lambda: ramp.T[grey()[:, :, 0]],
            )
            for top in (255, 65535)
        ),
        Case(
            "PNG of 16 bits, half transparent everywhere",
            lambda: png(np.concatenate([three * 16, np.full((H, W, 1), 32896, np.uint16)], axis=2)),
            lambda: on_white(shown(three * 16, 0, 65535), np.full((H, W, 1), 128)),
            notes="transparent",
        ),
        Case("TIFF of ICC Lab", lambda: tiff(colour(), photometric=9), reason="photometric interpretation 9"),
        Case("TIFF, a thumbnail first", lambda: assembled([thumb, page]), colour),
        Case(
            "TIFF, a number for none",
            lambda: tiff(np.where(one > 3000, np.uint16(9999), one), tags={42113: (2, b"9999\0")}),
            lambda: np.where(one > 3000, 0, shown(one, 0, 4000)),
            notes="missing values",
            rules=deep,
        ),
        Case("TIFF of seven bands, grey", lambda: tiff(numbers("u2", 7)), reason="7 bands of 16 bits .*save it as"),
        Case(
            "TIFF of complex numbers",
            lambda: tiff(numbers("u4"), tags={339: (3, 5)}),
            reason="1 bands of 32 bits .*save it as",
        ),
    ]


def profiles() -> list[Case]:
    """Colour profiles, of which the colours are worked out by the formula."""
    wide, plain = profile(b"RGB ", 2.2, P3), profile(b"GRAY", 1.0)
    picture = Image.fromarray(colour())
    linear = lambda: np.rint(255 * _encoded(grey() / 255)).repeat(3, 2)  # noqa: E731
    wide_jpeg = saved(picture, "JPEG", quality=100, subsampling=0, icc_profile=wide)
    inks = Image.fromarray(np.concatenate([colour(), grey()], axis=2), "CMYK")
    clear = Image.fromarray(np.concatenate([colour(), mask()], axis=2))
    kinds = {"PNG": {}, "TIFF": {}, "WEBP": {"lossless": True}, "JPEG2000": {"irreversible": False}}
    return [
        *(
            Case(
                f"{kind} with a wide profile",
                lambda k=kind, o=options: saved(picture, k, icc_profile=wide, **o),
                lambda: through(P3, 2.2),
                notes="profile",
            )
            for kind, options in kinds.items()
            if kind != "JPEG2000"
        ),
        Case(
            "JPEG with a wide profile",
            lambda: wide_jpeg,
            lambda: through(P3, 2.2, by_torchvision(wide_jpeg)),
            notes="profile",
        ),
        *(
            Case(
                f"{kind} of inks with a profile",
                lambda k=kind, o=options: saved(inks, k, icc_profile=ink_profile(INKS), **o),
                lambda: of_lab(INKS[0] + np.asarray(inks) / 255 @ INKS[1:]),
                notes="profile",
            )
            for kind, options in {"TIFF": {}, "JPEG": {"quality": 100, "subsampling": 0}}.items()
        ),
        Case(
            "PNG, transparent, with a wide profile",
            lambda: saved(clear, "PNG", icc_profile=wide),
            lambda: on_white(through(P3, 2.2), mask()),
            notes="profile transparent",
        ),
        Case(
            "PNG of a palette with a wide profile",
            lambda: saved(palette(), "PNG", icc_profile=profile(b"RGB ", 1.0, SRGB)),
            lambda: np.rint(255 * _encoded(palette_truth() / 255)),
            notes="profile",
        ),
        *(
            Case(
                f"{kind} of 16 bits with a linear profile",
                lambda w=write: w(profile(b"RGB ", 1.0, SRGB)),
                lambda: np.rint(255 * _encoded(numbers("u2", 3, 65535) / 65535)),
                notes="profile",
                rules={"range": (0.0, 100.0)},
            )
            for kind, write in {"TIFF": deep_tiff, "PNG": deep_png}.items()
        ),
        *(
            Case(
                f"TIFF of 16 bits in wide colours, its curve {name}",
                lambda c=curve: deep_tiff(profile(b"RGB ", c, P3)),
                lambda f=formula: through(P3, f, numbers("u2", 3, 65535) / 257),
                notes="profile",
            )
            for name, (curve, formula) in CURVES.items()
        ),
        Case(
            "TIFF of 16 bits, transparent, with a linear profile",
            lambda: tiff(
                np.concatenate([numbers("u2", 3, 65535), mask().astype(np.uint16) * 257], axis=2),
                photometric=2,
                extra=(2,),
                tags={34675: (7, profile(b"RGB ", 1.0, SRGB))},
            ),
            lambda: on_white(np.rint(255 * _encoded(numbers("u2", 3, 65535) / 65535)), mask()),
            notes="profile transparent",
        ),
        Case(
            "TIFF, grey of 16 bits with a profile",
            lambda: tiff(numbers("u2", 1, 65535), tags={34675: (7, plain)}),
            lambda: shown(numbers("u2", 1, 65535), 0, 65535),
            notes="profile unused",
        ),
        Case(
            "grey with a profile",
            lambda: saved(Image.fromarray(grey()[:, :, 0]), "PNG", icc_profile=plain),
            linear,
            notes="profile",
        ),
        Case(
            "a profile of another kind",
            lambda: saved(picture, "PNG", icc_profile=plain),
            colour,
            notes="profile unknown",
        ),
        Case(
            "a damaged profile",
            lambda: saved(picture, "PNG", icc_profile=b"no profile"),
            colour,
            notes="profile unknown",
        ),
    ]


def deep_tiff(profile: bytes) -> bytes:
    return tiff(numbers("u2", 3, 65535), photometric=2, tags={34675: (7, profile)})


def deep_png(profile: bytes, values: np.ndarray | None = None) -> bytes:
    return png(numbers("u2", 3, 65535) if values is None else values, (b"iCCP", b"test\0\0" + zlib.compress(profile)))


def orientations() -> list[Case]:
    cases = []
    for o in range(2, 9):
        exif = Image.Exif()
        exif[0x0112] = o
        chunk = (b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))
        cases += [
            Case(
                f"TIFF of 16 bits, orientation {o}",
                lambda o=o: tiff(numbers("u2"), tags={274: (3, o)}),
                lambda o=o: turned(shown(numbers("u2"), 0, 4000), o),
                notes="turned",
                rules={"range": (0.0, 4000.0)},
            ),
            Case(
                f"PNG of 16 bits, orientation {o}",
                lambda c=chunk: png(numbers("u2", 3), c),
                lambda o=o: turned(shown(numbers("u2", 3), 0, 4000), o),
                notes="turned",
                rules={"range": (0.0, 4000.0)},
            ),
            Case(
                f"WEBP, orientation {o}",
                lambda e=exif: saved(Image.fromarray(colour()), "WEBP", lossless=True, exif=e),
                lambda o=o: turned(colour(), o),
                notes="turned",
            ),
        ]
    return cases


def damage() -> list[Case]:
    """Files that end early, hold nothing, or are no images."""
    floats = numbers("f4", 1, 2)
    holes = floats.copy()
    holes[3, 4], holes[5, 6] = np.nan, np.inf
    cut = {"quality": 95, "subsampling": 0}
    whole = lambda: by_torchvision(cut_jpeg(**cut))  # noqa: E731
    return [
        Case("JPEG without its end marker", lambda: cut_jpeg(-2, **cut), whole),
        Case("JPEG, all", lambda: cut_jpeg(**cut), whole),
        Case("JPEG, half of it", lambda: cut_jpeg(-450, **cut), None, notes="truncated"),
        Case(
            "JPEG, half of it, left out", lambda: cut_jpeg(-450, **cut), reason="truncated", rules={"truncated": "skip"}
        ),
        Case("JPEG, progressive, most of it", lambda: cut_jpeg(-150, progressive=True, **cut), None, notes="truncated"),
        Case("JPEG, its header", lambda: cut_jpeg(18), reason="truncated: it ends before the first row"),
        Case("JPEG, some of its header", lambda: cut_jpeg()[:200], reason="truncated: it ends within its header"),
        *(
            Case(f"{kind}, half of it", lambda k=kind: saved(Image.fromarray(colour()), k)[:-200], reason=".")
            for kind in ("PNG", "BMP", "TIFF", "PPM", "WEBP")
        ),
        Case("TIFF of 16 bits, half of it", lambda: tiff(numbers("u2"))[:200], reason="."),
        Case("PNG of 16 bits in colour, half of it", lambda: png(numbers("u2", 3))[:-200], reason="."),
        Case("PPM of 16 bits, half of it", lambda: b"P6\n%d %d\n4095\n" % (W, H) + bytes(90), reason="truncated"),
        Case("nothing", lambda: b"", reason="empty"),
        Case("text", lambda: b"a list of images", reason="recognised"),
        Case("a drawing", lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", reason="recognised"),
        Case("TIFF without a page", lambda: b"II*\0\0\0\0\0", reason="no page"),
        Case("blank, of 16 bits", lambda: tiff(np.full((H, W, 1), 77, np.uint16)), reason="blank: every pixel is 77"),
        Case(
            "no number at all",
            lambda: tiff(np.full((H, W, 1), np.nan, np.float32)),
            reason="it holds no data",
            rules={"range": (0.0, 1.0)},
        ),
        Case(
            "some that are no numbers",
            lambda: tiff(holes),
            lambda: np.where(np.isfinite(holes), shown(np.nan_to_num(holes), 0, 2), 0),
            notes="missing values",
            rules={"range": (0.0, 2.0)},
        ),
        Case("floats without a range", lambda: tiff(floats), reason="no agreed range.*--range LOW HIGH"),
        Case(
            "beyond the range",
            lambda: tiff(numbers("u2", 1, 900)),
            reason="0 to 900, lie outside the range 5000 to 9000",
            rules={"range": (5000.0, 9000.0)},
        ),
        Case("RAW without a preview", lambda: dng(None), reason="preview|one more library"),
    ]


CASES = [*whole_formats(), *other_modes(), *depths(), *tiff_layouts(), *profiles(), *orientations(), *damage()]
