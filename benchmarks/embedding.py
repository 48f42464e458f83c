"""How long writing embeddings takes, and in how much memory: made-up images and a stub encoder, in two shards.

    python benchmarks/embedding.py [--images 1000000]

What is measured is all but the encoder: reading images, passing them through, writing rows. The second shard is killed
when half of it is written, and called again; the first is called again too, and left alone.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from results import machine, save

_DIM = 64
_SHARD = """
import json, os, resource, sys, time
from pathlib import Path
import numpy as np, torch
from twofold.data import ImageSet
from twofold.data.pixels import Pixels
from twofold.evaluation import embeddings_about, write_embeddings
n, shard, out, dim = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
start = time.perf_counter()
about = {"content": f"{n} {shard}"}
skipped = (embeddings_about(out) or {}).get("content") == about["content"]
if not skipped:
    path = out.with_name(f"pixels{os.getpid()}")
    with path.open("wb") as file:
        file.truncate(n * 8 * 8 * 3)
    pixels = Pixels(path, np.full((n, 2), 8), 3)
    path.unlink()
    rows = np.array_split(np.arange(n), 2)[shard]
    weights = torch.ones(8 * 8 * 3, dim)
    names = [f"class{row % 100:02d}/{row:09d}.png" for row in rows.tolist()]
    def parts():
        for first in range(0, len(rows), 4096):
            images = pixels.read(rows[first : first + 4096]).images
            yield (images.flatten(1).float() @ weights).numpy()
    write_embeddings(names, [None] * len(rows), parts(), out, about=about, half=True)
peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"seconds": time.perf_counter() - start, "peak": peak, "skipped": skipped}))
"""


def started(images: int, shard: int, out: Path) -> "subprocess.Popen[str]":
    """A process that writes a shard."""
    arguments = [sys.executable, "-c", _SHARD, str(images), str(shard), str(out), str(_DIM)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)


def ended(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """What it measured. Raises RuntimeError where it failed."""
    told, _ = process.communicate()
    if process.returncode:
        raise RuntimeError("the shard failed")
    return dict(json.loads(told.splitlines()[-1]))


def measured(images: int, home: Path) -> dict[str, Any]:
    """The first shard; the second, killed half way, and called again; the first called again."""
    outs = [home / f"h-{shard}.parquet" for shard in range(2)]
    first = ended(started(images, 0, outs[0]))
    half, killed = outs[0].stat().st_size // 2, started(images, 1, outs[1])
    partial = home / f".{outs[1].name}.partial"
    while killed.poll() is None and (not partial.exists() or partial.stat().st_size < half):
        time.sleep(0.05)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    left = outs[1].exists()
    again, skipped = ended(started(images, 1, outs[1])), ended(started(images, 0, outs[0]))
    return {"images": images, "first": first, "left by the killed": left, "again": again, "skipped": skipped}


def main() -> None:
    """Measure and keep the results."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, nargs="+", default=[1_000_000])
    arguments = parser.parse_args()
    rows = []
    for images in arguments.images:
        with tempfile.TemporaryDirectory() as home:
            rows.append(measured(images, Path(home)))
        print(json.dumps(rows[-1]), flush=True)
    save("embedding", {"machine": machine(), "dim": _DIM, "rows": rows})


if __name__ == "__main__":
    main()
