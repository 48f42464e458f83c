"""Two processes on one device beside one process: the same losses and weights? Then NCCL's calls in a group of one.

As a program it is the other of the two:  python -m gpu_sections.two 1 FOLDER DEVICE
"""

import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed

from gpu_sections.bench import Bench, difference, set_float32_products
from gpu_sections.pictures import batch_of
from gpu_sections.trainer import SMALL, Trainer, hardware_of, recipe_of
from twofold.data import ImageBatch
from twofold.distributed import World

_PATIENCE = timedelta(seconds=45)  # less than the section has, as an alarm does not end this kind of waiting
_BATCH, _CHUNK, _SIDE_PX = 32, 16, 16


class ThroughHost:
    """Messages over the CPU, in place of a `Mailbox`: NCCL refuses two processes on one GPU."""

    def stack(self, values: Tensor) -> Tensor:
        """The vectors of both processes, one a row."""
        rows = [torch.empty_like(values, device="cpu") for _ in range(2)]
        distributed.all_gather(rows, values.detach().cpu().contiguous())
        return torch.stack(rows).to(values.device)

    def sum(self, values: Tensor) -> Tensor:
        """Their sum."""
        total = values.detach().cpu().clone()
        distributed.all_reduce(total)
        return total.to(values.device)


def two(bench: Bench) -> None:
    bench.measure("two processes beside one", lambda: _beside_one(bench))
    if bench.on_gpu:
        bench.measure("NCCL in a group of one", lambda: _nccl(bench))


def _beside_one(bench: Bench) -> dict[str, Any]:
    found = _as_two(bench)
    alone = _steps(str(bench.device), World())
    weights = {name: value for name, value in alone["weights"].items() if value.norm() > 1e-3}
    return {
        "losses": [found["losses"], alone["losses"]],
        "ms a step": [found["ms"], alone["ms"]],
        "worst weight": max(difference(found["weights"][name], value) for name, value in weights.items()),
    }


def _as_two(bench: Bench) -> dict[str, Any]:
    """The steps by this process and another one."""
    (bench.work / "meeting").unlink(missing_ok=True)
    path = os.pathsep.join(str(Path(place).resolve()) for place in sys.path if place)
    arguments = ["1", str(bench.work.resolve()), str(bench.device)]
    other = subprocess.Popen(
        [sys.executable, "-m", "gpu_sections.two", *arguments],
        env=os.environ | {"PYTHONPATH": path},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        return _one_of_two(0, bench.work.resolve(), str(bench.device))
    except RuntimeError as error:
        other.kill()
        raise RuntimeError(f"{error}; the other process: {other.communicate()[1][-400:]}") from error
    finally:
        other.kill()  # nothing is left to do for it
        other.communicate()


def _steps(device: str, world: World) -> dict[str, Any]:
    """Three steps in chunks; batch norm's statistics are over the chunk's images of all processes."""
    set_float32_products(False, False)
    settings = SMALL | {"size_px": _SIDE_PX, "temperature": 0.5, "chunk": _CHUNK}
    trainer = Trainer(recipe_of(_BATCH, **settings), hardware_of(device, "fp32"), world)
    whole, own = batch_of(_BATCH, _SIDE_PX), trainer.share.positions
    batch = ImageBatch(whole.images[own], whole.sizes[own])
    start = time.perf_counter()
    losses = [float(trainer.step(batch)["loss"]) for _ in range(3)]
    return {"losses": losses, "ms": (time.perf_counter() - start) / 3 * 1e3, "weights": trainer.weights()}


def _one_of_two(rank: int, folder: Path, device: str) -> dict[str, Any]:
    meeting = (folder / "meeting").as_uri()
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2, timeout=_PATIENCE)
    mailbox: Any = ThroughHost()
    try:
        found = _steps(device, World(rank, 2, rank, torch.device(device), mailbox))
        distributed.barrier()
        return found
    finally:
        distributed.destroy_process_group()


def _nccl(bench: Bench) -> dict[str, Any]:
    """The calls that several GPUs make."""
    (bench.work / "nccl").unlink(missing_ok=True)
    meeting = (bench.work.resolve() / "nccl").as_uri()
    distributed.init_process_group("nccl", init_method=meeting, rank=0, world_size=1)
    try:
        x = torch.randn(64, device=bench.device)
        world = World(device=bench.device)
        own = torch.empty(64, device=bench.device)
        distributed.reduce_scatter_tensor(own, x)
        total = x.clone()
        distributed.all_reduce(total)
        box, many = [{"a": 1}], [None]
        distributed.broadcast_object_list(box, src=0)
        distributed.all_gather_object(many, {"b": 2})
        return {
            "stack": difference(world.stack(x)[0], x),
            "scatter": difference(own, x),
            "sum": difference(total, x),
            "objects": [box, many],
            "stack of 64 numbers, us": 1e6 * bench.wall_s(lambda: world.stack(x), 200),
        }
    finally:
        distributed.destroy_process_group()


if __name__ == "__main__":
    _one_of_two(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
