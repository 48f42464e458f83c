"""Images to measure on: patterns made here, and CIFAR-10 from a zip of JPEG files or from what `pack` made of it."""

import functools
import io
import os
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from twofold.data import ImageBatch, ImageSet
from twofold.data.pixels import Pixels

CLASSES = 10


def synthetic(folder: Path, count: int, side_px: int, *, seed: int = 0, mixed: bool = False) -> ImageSet:
    """Noisy waves, one family a class, every tenth image test; `mixed`: mere noise, of the side to twice the side."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, count)
    sizes = np.full((count, 2), side_px, np.int64)
    if mixed:
        sizes = rng.integers(side_px, 2 * side_px, (count, 2)).astype(np.int64)
    path = folder / f"pixels-{count}-{side_px}-{seed}-{mixed}.bin"
    if not path.exists():
        with path.open("wb") as file:
            if mixed:
                for height, width in sizes.tolist():
                    file.write(rng.integers(0, 256, (3, height, width), dtype=np.uint8).tobytes())
            else:
                for first in range(0, count, 500):
                    file.write(_waves(labels[first : first + 500], side_px, rng).tobytes())
    splits = ["test" if i % 10 == 9 else "train" for i in range(count)]
    return _image_set(path, [f"c{y}" for y in labels], splits, sizes)


def _waves(labels: np.ndarray, side_px: int, rng: np.random.Generator) -> np.ndarray:
    kinds = np.random.default_rng(12345)  # the same families whatever the images
    phase, pitch = kinds.uniform(0, 6.3, (CLASSES, 3)), kinds.uniform(2, 9, (CLASSES, 3, 2))
    line = np.linspace(0, 1, side_px, dtype=np.float32)
    across = pitch[labels, :, 0, None, None] * line[:, None] + pitch[labels, :, 1, None, None] * line
    shift = phase[labels, :, None, None] + rng.uniform(0, 6.3, (len(labels), 1, 1, 1))
    wave = np.sin((across + shift).astype(np.float32))
    noise = rng.integers(-60, 60, wave.shape, dtype=np.int16)
    return ((wave * 0.35 + 0.5) * 255 + noise).clip(0, 255).astype(np.uint8)


def batch_of(count: int, height: int, width: int | None = None, *, seed: int = 0, mixed: bool = False) -> ImageBatch:
    """Smooth random colours on one canvas; `mixed`: images of half to all of it."""
    generator = torch.Generator().manual_seed(seed)
    width = width or height
    coarse = torch.rand(count, 3, 8, 8, generator=generator)
    images = (functional.interpolate(coarse, (height, width), mode="bilinear") * 255).to(torch.uint8)
    sizes = torch.tensor([[height, width]]).repeat(count, 1)
    if mixed:
        sides = [torch.randint(side // 2, side + 1, (count,), generator=generator) for side in (height, width)]
        sizes = torch.stack(sides, dim=1)
        for image, (own_height, own_width) in zip(images, sizes.tolist(), strict=True):
            image[:, own_height:] = 0
            image[:, :, own_width:] = 0
    return ImageBatch(images, sizes)


@functools.cache
def cifar10(data: Path, folder: Path) -> ImageSet:
    """CIFAR-10 from a zip of SPLIT/CLASS/*.jpg or from what `pack` made of it; its pixels go into `folder`."""
    if data.suffix == ".npz":
        packed = np.load(data)
        content, ends = packed["jpeg"].tobytes(), packed["ends"].tolist()
        files = [content[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]
        labels, test = packed["labels"], packed["test"]
    else:
        files, labels, test = _zipped(data)
    with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
        pixels = np.stack(list(pool.map(_decode, files, chunksize=256)))
    path = folder / "cifar10.bin"
    path.write_bytes(np.ascontiguousarray(pixels).tobytes())
    sizes = np.tile(np.array(pixels.shape[2:], np.int64), (len(pixels), 1))
    return _image_set(path, [str(y) for y in labels], ["test" if t else "train" for t in test], sizes)


def pack(source: Path, target: Path) -> None:
    """All JPEG files of a zip of SPLIT/CLASS/*.jpg in one .npz (CIFAR-10: 53 MiB), which travels more easily."""
    files, labels, test = _zipped(source)
    ends = np.cumsum([len(content) for content in files]).astype(np.int32)
    np.savez(target, jpeg=np.frombuffer(b"".join(files), np.uint8), ends=ends, labels=labels, test=test)
    print(f"{len(files):,} images, {target.stat().st_size / 2**20:.1f} MiB in {target}")


def _zipped(source: Path) -> tuple[list[bytes], Any, Any]:
    with zipfile.ZipFile(source) as file:
        names = sorted(name for name in file.namelist() if name.endswith((".jpg", ".png")))
        files = [file.read(name) for name in names]
    classes = sorted({name.split("/")[-2] for name in names})
    labels = np.array([classes.index(name.split("/")[-2]) for name in names], np.uint8)
    return files, labels, np.array([name.split("/")[-3] == "test" for name in names])


def _decode(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).transpose(2, 0, 1)


def _image_set(path: Path, labels: list[str], splits: list[str], sizes: np.ndarray) -> ImageSet:
    return ImageSet(
        name=path.stem,
        channels=3,
        fingerprint=path.name,
        paths=[f"{label}/{row}.png" for row, label in enumerate(labels)],
        labels=labels,
        splits=splits,
        quarantine=[],
        findings=[],
        pixels=Pixels(path, sizes, 3),
    )
