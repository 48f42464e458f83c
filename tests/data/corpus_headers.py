"""Image files whose header changes what their numbers mean, files that lost a part, and files of other kinds."""

import gzip
import struct
from base64 import b64decode
from collections.abc import Callable

import numpy as np
from PIL import Image

from data.corpus_pixels import (
    Case,
    H,
    W,
    by_torchvision,
    colour,
    cut_jpeg,
    grey,
    mask,
    numbers,
    on_white,
    shown,
)
from data.image_files import PNG_KINDS, png, png_of_rows, saved, tiff

AVIF_10 = b64decode(
    "AAAAIGZ0eXBhdmlmAAAAAGF2aWZtaWYxbWlhZk1BMUEAAADrbWV0YQAAAAAAAAAhaGRscgAAAAAAAAAAcGljdAAAAAAAAAAAAAAAAAAAAAAOcGl0bQ"
    "AAAAAAAQAAAB5pbG9jAAAAAEQAAAEAAQAAAAEAAAETAAAAQgAAAChpaW5mAAAAAAABAAAAGmluZmUCAAAAAAEAAGF2MDFDb2xvcgAAAABqaXBycAAA"
    "AEtpcGNvAAAAFGlzcGUAAAAAAAAACAAAAAQAAAAQcGl4aQAAAAADCgoKAAAADGF2MUOBIEAAAAAAE2NvbHJuY2x4AAIAAgAAgAAAABdpcG1hAAAAAA"
    "AAAAEAAQQBAoMEAAAASm1kYXQSAAoIOAh/zgQEASAyNBAAAPzmMi1mROFrJn/YZbpFJ70xf87nahPvkRviRjKHM9vxBqQtp32RjLAio/ME0OXpuaA="
)  # the first 4 rows and 8 columns of numbers("u2", 3, 1023), without losses


def few_bits(bits: int, *chunks: tuple[bytes, bytes], kind: int = 0) -> bytes:
    """A PNG of `steps(bits)`, several to a byte."""
    digits = (steps(bits)[:, :, None] >> np.arange(bits - 1, -1, -1)) & 1
    packed = np.packbits(digits.reshape(H, -1).astype(np.uint8), axis=1)
    return png_of_rows((H, W), bits, kind, [row.tobytes() for row in packed], *chunks)


def steps(bits: int) -> np.ndarray:
    return np.mgrid[:H, :W].sum(axis=0) % 2**bits


def interlaced(values: np.ndarray) -> bytes:
    """A PNG in seven passes (Adam7)."""
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
    rows = [
        row.tobytes() for top, left, down, across in passes for row in values[top::down, left::across].astype(">u2")
    ]
    return png_of_rows((H, W), 16, PNG_KINDS[values.shape[2]], rows, passes=7)


