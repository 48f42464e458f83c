"""Copies planted into sets of images: how many are found, by kind, and what else is called a copy. Pixels alone.

    python benchmarks/copies.py cifar10.zip clothing-64.zip --copies 600 --seed 2 [--sheet FILE.png]

Each argument is a zip of images, or `sample` for those that Twofold brings. Half of what else is found among natural
images may be copies too: --sheet FILE.png shows a hundred of these pairs.
"""

import argparse
import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
from PIL import Image
from results import load, machine, save

from twofold.curation import find_copies
from twofold.curation.thumbs import SIDE, squash
from twofold.data.sample.write import SPLITS, read_tiles

SHOWN, COLUMNS = 100, 10
Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]  # of an image (h, w, 3)


def saved_anew(image: np.ndarray) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(stream, "JPEG", quality=60)
    return np.asarray(Image.open(stream))


def resized(image: np.ndarray, factor: float) -> np.ndarray:
    height, width = image.shape[:2]
    size = round(width * factor), round(height * factor)
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))


def cropped(image: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """90 % of each side, anywhere."""
    height, width = (round(0.9 * side) for side in image.shape[:2])
    top, left = (draw.integers(0, side - own + 1) for side, own in zip(image.shape, (height, width), strict=False))
    return image[top : top + height, left : left + width]


KINDS: dict[str, Change] = {
    "re-saved (JPEG 60)": lambda image, _: saved_anew(image),
    "half size": lambda image, _: resized(image, 0.5),
    "1.7 times": lambda image, _: resized(image, 1.7),
    "crop of 90 %": cropped,
    "mirrored": lambda image, _: image[:, ::-1],
    "all three": lambda image, draw: saved_anew(cropped(image[:, ::-1], draw)),
}


def images(source: str) -> Iterator[np.ndarray]:
    if source == "sample":
        yield from (tile[:, :, None].repeat(3, 2) for split in SPLITS for tile in read_tiles(split)[0])
        return
    with ZipFile(source) as archive:
        for name in sorted(archive.namelist()):
            if name.lower().endswith((".png", ".jpg", ".jpeg")):
                yield np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("RGB"))


def planted(source: str, copies: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The small versions of all images, then of the copies; and the row that each copy is of."""
    thumbs = [squash(image) for image in images(source)]
    draw = np.random.default_rng(seed)
    rows = draw.permutation(len(thumbs))[:copies]
    wanted = set(rows.tolist())
    kept = {row: image for row, image in enumerate(images(source)) if row in wanted}
    changes = list(KINDS.values())
    for place, row in enumerate(rows.tolist()):
        thumbs.append(squash(np.ascontiguousarray(changes[place % len(changes)](kept[row], draw))))
    return np.stack(thumbs), rows


def measure(source: str, copies: int, seed: int, sheet: Path | None) -> dict[str, Any]:
    thumbs, rows = planted(source, copies, seed)
    originals = len(thumbs) - len(rows)
    begun = time.process_time()
    found = find_copies(thumbs, [str(row) for row in range(len(thumbs))])
    cpu_s = time.process_time() - begun
    pairs = found.pairs[found.likeness >= found.threshold]
    known = {tuple(pair) for pair in pairs.tolist()}
    hits = np.array([(row, originals + place) in known for place, row in enumerate(rows.tolist())])
    others = pairs[pairs[:, 1] < originals]
    if sheet is not None and len(others):
        show(thumbs, others[np.random.default_rng(seed).permutation(len(others))[:SHOWN]], sheet)
    return {
        "set": Path(source).stem,
        "images": originals,
        "copies": len(rows),
        "seed": seed,
        "threshold": found.threshold,
        "recall": float(hits.mean()),
        "kinds": {kind: float(hits[place :: len(KINDS)].mean()) for place, kind in enumerate(KINDS)},
        "pairs_among_the_images": len(others),
        "cpu_s": cpu_s,
    }


def show(thumbs: np.ndarray, pairs: np.ndarray, path: Path) -> None:
    """Each pair side by side, twice as large."""
    lines = [pairs[start : start + COLUMNS] for start in range(0, len(pairs), COLUMNS)]
    page = np.full((len(lines) * (SIDE + 2), COLUMNS * (2 * SIDE + 4), 3), 255, np.uint8)
    for y, line in enumerate(lines):
        for x, pair in enumerate(line):
            top, left = y * (SIDE + 2), x * (2 * SIDE + 4)
            page[top : top + SIDE, left : left + 2 * SIDE] = np.concatenate(list(thumbs[pair]), 1)
    Image.fromarray(page.repeat(2, 0).repeat(2, 1)).save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", nargs="+", metavar="ZIP")
    parser.add_argument("--copies", type=int, default=600)
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--sheet", type=Path, help="of the last set: a hundred pairs that were not planted")
    options = parser.parse_args()
    kept = load("copies") or {"rows": []}
    for source in options.sources:
        row = measure(source, options.copies, options.seed, options.sheet if source == options.sources[-1] else None)
        print(row, flush=True)
        kept["rows"] = [one for one in kept["rows"] if one["set"] != row["set"]] + [row]
        save("copies", {"machine": machine(), "rows": kept["rows"]})


if __name__ == "__main__":
    main()
