"""Two processes with a thread each beside one process with two threads: the same global batch, in turn.

Run it alone on a quiet machine:  python benchmarks/processes.py       (about 5 minutes)
`cifar10-laptop` at batch 256 on random images. Both groups stay alive; only one of them works at a time.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from results import machine, save

from twofold.data import ImageBatch
from twofold.distributed import open_world
from twofold.distributed.process import RENDEZVOUS
from twofold.hardware.allocator import keep_freed_memory
from twofold.hardware.device import resolve_hardware
from twofold.recipes.named.cifar10_laptop import RECIPE
from twofold.training.step import StepSetup, build_state, train_step

BATCH, STEPS = 256, 30


def work() -> None:
    """Take the steps that the parent asks for, line by line; the first process answers with the median seconds."""
    recipe = RECIPE.with_settings(batch_size=BATCH)
    hardware = resolve_hardware(recipe.hardware)
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (BATCH, 3, 32, 32), generator=generator, dtype=torch.uint8)
    with open_world("cpu") as world:
        share = world.share(BATCH)
        batch = ImageBatch(images[share.positions], torch.full((len(share.positions), 2), 32))
        state = build_state(recipe, hardware, peak=0.1, world=world)
        setup = StepSetup.of(recipe, hardware, world, share)
        for line in sys.stdin:
            taken = []
            for _ in range(int(line)):
                start = time.perf_counter()
                train_step(state, batch, setup, lr=0.1)["loss"].item()
                taken.append(time.perf_counter() - start)
            if world.is_first:
                print(statistics.median(taken), flush=True)


def group(processes: int, threads: int) -> list[subprocess.Popen[str]]:
    meeting = Path(tempfile.mkdtemp(), "rendezvous").as_uri()
    started = []
    for rank in range(processes):
        environment = os.environ | {
            "OMP_NUM_THREADS": str(threads),
            "GOMP_SPINCOUNT": "10000",
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(processes),
            "LOCAL_WORLD_SIZE": str(processes),
            RENDEZVOUS: meeting,
        }
        arguments = [sys.executable, __file__, "--work"]
        started.append(
            subprocess.Popen(arguments, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
    return started


def ask(processes: list[subprocess.Popen[str]], steps: int) -> float:
    for process in processes:
        assert process.stdin
        process.stdin.write(f"{steps}\n")
        process.stdin.flush()
    assert processes[0].stdout
    return float(processes[0].stdout.readline())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--work", action="store_true")
    options = parser.parse_args()
    keep_freed_memory()  # as the command line does
    if options.work:
        work()
        return
    one, two = group(1, 2), group(2, 1)
    ask(one, 5), ask(two, 5)
    pairs = []
    for _ in range(options.rounds):
        pairs.append((ask(one, STEPS), ask(two, STEPS)))
        print(f"one process {pairs[-1][0]:.4f} s, two processes {pairs[-1][1]:.4f} s a step", flush=True)
    for process in (*one, *two):
        process.communicate()
    ratios = [single / double for single, double in pairs]
    speed = {"median": statistics.median(ratios), "low": min(ratios), "high": max(ratios)}
    print(f"speed of two processes over one: {speed['median']:.2f} ({speed['low']:.2f} to {speed['high']:.2f})")
    steps = {"one": statistics.median(p[0] for p in pairs), "two": statistics.median(p[1] for p in pairs)}
    save(Path(__file__).stem, {"machine": machine(), "batch_size": BATCH, "speed": speed, "step_s": steps})


if __name__ == "__main__":
    main()
