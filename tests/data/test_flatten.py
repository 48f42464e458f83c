"""Shrinking in strips gives what shrinking the whole gives, bit for bit, in a bounded part of the memory."""

import io
import json
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import import_module

import numpy as np
import pytest
from PIL import Image

from twofold.data import Rules, UnreadableError, decode
from twofold.data.budget import Budget
from twofold.data.decode import stored_size

flatten_module = import_module("twofold.data.flatten")
decode_module = import_module("twofold.data.decode")

MODES = ("1", "L", "P", "LA", "PA", "RGB", "RGBA", "RGBa", "CMYK", "YCbCr", "HSV", "I;16", "P, transparent")
SIZES = [(265, 199), (199, 265), (1000, 7), (64, 48), (129, 64), (1, 900)]


def image(mode: str, size: tuple[int, int]) -> Image.Image:
    draw = np.random.default_rng([len(mode), *size])
    if mode == "I;16":
        return Image.fromarray(draw.integers(0, 2**16, size[::-1], dtype=np.uint16))
    rgba = Image.fromarray(draw.integers(0, 256, (*size[::-1], 4), dtype=np.uint8), "RGBA")
    name = mode.partition(",")[0]
    through = {"LA": "LA", "PA": "PA", "RGBA": "RGBA", "RGBa": "RGBa"}.get(name, "RGB")
    made = rgba.convert("RGB").convert("P").convert("PA") if through == "PA" else rgba.convert(through)
    made = made if made.mode == name else made.convert(name)
    if mode == "P, transparent":
        made.info["transparency"] = made.getpixel((0, 0))
    return made


def plainly(whole: Image.Image, mode: str, target: tuple[int, int]) -> Image.Image:
    """The rules on the whole image at once, in Pillow's words."""
    if whole.mode == "I;16":
        wide = np.asarray(whole).astype(np.uint32)
        flat = Image.fromarray(((wide + 128) // 257).astype(np.uint8)).convert(mode)
    elif whole.has_transparency_data:
        picture = whole.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        flat = Image.alpha_composite(white, picture).convert("RGB").convert(mode)
    elif mode == "L" and whole.mode not in ("1", "RGB", "L"):
        flat = whole.convert("RGB").convert(mode)
    else:
        flat = whole.convert(mode)
    return flat if flat.size == target else flat.resize(target, Image.Resampling.BICUBIC, reducing_gap=2.0)


@pytest.mark.parametrize("strip", [1, 5_000])
@pytest.mark.parametrize("mode", MODES)
def test_strips_change_no_bit(mode: str, strip: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flatten_module, "_STRIP_PIXELS", strip)
    for size in SIZES:
        whole = image(mode, size)
        for short_px in (None, 16, 31, 100, 198):
            target = stored_size(size, short_px)
            for flat in ("L", "RGB"):
                found = decode(whole, Rules(channels=len(flat), short_px=short_px, range_from="type")).pixels
                assert found.shape == (target[1], target[0], len(flat))
                assert found.tobytes() == plainly(whole, flat, target).tobytes(), (size, short_px, flat)


def test_threads_never_hold_more_than_the_limit_and_all_come_to_their_turn() -> None:
    budget, lock, held, peaks = Budget(100), threading.Lock(), list[int](), list[list[int]]()
    amounts = np.random.default_rng(0).integers(1, 160, 300).tolist()

    def work(amount: int) -> int:
        with budget.take(amount):
            with lock:
                held.append(amount)
                peaks.append(list(held))
            time.sleep(0.0005)
            with lock:
                held.remove(amount)
        return amount

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, amounts)) == amounts
    assert all(sum(now) <= 100 or len(now) == 1 for now in peaks)
    assert any(len(now) > 1 for now in peaks), "they do work side by side"
    assert any(sum(now) > 100 for now in peaks), "and what is larger than the limit has its turn"


def test_a_block_that_fails_gives_back_what_it_held() -> None:
    budget = Budget(10)
    for _ in range(3):
        with pytest.raises(ValueError, match="of the block"), budget.take(8):
            raise ValueError("of the block")
    with budget.take(10):
        pass


