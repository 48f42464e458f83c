"""Images as data URIs, so that the page needs no other file."""

import base64
import io
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from PIL import Image

SMALL_PX = 32  # up to this side, loss would show and saves little
LARGEST_SHEET_BYTES = 800_000
WIDEST_SHEET_PX = 2200


@dataclass(frozen=True, kw_only=True)
class Sprite:
    """All images of a gallery in one: tile i lies in column i % across of row i // across."""

    uri: str
    tile_px: int
    across: int
    down: int


def data_uri(content: bytes, kind: str) -> str:
    """`kind` is a media type such as "image/png"."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def picture_uri(pixels: UInt8[np.ndarray, "h w 3"]) -> str:
    """One image as WebP: lossless where small, else in quality 85."""
    return data_uri(_webp(Image.fromarray(pixels), lossless=max(pixels.shape[:2]) <= SMALL_PX), "image/webp")


def build_sprite(thumbs: UInt8[np.ndarray, "m t t 3"]) -> Sprite:
    """All thumbs in one nearly square sheet."""
    count, tile_px = len(thumbs), thumbs.shape[1]
    across = max(1, round(count**0.5))
    down = -(-count // across)
    sheet = np.full((down * across, tile_px, tile_px, 3), 255, np.uint8)
    sheet[:count] = thumbs
    pixels = sheet.reshape(down, across, tile_px, tile_px, 3).swapaxes(1, 2)
    image = Image.fromarray(np.ascontiguousarray(pixels).reshape(down * tile_px, across * tile_px, 3))
    return Sprite(
        uri=data_uri(_webp(image, lossless=tile_px <= SMALL_PX), "image/webp"),
        tile_px=tile_px,
        across=across,
        down=down,
    )


def sheet_uri(png: bytes) -> str:
    """The sheet of view pairs: as it is, or shrunk to 2,200 px and WebP where that would make the page heavy."""
    if len(png) <= LARGEST_SHEET_BYTES:
        return data_uri(png, "image/png")
    with Image.open(io.BytesIO(png)) as sheet:
        colour = sheet.convert("RGB")
    colour.thumbnail((WIDEST_SHEET_PX, WIDEST_SHEET_PX * 4), Image.Resampling.LANCZOS)
    return data_uri(_webp(colour, lossless=False), "image/webp")


def _webp(image: Image.Image, *, lossless: bool) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", lossless=lossless, quality=75 if lossless else 85, method=4)
    return buffer.getvalue()
