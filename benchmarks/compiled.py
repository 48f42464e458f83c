"""The encoder compiled by torch.compile beside the same encoder as it is: forward and backward, in turn.

Run it alone on a quiet machine:  python benchmarks/compiled.py       (about 6 minutes, half of them compiling)
Random views; bf16 where the hardware has it.
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from results import machine, save

from twofold.hardware.allocator import keep_freed_memory
from twofold.hardware.device import resolve_hardware
from twofold.models import build_encoder
from twofold.recipes.named import cifar10_laptop
from twofold.recipes.recipe import HardwareRecipe, Recipe

SETTINGS: dict[str, tuple[Recipe, int, int]] = {  # title -> recipe, views, their pixels
    "cifar10-laptop, 24 px": (cifar10_laptop.RECIPE, 512, 24),
    "ResNet-50, 224 px": (Recipe().with_settings(encoder="resnet50", stem="imagenet"), 32, 224),
}
ROUNDS, STEPS = 5, 3


def step_of(recipe: Recipe, views: torch.Tensor, *, compiled: bool) -> Callable[[], None]:
    """Forward and backward of a fresh encoder on the same views."""
    hardware = resolve_hardware(HardwareRecipe())
    views = views.to(hardware.device)
    encoder = build_encoder(recipe.encoder, channels=3, size_px=views.shape[-1])
    hardware.place(encoder)
    encoder.train()
    if compiled:
        encoder.compile()

    def step() -> None:
        with hardware.autocast():
            h = encoder(views)
        h.float().square().mean().backward()
        encoder.zero_grad(set_to_none=True)

    return step


def seconds(step: Callable[[], None], count: int) -> float:
    """A step's, over `count` of them."""
    start = time.perf_counter()
    for _ in range(count):
        step()
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()
    return (time.perf_counter() - start) / count


def compare(title: str, recipe: Recipe, count: int, size_px: int) -> dict[str, Any]:
    views = torch.rand(count, 3, size_px, size_px).contiguous(memory_format=torch.channels_last)
    eager, compiled = (step_of(recipe, views, compiled=answer) for answer in (False, True))
    for step in (eager, compiled):
        seconds(step, 2)
    pairs = [(seconds(eager, STEPS), seconds(compiled, STEPS)) for _ in range(ROUNDS)]
    ratios = [plain / other for plain, other in pairs]
    speed = {"median": statistics.median(ratios), "low": min(ratios), "high": max(ratios)}
    print(f"{title}: compiled over eager {speed['median']:.2f} ({speed['low']:.2f} to {speed['high']:.2f})", flush=True)
    return {"title": title, "step_s": statistics.median(p[0] for p in pairs), "speed": speed}


def main() -> None:
    keep_freed_memory()  # as the command line does
    tables = [compare(title, *setting) for title, setting in SETTINGS.items()]
    save(Path(__file__).stem, {"machine": machine(), "tables": tables})


if __name__ == "__main__":
    main()
