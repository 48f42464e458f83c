"""What the machine is, and how fast its simplest operations are; where the host waits for it in a step."""

import os
import platform
import subprocess
import time
import traceback
import warnings
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

import twofold
from gpu_sections.bench import Bench
from gpu_sections.pictures import batch_of
from gpu_sections.trainer import Trainer, as_loaded, big_recipe, cifar_recipe, hardware_of
from twofold.data import ImageBatch
from twofold.hardware.device import resolve_hardware
from twofold.recipes.recipe import HardwareRecipe, Recipe

_HOME = Path(twofold.__file__).parent
_PACKAGES = "torchvision tyro rich safetensors jinja2 sklearn scipy pyarrow jaxtyping matplotlib timm triton"
_ASKED = "name,driver_version,clocks.sm,clocks.max.sm,power.limit,pcie.link.gen.current,pcie.link.width.current"


def env(bench: Bench) -> None:
    bench.measure("machine", lambda: _machine(bench))
    bench.measure("twofold resolves", lambda: resolve_hardware(HardwareRecipe(device=str(bench.device))).describe())
    for name, dtype, tf32 in (
        ("bf16", torch.bfloat16, False),
        ("tf32", torch.float32, True),
        ("fp32", torch.float32, False),
    ):
        bench.measure(f"matmul {name} TFLOP/s", lambda d=dtype, t=tf32: matrix_rate(bench, d, tf32=t))
    bench.measure("copies, GB/s", lambda: _copies(bench))
    bench.measure("small things, us", lambda: _small_things(bench))


def _machine(bench: Bench) -> dict[str, Any]:
    found: dict[str, Any] = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cores": os.cpu_count(),
        "packages": {name: find_spec(name) is not None for name in _PACKAGES.split()},
        "defaults": {
            "cudnn.benchmark": torch.backends.cudnn.benchmark,
            "cudnn.allow_tf32": torch.backends.cudnn.allow_tf32,
            "matmul.allow_tf32": torch.backends.cuda.matmul.allow_tf32,
            "threads": torch.get_num_threads(),
        },
    }
    if bench.on_gpu:
        card = torch.cuda.get_device_properties(bench.device)
        asked = ["nvidia-smi", f"--query-gpu={_ASKED}", "--format=csv,noheader"]
        found |= {
            "gpu": card.name,
            "gpu GiB": card.total_memory / 2**30,
            "free GiB": torch.cuda.mem_get_info()[0] / 2**30,
            "sms": card.multi_processor_count,
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
            "nccl": str(torch.cuda.nccl.version()),
            "nvidia-smi": subprocess.run(asked, capture_output=True, text=True, timeout=10).stdout.strip(),
        }
    return found


def matrix_rate(bench: Bench, dtype: torch.dtype = torch.bfloat16, *, tf32: bool = False) -> float:
    """TFLOP/s of a large square product."""
    size, before = bench.pick(8192, 128), torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = tf32
    try:
        a, b = (torch.randn(size, size, device=bench.device).to(dtype) for _ in range(2))
        return 2 * size**3 / bench.median_s(lambda: a @ b, 10, 3) / 1e12
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def _copies(bench: Bench) -> dict[str, float]:
    count = bench.pick(2**30, 2**16)
    host = torch.zeros(min(count, 2**28), dtype=torch.uint8)
    a, b = (torch.zeros(count, dtype=torch.uint8, device=bench.device) for _ in range(2))
    place = a[: len(host)]
    found = {
        "on the device, read and written": 2 * count / bench.median_s(lambda: b.copy_(a)) / 1e9,
        "host to device, ordinary memory": len(host) / bench.median_s(lambda: place.copy_(host)) / 1e9,
    }
    if bench.on_gpu:
        pinned = host.pin_memory()
        seconds = bench.median_s(lambda: place.copy_(pinned, non_blocking=True))
        found["host to device, pinned"] = len(host) / seconds / 1e9
    return found


def _small_things(bench: Bench) -> dict[str, float]:
    x, small = torch.zeros(1024, device=bench.device), torch.zeros(512, dtype=torch.int64)
    start = time.perf_counter()
    for _ in range(bench.pick(1_000_000, 1000)):
        pass
    turn = (time.perf_counter() - start) / bench.pick(1_000_000, 1000)
    return {
        "one turn of an empty Python loop": 1e6 * turn,
        "one small operation, queued": 1e6 * bench.wall_s(lambda: x.add_(1), 2000),
        ".to(device) of 512 integers, which waits": 1e6 * bench.wall_s(lambda: small.to(bench.device), 500),
        ".item(), which waits": 1e6 * bench.wall_s(lambda: x[0].item(), 500),
        "torch.manual_seed": 1e6 * bench.wall_s(lambda: torch.manual_seed(3), 200),
    }


def syncs(bench: Bench) -> None:
    """Where the host waits for the device in a step, by line of Twofold."""
    if not bench.on_gpu:
        bench.put("left out", "only CUDA tells where it is waited for")
        return
    cases = {
        "cifar 512": (cifar_recipe(bench), batch_of(512, 32)),
        "resnet50 224, 64 of 256 px": (big_recipe(bench, 64), batch_of(64, 256)),
        "cifar 512 in chunks of 128": (cifar_recipe(bench, chunk=128), batch_of(512, 32)),
        "resnet50 224, 64 mixed to 900 px": (big_recipe(bench, 64), batch_of(64, 900, mixed=True)),
        "cifar 512 lars": (cifar_recipe(bench, optimizer="lars"), batch_of(512, 32)),
    }
    for name, (recipe, batch) in cases.items():
        bench.measure(name, lambda r=recipe, b=batch: _waits(bench, r, b))


def _waits(bench: Bench, recipe: Recipe, batch: ImageBatch) -> dict[str, Any]:
    trainer, batch = Trainer(recipe, hardware_of(bench.device)), as_loaded(bench, batch)
    for _ in range(2):
        trainer.step(batch)
    bench.sync()
    sites: Counter[str] = Counter()

    def note(message: object, _category: object, filename: str, line: int, *_: object) -> None:
        if "synchronizing CUDA operation" in str(message):
            places = [(Path(frame.filename), frame.lineno) for frame in traceback.extract_stack()]
            own = [(path.relative_to(_HOME), number) for path, number in places if path.is_relative_to(_HOME)]
            path, number = own[-1] if own else (Path(filename).name, line)
            sites[f"{path}:{number}"] += 1

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = note  # catch_warnings puts it back
        torch.cuda.set_sync_debug_mode("warn")
        try:
            trainer.step(batch)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return {"a step": sites.total(), "by line": dict(sites.most_common(30))}
