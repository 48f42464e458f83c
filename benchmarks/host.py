"""What the host does in a training step that a GPU computes as one CUDA graph: drawing, packing, and starting it.

    python benchmarks/host.py

The device is left out: the graph does nothing. ResNet-18 with the small-image stem, batch 512 at 32 px, one thread; CPU
time of the process, so that other work on the machine counts little.
"""

import statistics
import time

import torch
from results import machine, save

from twofold.data import ImageBatch
from twofold.distributed import World
from twofold.hardware.device import Hardware
from twofold.recipes.recipe import Recipe, ScheduleRecipe
from twofold.training.graph import GraphedStep
from twofold.training.step import StepSetup, build_state

BATCH, SIDE, STEPS, ROUNDS = 512, 32, 100, 7


def main() -> None:
    torch.set_num_threads(1)
    found = {}
    for policy in ("small", "simclr"):
        step, batch = _step(policy)
        step(batch, lr=0.1)
        rounds = []
        for _ in range(ROUNDS):
            start = time.process_time()
            for _ in range(STEPS):
                step(batch, lr=0.1)
            rounds.append(1e3 * (time.process_time() - start) / STEPS)
        found[policy] = {"ms": statistics.median(rounds), "low": min(rounds), "high": max(rounds)}
        print(policy, found[policy])
    save("host", {"machine": machine(), "rounds": ROUNDS, "policies": found})


def _step(policy: str) -> tuple[GraphedStep, ImageBatch]:
    settings = {"encoder": "resnet18", "stem": "small", "size_px": SIDE, "policy": policy, "optimizer": "sgd"}
    recipe = Recipe(schedule=ScheduleRecipe(batch_size=BATCH, epochs=1.0), name="host").with_settings(**settings)
    hardware, world = Hardware(torch.device("cpu"), "fp32"), World()
    state = build_state(recipe, hardware, peak=0.1, world=world)
    images = torch.randint(0, 256, (BATCH, 3, SIDE, SIDE), dtype=torch.uint8)

    def nothing(_work: object, _device: object) -> tuple[object, torch.Tensor]:
        return lambda: None, torch.zeros(3)

    setup = StepSetup.of(recipe, hardware, world, world.share(BATCH, None))
    step = GraphedStep(nothing, state, setup, record=nothing)
    return step, ImageBatch(images, torch.full((BATCH, 2), SIDE))


if __name__ == "__main__":
    main()