def transparent() -> list[Case]:
    """PNG's transparent colour, at every depth; what shows through is white."""
    cases = []
    for bits in (1, 2, 4):
        levels = (steps(bits) * (255 // (2**bits - 1)))[:, :, None].repeat(3, axis=2)
        key = struct.pack(">H", 1)
        cases.append(
            Case(
                f"PNG, grey of {bits} bits, one level transparent",
                lambda b=bits, k=key: few_bits(b, (b"tRNS", k)),
                lambda b=bits, v=levels: np.where((steps(b) == 1)[:, :, None], 255, v),
                notes="transparent",
            )
        )
        table = (np.arange(3 * 2**bits).reshape(-1, 3) * 5 + 9).astype(np.uint8)
        cases.append(
            Case(
                f"PNG, a palette of {bits} bits, one entry transparent",
                lambda b=bits, t=table: few_bits(b, (b"PLTE", t.tobytes()), (b"tRNS", b"\xff\0"), kind=3),
                lambda b=bits, t=table: np.where((steps(b) == 1)[:, :, None], 255, t[steps(b)]),
                notes="transparent",
            )
        )
    key = struct.pack(">3H", *colour()[3, 4].tolist())
    return [
        *cases,
        Case(
            "PNG, one colour transparent",
            lambda: png(colour(), (b"tRNS", key)),
            lambda: np.where((colour() == colour()[3, 4]).all(axis=2, keepdims=True), 255, colour()),
            notes="transparent",
        ),
    ]


def deep() -> list[Case]:
    range_ = {"range": (0.0, 4000.0)}
    both = np.concatenate([numbers("u2", 1, 65535), mask().astype(np.uint16) * 257], axis=2)
    inks = np.concatenate([colour(), grey()], axis=2)
    return [
        *(
            Case(
                f"PNG of 16 bits in seven passes, {bands} bands",
                lambda b=bands: interlaced(numbers("u2", b)),
                lambda b=bands: shown(numbers("u2", b), 0, 4000),
                rules=range_,
            )
            for bands in (1, 3)
        ),
        Case(
            "PNG of 16 bits in seven passes, grey with transparency",
            lambda: interlaced(both),
            lambda: on_white(shown(both[:, :, :1], 0, 65535), mask()),
            notes="transparent",
        ),
        Case(
            "JPEG 2000 of 12 bits",
            lambda: jpeg_2000_of_12(),
            lambda: shown(numbers("u2", 1, 4095), 0, 4095),
            rules={"range": (0.0, 4095.0)},
        ),
        Case("JPEG 2000 of 12 bits, all", lambda: jpeg_2000_of_12(), lambda: shown(numbers("u2", 1, 4095), 0, 4095)),
        Case(
            "JPEG 2000 of 16 bits with a sign",
            lambda: jpeg_2000_of_12(depth=0x8F, shift=32768 - 1000),
            lambda: shown(numbers("u2", 1, 4095), 0, 4095),
            rules={"range": (-1000.0, 3095.0)},
        ),
        Case(
            "JPEG 2000 of a fourth band",
            lambda: four_bands().replace(b"cdef", b"free"),
            colour,
            notes="bands",
        ),
        Case("JPEG 2000 with transparency", four_bands, lambda: on_white(colour(), mask()), notes="transparent"),
        Case(
            "AVIF of 10 bits",
            lambda: AVIF_10,
            lambda: shown(numbers("u2", 3, 1023)[:4, :8], 0, 1023),
        ),
        Case(
            "TIFF of inks of 16 bits",
            lambda: tiff((255 - inks).astype(np.uint16) * 257, photometric=5),
            lambda: np.rint(colour() * (grey() / 255.0)),
            notes="cmyk",
        ),
    ]


def jpeg_2000_of_12(depth: int = 0x0B, shift: int = 32768 - 2048) -> bytes:
    """A file of 16 bits that says 12, or a sign. The codec takes half of the range off: `shift` makes up for that."""
    values = numbers("u2", 1, 4095)[:, :, 0] + np.uint16(shift)
    content = saved(Image.fromarray(values), "JPEG2000", irreversible=False)
    return content.replace(b"\0\1\x0f\1\1", bytes([0, 1, depth, 1, 1]))


def four_bands() -> bytes:
    values = np.concatenate([colour(), mask()], axis=2)
    return saved(Image.fromarray(values), "JPEG2000", irreversible=False)


def lost_parts() -> list[Case]:
    cut = {"quality": 95, "subsampling": 0}
    return [
        Case("JPEG, zeros in place of its second half", lambda: cut_jpeg(-450, **cut) + bytes(450), notes="truncated"),
        Case(
            "JPEG, zeros after its end", lambda: cut_jpeg(**cut) + bytes(999), lambda: by_torchvision(cut_jpeg(**cut))
        ),
        Case("JPEG, text after its end", lambda: cut_jpeg(**cut) + b"x" * 999, lambda: by_torchvision(cut_jpeg(**cut))),
        Case(
            "TIFF whose end is missing",
            lambda: saved(Image.fromarray(colour()), "TIFF", compression="tiff_lzw")[:60],
            reason="truncated: it ends before the place where a TIFF says what it holds",
        ),
        Case("nothing but zeros", lambda: bytes(500), reason="begins with zeros, as files do whose content was lost"),
    ]


def other_kinds() -> list[Case]:
    """What is called an image and is none, or of a kind that is not read: by name, with what to do."""
    plain = saved(Image.fromarray(colour()), "JPEG")
    of_12_bits = plain.replace(b"\xff\xc0\0\x11\x08", b"\xff\xc1\0\x11\x0c")
    told: dict[str, tuple[Callable[[], bytes], str]] = {
        "a pointer of Git LFS": (lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        "a web page": (lambda: b"\n<!DOCTYPE html><html>Not found</html>", "web page, .* failed download"),
        "SVG": (lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", r"drawing \(SVG\); export"),
        "XML": (lambda: b"\xef\xbb\xbf<?xml version='1.0'?><svg/>", "XML"),
        "PDF": (lambda: b"%PDF-1.7\n", "PDF; export"),
        "JPEG XL": (lambda: b"\xff\x0a" + bytes(90), "JPEG XL; convert"),
        "JPEG XL in boxes": (lambda: b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(90), "JPEG XL; convert"),
        "JPEG XR": (lambda: b"II\xbc\x01" + bytes(90), "JPEG XR; convert"),
        "JPEG-LS": (lambda: plain.replace(b"\xff\xc0\0\x11", b"\xff\xf7\0\x11"), "JPEG-LS, which is not read"),
        "JPEG of 12 bits": (lambda: of_12_bits, "JPEG of 12 bits, which is not read; convert"),
        "OpenEXR": (lambda: b"\x76\x2f\x31\x01" + bytes(90), "OpenEXR; convert"),
        "Radiance HDR": (lambda: b"#?RADIANCE\n", "Radiance HDR; convert"),
        "FITS": (lambda: b"SIMPLE  =                    T", "FITS; convert"),
        "PAM": (lambda: b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 1\nMAXVAL 255\nENDHDR\nx", "PAM; convert"),
        "gzip": (lambda: gzip.compress(plain), r"compressed \(gzip\); unpack"),
        "a film": (lambda: b"\0\0\0\x18ftypisom" + bytes(90), "a film; export its frames"),
    }
    return [Case(name, content, reason=reason) for name, (content, reason) in told.items()]


CASES = [*transparent(), *deep(), *lost_parts(), *other_kinds()]
