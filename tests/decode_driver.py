"""Decodes images by forked processes that are killed, disturbed or run beside each other. Used by data/test_crash.py.

The parent imports everything and runs nothing, so that children start at once and with fresh threads. Arguments: a
folder for all of it, images a class. Prints what was done as JSON; each image decoded is a line in a log.
"""

import json
import os
import random
import sys
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from PIL import Image

from pictures import write_pictures
from twofold.data import load_images, pool
from twofold.recipes.recipe import DataRecipe

KILLS = 10


def run(home: Path, name: str) -> None:
    """Decode the data into the cache `name`, and add to the log of this name."""
    whole, lines = pool.decode, os.open(home / f"{name}.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def counted(*given: Any) -> Any:
        decoded = whole(*given)
        os.write(lines, b".\n")
        return decoded

    pool.decode = counted
    load_images(home / "data", recipe=DataRecipe(), store_px=None, cache=home / name)


def begin(home: Path, name: str) -> Any:
    child = get_context("fork").Process(target=run, args=(home, name))
    child.start()
    return child


def decoded(home: Path, name: str) -> int:
    log = home / f"{name}.log"
    return len(log.read_bytes().splitlines()) if log.exists() else 0


def kill(home: Path, count: int) -> int:
    """Kill a child at about `count` images; returns its exit code."""
    child = begin(home, "killed")
    while child.is_alive() and decoded(home, "killed") < count:
        time.sleep(0.0005)
    child.kill()
    child.join()
    return int(child.exitcode)


def end(child: Any) -> int:
    child.join()
    return int(child.exitcode)


def main() -> None:
    home, draw = Path(sys.argv[1]), random.Random(0)
    data = write_pictures(home / "data", per_class=int(sys.argv[2]))
    count = 3 * int(sys.argv[2])
    codes = [kill(home, round((number + draw.random()) / (KILLS + 1) * count)) for number in range(KILLS)]
    codes.append(end(begin(home, "killed")))
    first = decoded(home, "killed")
    Image.new("RGB", (24, 24), (1, 2, 3)).save(data / "bars" / "new.png")
    (data / "discs" / "007.png").unlink()
    (data / "discs" / "008.png").rename(data / "bars" / "renamed.png")
    codes.append(end(begin(home, "killed")))
    pair = [begin(home, "pair") for _ in range(2)]
    together = [end(child) for child in pair]
    counts = {"images": count, "first": first, "changed": decoded(home, "killed"), "pair": decoded(home, "pair")}
    print(json.dumps({"codes": codes, "together": together, **counts}))


main()
