"""Images made for tests: folders of small files whose classes can be told apart by shape, not by colour."""

from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("bars", "checks", "discs")


def picture(kind: str, seed: int, side: int = 24) -> np.ndarray:
    """One (side, side, 3) uint8 image: a pattern of the kind with its own colours, position and noise."""
    draw = np.random.default_rng([seed, CLASSES.index(kind)])
    y, x = np.mgrid[:side, :side] + draw.integers(0, side)
    if kind == "bars":
        mask = (x // 3) % 2
    elif kind == "checks":
        mask = ((x // 4) + (y // 4)) % 2
    else:
        center = draw.uniform(side * 0.35, side * 0.65, 2)
        rows, columns = np.mgrid[:side, :side]
        mask = np.hypot(rows - center[0], columns - center[1]) < side * 0.3
    colours = draw.integers(0, 256, (2, 3))
    pixels = np.where(np.asarray(mask, bool)[..., None], colours[0], colours[1])
    return np.clip(pixels + draw.normal(0, 8, pixels.shape), 0, 255).astype(np.uint8)


def write_pictures(folder: Path, *, per_class: int = 40, splits: tuple[str, ...] = (), side: int = 24) -> Path:
    """folder[/split]/CLASS/NNN.png for every kind."""
    for number, split in enumerate(splits or ("",)):
        for kind in CLASSES:
            home = folder / split / kind
            home.mkdir(parents=True)
            for seed in range(per_class):
                Image.fromarray(picture(kind, seed + 10_000 * number, side)).save(home / f"{seed:03d}.png")
    return folder
