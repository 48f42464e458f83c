"""How long opening what is in the store takes, and in how much memory: folders of many made-up images.

    python benchmarks/opening.py [--images 100000 1000000] [--home FOLDER]

The images are names of a few small files (hard links), so that making them takes seconds; they are listed, surveyed,
cut into splits and opened as any others are. Each opening is a process of its own. In FOLDER the images and the store
stay, for the next call.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from results import machine, save

_CLASSES = 100
_NAMES_A_FILE = 30_000  # file systems allow a file some 65,000 names


def make_folder(folder: Path, images: int) -> None:
    """folder/CLASS/NNN.png: many names of few files."""
    draw = np.random.default_rng(0)
    for label in range(_CLASSES):
        home = folder / f"class{label:02d}"
        home.mkdir(parents=True)
        for number in range(images // _CLASSES):
            if number % _NAMES_A_FILE == 0:
                first = home / f"{number:09d}.png"
                Image.fromarray(draw.integers(0, 256, (8, 8, 3), np.uint8)).save(first)
            else:
                os.link(first, home / f"{number:09d}.png")


def opened(folder: Path, cache: Path) -> dict[str, float]:
    """Seconds and bytes of opening a folder in a new process, without those of starting it."""
    script = """
import json, resource, sys, time
from pathlib import Path
import twofold
from twofold.data import load_images
from twofold.recipes.recipe import DataRecipe
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start, start_cpu = time.perf_counter(), time.process_time()
images = load_images(sys.argv[1], recipe=DataRecipe(), store_px=64, cache=Path(sys.argv[2]))
seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"images": len(images), "seconds": seconds, "cpu": cpu, "peak": 1024 * peak, "before": 1024 * before}))
"""
    result = subprocess.run(
        [sys.executable, "-c", script, str(folder), str(cache)], capture_output=True, text=True, check=True
    )
    return dict(json.loads(result.stdout.splitlines()[-1]))


def measured(home: Path, images: int) -> dict[str, dict[str, float]]:
    """The first opening, unless the store is there already, one after an image was added, and one more."""
    data, cache = home / "data", home / "cache"
    openings = {}
    if not data.exists():
        make_folder(data, images)
        openings["first"] = opened(data, cache)
    Image.new("RGB", (8, 8), (time.time_ns() % 256, 1, 2)).save(data / "class00" / f"more{time.time_ns()}.png")
    openings["one more"] = opened(data, cache)
    openings["again"] = opened(data, cache)
    return openings


def main() -> None:
    """Measure and keep the results."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--home", type=Path, default=None)
    arguments = parser.parse_args()
    rows = []
    for images in arguments.images:
        if arguments.home:
            openings = measured(arguments.home / str(images), images)
        else:
            with tempfile.TemporaryDirectory() as home:
                openings = measured(Path(home), images)
        rows.append({"images": images, "openings": openings})
        print(json.dumps(rows[-1]), flush=True)
    save("opening", {"machine": machine(), "rows": rows})


if __name__ == "__main__":
    main()
