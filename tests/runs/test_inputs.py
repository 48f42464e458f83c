"""Every form in which an image can be handed to `embed`: all give what its PNG file gives, or one clear sentence."""

import gc
import io
import itertools
import os
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pictures import picture
from small_recipe import SMALL
from twofold.data import Rules
from twofold.errors import TwofoldError
from twofold.hardware.device import resolve_hardware
from twofold.recipes.recipe import HardwareRecipe
from twofold.runs.encoder_file import Loaded, build_untrained
from twofold.runs.inputs import read_image

CPU = resolve_hardware(HardwareRecipe(device="cpu", precision="fp32"))
COLOUR = np.stack([picture("discs", seed, side=20)[:17] for seed in range(3)])  # (3, 17, 20, 3)
GREY = COLOUR[..., 0]
CLEAR = np.concatenate([COLOUR, np.random.default_rng(0).integers(0, 256, (3, 17, 20, 1)).astype(np.uint8)], axis=3)


def loaded(channels: int) -> Loaded:
    recipe = SMALL.with_settings(channels=channels)
    return Loaded(build_untrained(recipe, 0, CPU), recipe, CPU, None)


ENCODERS = {1: loaded(1), 3: loaded(3)}


def png(pixels: np.ndarray) -> bytes:
    """The oracle: the same pixels as a file."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG")
    return stream.getvalue()


def from_files(folder: Path, pixels: np.ndarray, channels: int) -> np.ndarray:
    """h of images (n, H, W) or (n, H, W, c), written as PNG files and given as paths."""
    paths = []
    for number, one in enumerate(pixels):
        paths.append(folder / f"oracle{number}.png")
        paths[-1].write_bytes(png(one))
    return ENCODERS[channels].embed(paths)


def first(pixels: np.ndarray) -> torch.Tensor:
    """(..., H, W, c) as a tensor (..., c, H, W)."""
    return torch.from_numpy(np.moveaxis(pixels, -1, -3).copy())


class Fspath:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __fspath__(self) -> str:
        return str(self.path)


class ArrayLike:
    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return self.pixels


def written(folder: Path) -> list[Path]:
    paths = [folder / f"ä {number}.png" for number in range(3)]
    for path, one in zip(paths, COLOUR, strict=True):
        path.write_bytes(png(one))
    return paths


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def at_the_end(content: bytes) -> io.BytesIO:
    stream = io.BytesIO()
    stream.write(content)
    return stream


SEVERAL: dict[str, Callable[[Path], Any]] = {
    "paths": written,
    "names": lambda folder: [str(path) for path in written(folder)],
    "tuple": lambda folder: tuple(written(folder)),
    "generator": lambda folder: (path for path in written(folder)),
    "os.PathLike": lambda folder: [Fspath(path) for path in written(folder)],
    "array of paths": lambda folder: np.array([str(path) for path in written(folder)]),
    "array of objects": lambda folder: np.array(written(folder), dtype=object),
    "deque": lambda folder: deque(written(folder)),
    "open files": lambda folder: [path.open("rb") for path in written(folder)],
    "BytesIO": lambda folder: [io.BytesIO(png(one)) for one in COLOUR],
    "BytesIO, read or written to its end": lambda folder: [at_the_end(png(one)) for one in COLOUR],
    "bytes": lambda folder: [png(one) for one in COLOUR],
    "bytearray": lambda folder: [bytearray(png(one)) for one in COLOUR],
    "memoryview": lambda folder: [memoryview(png(one)) for one in COLOUR],
    "Pillow": lambda folder: [Image.fromarray(one) for one in COLOUR],
    "Pillow, not read yet": lambda folder: [Image.open(path) for path in written(folder)],
    "array-like": lambda folder: [ArrayLike(one) for one in COLOUR],
    "arrays": lambda folder: list(COLOUR),
    "batch (n, H, W, c)": lambda folder: COLOUR,
    "batch (n, c, H, W) array": lambda folder: np.moveaxis(COLOUR, 3, 1),
    "array of float64": lambda folder: COLOUR / 255,
    "array of float32": lambda folder: (COLOUR / 255).astype(np.float32),
    "array of float16": lambda folder: (COLOUR / 255).astype(np.float16),
    "array of int64": lambda folder: COLOUR.astype(np.int64),
    "array of uint16": lambda folder: COLOUR.astype(np.uint16) * 257,
    "array in Fortran's order": lambda folder: np.asfortranarray(COLOUR),
    "array with strides": lambda folder: np.repeat(COLOUR, 2, axis=2)[:, :, ::2],
    "array that may only be read": lambda folder: np.frombuffer(COLOUR.tobytes(), np.uint8).reshape(COLOUR.shape),
    "masked array": lambda folder: np.ma.masked_array(COLOUR),
    "arrays (c, H, W)": lambda folder: list(np.moveaxis(COLOUR, 3, 1)),
    "tensor (n, c, H, W)": lambda folder: first(COLOUR),
    "tensors (c, H, W)": lambda folder: list(first(COLOUR)),
    "tensors (H, W, c)": lambda folder: list(torch.from_numpy(COLOUR)),
    "tensor (n, H, W, c)": lambda folder: torch.from_numpy(COLOUR),
    "tensor of float32": lambda folder: first(COLOUR) / 255,
    "tensor of float64": lambda folder: first(COLOUR).double() / 255,
    "tensor of int32": lambda folder: first(COLOUR).int(),
    "tensor, channels last": lambda folder: first(COLOUR).contiguous(memory_format=torch.channels_last),
    "tensor with a gradient": lambda folder: (first(COLOUR) / 255).requires_grad_(),
    "many forms": lambda folder: [written(folder)[0], first(COLOUR[1]) / 255, png(COLOUR[2])],
}


@pytest.mark.filterwarnings("ignore:unclosed file")
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("form", SEVERAL)
def test_several_images_in_any_form_are_their_files(form: str, channels: int, tmp_path: Path) -> None:
    wanted = from_files(tmp_path, COLOUR, channels)
    assert len(np.unique(wanted, axis=0)) == 3
    np.testing.assert_array_equal(ENCODERS[channels].embed(SEVERAL[form](tmp_path)), wanted)


ONE: dict[str, Callable[[Path, np.ndarray], Any]] = {
    "path": lambda path, _: path,
    "name": lambda path, _: str(path),
    "open file": lambda path, _: path.open("rb"),
    "bytes": lambda path, _: path.read_bytes(),
    "BytesIO": lambda path, _: io.BytesIO(path.read_bytes()),
    "Pillow": lambda path, _: Image.open(path),
    "array": lambda _, pixels: pixels,
    "float array": lambda _, pixels: pixels / 255,
    "tensor": lambda _, pixels: first(pixels) if pixels.ndim == 3 else torch.from_numpy(pixels),
    "float tensor": lambda _, pixels: (first(pixels) if pixels.ndim == 3 else torch.from_numpy(pixels)) / 255.0,
    "array (c, H, W)": lambda _, pixels: np.moveaxis(np.atleast_3d(pixels), 2, 0),
    "array (H, W, c)": lambda _, pixels: np.atleast_3d(pixels),
    "sequence of one": lambda _, pixels: [pixels],
}


@pytest.mark.filterwarnings("ignore:unclosed file")
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("pixels", [COLOUR[0], GREY[0], CLEAR[0]], ids=["colour", "grey", "transparent"])
@pytest.mark.parametrize("form", ONE)
def test_one_image_counts_as_a_sequence_of_one(form: str, pixels: np.ndarray, channels: int, tmp_path: Path) -> None:
    wanted = from_files(tmp_path, pixels[None], channels)
    path = tmp_path / "one.png"
    path.write_bytes(png(pixels))
    found = ENCODERS[channels].embed(ONE[form](path, pixels))
    assert found.shape == (1, ENCODERS[channels].encoder.dim)
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV", "LAB", "I;16"]
)
def test_pillow_images_of_every_mode(mode: str, channels: int, tmp_path: Path) -> None:
    """The oracle: what Pillow makes of it in RGB, over white where it is transparent."""
    image = in_mode(mode)
    assert image.mode == mode
    if mode == "I;16":
        shown = Image.fromarray((np.asarray(image) // 257).astype(np.uint8))
    elif mode in ("LA", "La", "PA", "RGBA", "RGBa"):
        over = image.convert({"La": "LA"}.get(mode, mode)).convert("RGBA")
        shown = Image.alpha_composite(Image.new("RGBA", over.size, "white"), over)
    else:
        shown = image
    if channels == 1 and mode not in ("1", "L", "I;16"):
        shown = shown.convert("RGB")
    wanted = from_files(tmp_path, np.asarray(shown.convert("RGB" if channels == 3 else "L"))[None], channels)
    np.testing.assert_array_equal(ENCODERS[channels].embed(image), wanted)


def in_mode(mode: str) -> Image.Image:
    colour, grey = Image.fromarray(COLOUR[0]), Image.fromarray(GREY[0])
    if mode == "LAB":
        return Image.frombytes("LAB", colour.size, colour.tobytes())
    if mode == "I;16":
        return Image.fromarray(GREY[0].astype(np.uint16) * 257)
    steps = {"LA": ("LA",), "La": ("LA", "La"), "PA": ("P", "PA"), "RGBA": (), "RGBa": ("RGBa",)}
    image = Image.fromarray(CLEAR[0]) if mode in ("RGBA", "RGBa", "LA", "La") else grey if mode == "L" else colour
    for step in steps.get(mode, (mode,)):
        image = image.convert(step)
    return image


def test_bool_is_black_and_white_and_uint16_is_as_in_a_file(tmp_path: Path) -> None:
    mask = GREY[0] > 100
    np.testing.assert_array_equal(ENCODERS[3].embed(mask), from_files(tmp_path, 255 * mask[None].astype(np.uint8), 3))
    wide = (GREY.astype(np.uint16) * 257) ^ np.uint16(0x1F)
    np.testing.assert_array_equal(ENCODERS[3].embed(wide[..., None]), from_files(tmp_path, wide, 3))
    dark = wide >> np.uint16(8)
    dark[:, 0, 0] = 0xFFFF  # otherwise taken for numbers of 8 bits
    np.testing.assert_array_equal(ENCODERS[3].embed(dark[..., None]), from_files(tmp_path, dark, 3))
    with pytest.raises(TwofoldError, match=r"place 0 .*it is blank: every pixel is 0"):
        from_files(tmp_path, np.zeros_like(wide), 3)


def test_where_both_orders_can_be_the_type_decides() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (3, 9, 4)).astype(np.uint8)
    as_rows = Image.fromarray(pixels)  # RGBA, 3 pixels high
    as_planes = Image.fromarray(np.moveaxis(pixels, 0, 2).copy())  # RGB, 9 pixels high
    np.testing.assert_array_equal(ENCODERS[3].embed(pixels), ENCODERS[3].embed(as_rows))
    np.testing.assert_array_equal(ENCODERS[3].embed(torch.from_numpy(pixels)), ENCODERS[3].embed(as_planes))


@pytest.mark.parametrize("nothing", [[], (), iter([]), np.zeros((0, 8, 8, 3), np.uint8), torch.zeros(0, 3, 8, 8)])
def test_no_images_give_no_rows(nothing: Any) -> None:
    assert ENCODERS[3].embed(nothing).shape == (0, ENCODERS[3].encoder.dim)


def test_parts_do_not_show() -> None:
    images = [picture("bars", seed) for seed in range(11)]
    whole = ENCODERS[3].embed(images)
    for batch_size in (1, 4, 11, 100):
        parts = list(ENCODERS[3].embed_iter(images, batch_size=batch_size))
        assert [len(part) for part in parts[:-1]] == [batch_size] * (len(parts) - 1)
        np.testing.assert_allclose(np.concatenate(parts), whole, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(ENCODERS[3].embed(iter(images), batch_size=batch_size), whole, rtol=1e-5, atol=1e-6)


def test_an_endless_sequence_is_taken_part_by_part_and_let_go() -> None:
    taken: list[weakref.ref[Image.Image]] = []

    def camera() -> Iterator[Image.Image]:
        for seed in itertools.count():
            image = Image.fromarray(picture("bars", seed))
            taken.append(weakref.ref(image))
            yield image
            del image

    parts = ENCODERS[3].embed_iter(camera(), batch_size=5)
    assert not taken
    for count in range(1, 5):
        assert next(parts).shape == (5, ENCODERS[3].encoder.dim)
        assert len(taken) == 5 * count, "no more is taken than the parts that were asked for"
        gc.collect()  # an older Pillow leaves cycles
        assert sum(one() is not None for one in taken) <= 6, "what was embedded is let go"


def test_the_same_open_file_and_image_may_come_again_and_again(tmp_path: Path) -> None:
    (path,) = [written(tmp_path)[0]]
    wanted = ENCODERS[3].embed(path)
    with path.open("rb") as file, Image.open(path) as image:
        for one in (file, image):
            found = ENCODERS[3].embed([one] * 40)
            np.testing.assert_allclose(found, np.repeat(wanted, 40, axis=0), rtol=1e-5, atol=1e-7)


def folder_of(tmp_path: Path) -> Path:
    (tmp_path / "folder").mkdir()
    return tmp_path / "folder"


def text_file(tmp_path: Path) -> Path:
    (tmp_path / "text.jpg").write_text("no image")
    return tmp_path / "text.jpg"


def closed(tmp_path: Path) -> Any:
    file = written(tmp_path)[0].open("rb")
    file.close()
    return file


WRONG: dict[str, tuple[Callable[[Path], Any], str]] = {
    "missing": (lambda tmp: str(tmp / "missing.jpg"), r"missing\.jpg' .*No such file"),
    "folder": (folder_of, r"folder' .*is a folder; list its files"),
    "no image": (text_file, r"text\.jpg' .*recognised"),
    "path with a zero": (lambda tmp: "a\0b.png", "null (byte|character)"),
    "URL": (lambda tmp: "https://example.org/a.png", "a.png' .*No such file"),
    "bytes": (lambda tmp: b"nothing", "recognised"),
    "no bytes": (lambda tmp: b"", r"empty \(0 bytes\)"),
    "half a file": (lambda tmp: png(COLOUR[0])[:200], "place 0"),
    "closed file": (closed, "closed file"),
    "text file": (lambda tmp: io.StringIO("text"), "mode 'rb'"),
    "None": (lambda tmp: None, "NoneType"),
    "number": (lambda tmp: 3, "type int"),
    "dict": (lambda tmp: {"image": COLOUR[0]}, "type dict"),
    "set": (lambda tmp: {"a.png"}, "type set"),
    "nested list": (lambda tmp: COLOUR[0].tolist(), "type list"),
    "pair with a label": (lambda tmp: [(Image.fromarray(COLOUR[0]), 1)], "type tuple"),
    "batches": (lambda tmp: [first(COLOUR)], r"shape \(3, 3, 17, 20\)"),
    "five channels": (lambda tmp: np.zeros((20, 20, 5), np.uint8), r"shape \(20, 20, 5\)"),
    "grey batch": (lambda tmp: np.zeros((7, 28, 28), np.uint8), r"shape \(7, 28, 28\)"),
    "row": (lambda tmp: np.zeros(9, np.uint8), r"shape \(9,\)"),
    "no dimension": (lambda tmp: np.float32(0.5), r"shape \(\)"),
    "five dimensions": (lambda tmp: torch.zeros(1, 2, 3, 8, 8), r"shape \(1, 2, 3, 8, 8\)"),
    "no pixels": (lambda tmp: np.zeros((0, 8, 3), np.uint8), r"shape \(0, 8, 3\)"),
    "float in 0..255": (lambda tmp: COLOUR[0].astype(np.float32), r"float32 from \d+ to \d+; .*\[0, 1\]"),
    "normalised": (lambda tmp: COLOUR[0] / 255 - 0.5, r"from -0\.\d+ to 0\.\d+; .*\[0, 1\]"),
    "not a number": (lambda tmp: np.full((8, 8, 3), np.nan), "from nan to nan"),
    "infinite": (lambda tmp: np.full((8, 8), np.inf), "from inf to inf"),
    "negative": (lambda tmp: np.full((8, 8), -1), r"int64 from -1 to -1; .*0\.\.255"),
    "int of 16 bits": (lambda tmp: np.full((8, 8), 300, np.int32), "int32 from 300 to 300"),
    "uint16 in 0..255": (lambda tmp: COLOUR[0].astype(np.uint16), r"uint16 from \d+ to \d+; .*passes 255"),
    "complex": (lambda tmp: np.zeros((8, 8), np.complex64), "complex64"),
    "objects": (lambda tmp: np.full((8, 8), None), "object"),
    "words": (lambda tmp: np.full((8, 8), "a"), "<U1"),
    "dates": (lambda tmp: np.zeros((8, 8), "datetime64[s]"), "datetime64"),
    "complex tensor": (lambda tmp: torch.zeros(3, 8, 8, dtype=torch.complex64), "complex64"),
    "sparse tensor": (lambda tmp: [torch.zeros(3, 8, 8).to_sparse()], "without plain pixels"),
    "tensor without data": (lambda tmp: [torch.zeros(3, 8, 8, device="meta")], "without plain pixels"),
    "Pillow, no pixels": (lambda tmp: Image.new("RGB", (8, 0)), "no pixels: 8 x 0"),
    "Pillow, 32 bits": (lambda tmp: Image.new("F", (8, 8)), "32 bits"),
    "Pillow, closed": (lambda tmp: opened(png(COLOUR[0])[:120]), "place 0"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_image_is_one_sentence(name: str, tmp_path: Path) -> None:
    make, said = WRONG[name]
    with pytest.raises(TwofoldError, match=said) as caught:
        ENCODERS[3].embed(make(tmp_path))
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 500
    assert any(fix in text for fix in ("Leave it out or fix it.", "Give a list."))


@pytest.mark.parametrize("bad", [None, "missing.png", np.zeros((5, 5, 7), np.uint8), 1.5, b"x", []])
def test_the_image_is_named_by_its_place_over_all_parts(bad: Any) -> None:
    images = [*(picture("bars", seed) for seed in range(7)), bad]
    parts = ENCODERS[3].embed_iter(images, batch_size=3)
    assert [len(next(parts)), len(next(parts))] == [3, 3]
    with pytest.raises(TwofoldError, match=r"at place 7 \(counted from 0\)"):
        next(parts)


@pytest.mark.parametrize("batch_size", [0, -1])
def test_a_part_holds_at_least_one(batch_size: int) -> None:
    with pytest.raises(TwofoldError, match="batch_size"):
        ENCODERS[3].embed_iter([], batch_size=batch_size)


def test_what_a_generator_raises_is_passed_on() -> None:
    def failing() -> Iterator[np.ndarray]:
        yield COLOUR[0]
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        ENCODERS[3].embed(failing())


@pytest.mark.parametrize("target", ["pipe", "/dev/zero"])
def test_what_is_no_regular_file_is_refused_and_not_waited_for(tmp_path: Path, target: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "a.png").symlink_to(target)
    with pytest.raises(TwofoldError, match="not a regular file"):
        read_image(tmp_path / "a.png", 0, Rules(channels=3, short_px=8))
