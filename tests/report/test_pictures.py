"""Images come out of their data URIs as they went in."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from twofold.report.pictures import LARGEST_SHEET_BYTES, WIDEST_SHEET_PX, build_sprite, picture_uri, sheet_uri


def decoded(uri: str) -> np.ndarray:
    kind, _, content = uri.partition(";base64,")
    with Image.open(io.BytesIO(base64.b64decode(content))) as picture:
        assert f"data:image/{str(picture.format).lower()}" == kind
        return np.asarray(picture.convert("RGB"))


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_small_pictures_are_exact() -> None:
    np.testing.assert_array_equal(decoded(picture_uri(noise(28, 28, 3))), noise(28, 28, 3))


def test_larger_pictures_are_close() -> None:
    ramp = np.linspace(0, 255, 64, dtype=np.uint8)
    smooth = np.stack(np.broadcast_arrays(ramp[:, None], ramp[None], np.uint8(90)), axis=2)
    assert np.abs(decoded(picture_uri(smooth)).astype(int) - smooth).mean() < 4


@pytest.mark.parametrize("count", [1, 7, 50])
def test_every_tile_of_the_sprite_is_its_picture(count: int) -> None:
    thumbs = noise(count, 9, 9, 3)
    sprite = build_sprite(thumbs)
    sheet = decoded(sprite.uri)
    assert sheet.shape == (sprite.down * 9, sprite.across * 9, 3)
    for number, thumb in enumerate(thumbs):
        left, top = 9 * (number % sprite.across), 9 * (number // sprite.across)
        np.testing.assert_array_equal(sheet[top : top + 9, left : left + 9], thumb)


def test_a_light_sheet_is_kept_and_a_heavy_one_shrunk() -> None:
    light, heavy = noise(20, 40, 3), noise(600, 2600, 3)
    np.testing.assert_array_equal(decoded(sheet_uri(png(light))), light)
    assert len(png(heavy)) > LARGEST_SHEET_BYTES
    assert decoded(sheet_uri(png(heavy))).shape == (508, WIDEST_SHEET_PX, 3)