def test_images_that_are_too_large_together_are_decoded_one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever decodes: the budget is in `decode` itself, and released with each image, also with a broken one."""
    file, running, most, lock = io.BytesIO(), [0], [0], threading.Lock()
    Image.new("RGB", (300, 200)).save(file, "PNG")
    needed = flatten_module.bytes_needed(Image.open(file), (300, 200), (300, 200))
    monkeypatch.setattr(decode_module, "MEMORY", Budget(int(2.5 * needed)))
    real = decode_module.flatten

    @contextmanager
    def counted():
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        yield
        with lock:
            running[0] -= 1

    def watched(*given, **options):
        with counted():
            time.sleep(0.01)
            return real(*given, **options)

    monkeypatch.setattr(decode_module, "flatten", watched)
    with ThreadPoolExecutor(8) as pool:
        whole = [pool.submit(decode, file.getvalue(), Rules(channels=3)) for _ in range(24)]
        broken = [pool.submit(decode, file.getvalue()[:-100], Rules(channels=3)) for _ in range(24)]
        assert all(one.result().pixels.shape == (200, 300, 3) for one in whole)
        assert all(isinstance(one.exception(), UnreadableError) for one in broken)
    assert most == [2]


MEASURE = """
import io, json, os, sys
from PIL import Image
from twofold.data import Rules, decode
from twofold.data.decode import stored_size
from twofold.data.readers import open_image
from twofold.data.flatten import bytes_needed, bytes_to_flatten

def peak(work):
    pid = os.fork()
    if pid == 0:
        work()
        os._exit(0)
    _, status, used = os.wait4(pid, 0)
    assert status == 0
    return used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)

def measure(case):
    def save():
        image = Image.new(case["mode"], case["size"], tuple(case.get("colour", [7])))
        image.save("image", case["format"], **case.get("options", {}))

    peak(save)
    content = open("image", "rb").read()
    image = open_image(content)
    target = stored_size(image.size, 224)
    if isinstance(image, Image.Image):
        needed = bytes_needed(image, image.size, target)
    else:
        needed = image.held_bytes + bytes_to_flatten(image.size, target, image.strip_bytes)
    base = peak(lambda: None)
    taken = peak(lambda: decode(content, Rules(channels=3, short_px=224))) - base
    return {"file": len(content), "peak": taken, "needed": needed}

print(json.dumps({name: measure(case) for name, case in json.loads(sys.argv[1]).items()}))
"""
SMALL_FILES = {
    "P": {"size": (10_100, 10_000), "format": "PNG", "mode": "P", "options": {"transparency": 3}},
    "LA": {"size": (5_050, 10_000), "format": "PNG", "mode": "LA", "colour": [9, 99]},
}
FORMATS = {
    "PNG": {"mode": "RGB"},
    "JPEG": {"mode": "RGB", "options": {"progressive": True, "subsampling": 0}},
    "WEBP": {"mode": "RGB", "options": {"lossless": True, "method": 0, "quality": 0}},
    "TIFF": {"mode": "RGBA", "colour": [1, 2, 3, 99], "options": {"compression": "tiff_lzw"}},
    "GIF": {"mode": "P"},
}
CASES = {
    **SMALL_FILES,
    **{name: {"size": (5_000, 4_000), "format": name, **case} for name, case in FORMATS.items()},
}


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, int]]:
    """Bytes of the file, bytes that decoding it took, bytes that it was thought to take; each in a fork of its own."""
    run = subprocess.run(
        [sys.executable, "-c", MEASURE, json.dumps(CASES)],
        capture_output=True,
        text=True,
        cwd=tmp_path_factory.mktemp("measured"),
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.mark.parametrize("name", SMALL_FILES)
def test_a_small_file_of_very_many_pixels_takes_little_more_than_the_pixels(
    measured: dict[str, dict[str, int]], name: str
) -> None:
    width, height = SMALL_FILES[name]["size"]
    pixels = width * height * (1 if name == "P" else 4)
    assert measured[name]["file"] < 500_000
    assert measured[name]["peak"] < pixels + 2**27


@pytest.mark.parametrize("name", FORMATS)
def test_no_image_takes_more_than_it_is_thought_to(measured: dict[str, dict[str, int]], name: str) -> None:
    assert measured[name]["peak"] < measured[name]["needed"] + 2**23
