"""NT-Xent beside its peers: time and memory of value and gradient, for one batch size and for many.

Run it alone on a quiet machine:  python benchmarks/loss.py            (about 5 minutes; needs the `bench` extra)
Peers are measured where they are installed. Times are taken in turn in one process, memory in a process each.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from results import machine, save
from torch import Tensor

from twofold.hardware.allocator import keep_freed_memory
from twofold.hardware.peak_memory import PeakMemory
from twofold.losses import nt_xent_dense, nt_xent_tiled

TEMPERATURE, DIM = 0.1, 128
SIZES = tuple(2**k for k in range(8, 17))
MOST_BYTES = 12 * 2**30  # larger matrices than this are not tried
Loss = Callable[[Tensor, Tensor], Tensor]


def _lightly() -> Loss:
    from lightly.loss import NTXentLoss

    return NTXentLoss(temperature=TEMPERATURE)


def _pytorch_metric_learning() -> Loss:
    from pytorch_metric_learning.losses import NTXentLoss, SelfSupervisedLoss

    return SelfSupervisedLoss(NTXentLoss(temperature=TEMPERATURE), symmetric=True)


# name -> how to build it, and about how many bytes it holds at its peak for 2N views
LOSSES: dict[str, tuple[Callable[[], Loss], Callable[[int], int]]] = {
    "twofold tiled": (lambda: lambda a, b: nt_xent_tiled(a, b, temperature=TEMPERATURE), lambda _: 0),
    "twofold dense": (lambda: lambda a, b: nt_xent_dense(a, b, temperature=TEMPERATURE), lambda views: 16 * views**2),
    "lightly": (_lightly, lambda views: 20 * views**2),
    # compares every positive pair with every negative pair: at N = 8192 it asks for 4 TB
    "pytorch-metric-learning": (_pytorch_metric_learning, lambda views: 9 * views**3),
}


def inputs(n: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(n, DIM, generator=generator) for _ in range(2))
    return a.requires_grad_(), b.requires_grad_()


def seconds(loss: Loss, z: tuple[Tensor, Tensor]) -> float:
    for part in z:
        part.grad = None
    start = time.perf_counter()
    loss(*z).backward()
    return time.perf_counter() - start


def in_turn(names: list[str], n: int, rounds: int) -> dict[str, list[float]]:
    """Each loss once a round, after one round that is not counted."""
    built, z = {name: LOSSES[name][0]() for name in names}, inputs(n)
    times: dict[str, list[float]] = {name: [] for name in names}
    for counted in [False] + [True] * rounds:
        for name in names:
            taken = seconds(built[name], z)
            if counted:
                times[name].append(taken)
    return times


def child(name: str, n: int) -> None:
    """One value and gradient in a fresh process: seconds, and bytes beyond the inputs at the peak."""
    loss, z = LOSSES[name][0](), inputs(n)
    seconds(loss, inputs(8))  # what libraries keep once
    with PeakMemory(torch.device("cpu")) as before:
        pass
    with PeakMemory(torch.device("cpu")) as peak:
        taken = seconds(loss, z)
    print(json.dumps({"seconds": taken, "bytes": peak.bytes - before.bytes}))


def fits(name: str, n: int) -> bool:
    return LOSSES[name][1](2 * n) <= MOST_BYTES


def installed() -> list[str]:
    names = []
    for name, (build, _) in LOSSES.items():
        try:
            build()
        except ImportError:
            print(f"{name} is not installed and is left out")
        else:
            names.append(name)
    return names


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--child", nargs=2, metavar=("NAME", "N"))
    options = parser.parse_args()
    keep_freed_memory()  # as the command line does
    if options.child:
        child(options.child[0], int(options.child[1]))
        return
    names = installed()
    rivals = [name for name in names if fits(name, 8192)]
    times = in_turn(rivals, 8192, options.rounds)
    ratios = {}
    for name in rivals[1:]:
        ratio = sorted(peer / own for own, peer in zip(times[names[0]], times[name], strict=True))
        ratios[name] = {"median": statistics.median(ratio), "low": ratio[0], "high": ratio[-1]}
        print(f"{name} / {names[0]}: {ratios[name]['median']:.1f} ({ratio[0]:.1f} to {ratio[-1]:.1f})")
    curve = []
    for n in SIZES:
        for name in names:
            if fits(name, n):
                run = subprocess.run(
                    [sys.executable, __file__, "--child", name, str(n)], capture_output=True, text=True, check=True
                )
                curve.append({"name": name, "n": n, **json.loads(run.stdout)})
                print(curve[-1], flush=True)
    save(
        Path(__file__).stem,
        {
            "machine": machine(),
            "dim": DIM,
            "rounds": options.rounds,
            "times_s": {name: statistics.median(taken) for name, taken in times.items()},
            "ratios": ratios,
            "curve": curve,
        },
    )


if __name__ == "__main__":
    main()
