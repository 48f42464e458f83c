"""Trains the same steps with 1, 2, 3 and 4 processes, and with faults put in. Used by test_world.py.

The parent imports everything and runs nothing; each group of processes is forked from it. The first process of a group
saves what it saw. Arguments: folder for the results, then jobs "processes:chunk:fault:way" (chunk 0: the whole batch;
way "memory" or "sockets": how messages travel), with ":loss" at the end for another loss than NT-Xent.
"""

import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from forked import forked_group
from small_recipe import SMALL
from twofold.data import ImageBatch
from twofold.distributed import World, open_world
from twofold.distributed.gather import Gather
from twofold.hardware.device import Hardware
from twofold.losses import build as choosing
from twofold.losses import nt_xent
from twofold.recipes.recipe import LossRecipe, Op, ViewsRecipe
from twofold.training import step
from twofold.training.step import StepSetup, TrainState, build_state, train_step

BATCH, LR = 24, 0.1
STEPS, TO_LEARN = 3, 19  # that groups are compared over, and that one process takes to learn
RECIPE = SMALL.with_settings(
    size_px=12,
    stages=2,
    zero_init=False,
    z_dim=16,
    temperature=0.2,
    optimizer="lars",
    trust_coefficient=0.01,
    batch_size=BATCH,
)
LOSSES = {
    "nt-xent": RECIPE.loss,
    "nt-logistic": LossRecipe(loss="nt-logistic", temperature=0.2),
    "triplet": LossRecipe(loss="triplet", semi_hard=True),
    "dcl": LossRecipe(loss="dcl", temperature=0.2),
}
# Views without rounding, which would depend on how many are made at once.
EXACT = ViewsRecipe(
    size_px=16,
    ops=(Op(name="flip", prob=0.5), Op(name="rotate", range=(0.0, 3.0)), Op(name="cutout", range=(0.1, 0.4))),
)


def _local_negatives(z_a: Tensor, z_b: Tensor, *, anchors: tuple[int, int], **options: Any) -> Tensor:
    own = slice(*anchors)
    return nt_xent(z_a[own], z_b[own], **options) * (anchors[1] - anchors[0]) / len(z_a)


def _wrong_positive(z_a: Tensor, z_b: Tensor, *, anchors: tuple[int, int], **options: Any) -> Tensor:
    return nt_xent(z_a, z_b.roll(anchors[0], dims=0), anchors=anchors, **options)


def _own_gradient(ctx: Any, outer: Tensor) -> tuple[Tensor, None]:
    return outer.chunk(ctx.world.size)[ctx.world.rank], None


def _local_norm(model: nn.Module, _world: World) -> nn.Module:
    return model


def put_in(fault: str) -> None:
    if fault == "local_negatives":
        choosing.nt_xent = _local_negatives
    elif fault == "wrong_positive":
        choosing.nt_xent = _wrong_positive
    elif fault == "dropped_gradient":
        Gather.backward = staticmethod(_own_gradient)
    elif fault == "local_norm":
        step.global_norm = _local_norm
    else:
        assert fault == "none", fault


def to_double(_model: nn.Module, views: tuple[Tensor]) -> tuple[Tensor]:
    return (views[0].double(),)


def take(
    steps: int, world: World, chunk: int | None, loss: str, *, double: bool = False, precision: str = "fp32"
) -> tuple[TrainState, list[dict[str, float]]]:
    """Some steps from fresh weights; `double`: in float64, where rounding cannot flip a ReLU."""
    hardware = Hardware(torch.device("cpu"), precision)
    images = torch.randint(0, 256, (BATCH, 3, 16, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    share = world.share(BATCH, chunk)
    batch = ImageBatch(images[share.positions], torch.full((len(share.positions), 2), 16))
    state = build_state(RECIPE, hardware, peak=LR, world=world)
    if double:
        state.model.double().register_forward_pre_hook(to_double)
    views = EXACT if double else RECIPE.views
    setup = StepSetup(views=views, loss=LOSSES[loss], seed=0, hardware=hardware, world=world, share=share)
    results = []
    for _ in range(steps):
        result = train_step(state, batch, setup, lr=LR)
        results.append({name: float(value) for name, value in result.items()})
    return state, results


def run(out: Path, chunk: int | None, way: str, loss: str, steps: int) -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("error")
    with open_world("cpu") as world:
        assert bool(world.mailbox) is (world.size > 1 and way == "memory")
        short, _ = take(1, world, chunk, loss, precision="bf16")
        state, results = take(1, world, chunk, loss)
        named = state.model.named_parameters()
        seen: dict[str, Any] = {
            "first": results[0],
            "short buffers": {name: buffer.clone() for name, buffer in short.model.named_buffers()},
            "gradients": {name: weight.grad.clone() for name, weight in named if weight.grad is not None},
            "buffers": {name: buffer.clone() for name, buffer in state.model.named_buffers()},
        }
        state, results = take(steps, world, chunk, loss, double=True)
        seen |= {"losses": [result["loss"] for result in results], "weights": state.model.state_dict()}
        if world.size == 1 and chunk is None:
            _, results = take(TO_LEARN, world, chunk, loss, double=True)
            seen["learning"] = [result["loss"] for result in results]
        if world.is_first:
            torch.save(seen, out)


def group(processes: int, out: Path, chunk: int | None, fault: str, way: str, loss: str = "nt-xent") -> None:
    def work(_rank: int) -> None:
        put_in(fault)
        run(out, chunk, way, loss, STEPS if fault == "none" else 0)  # a fault shows in the first gradient

    codes = forked_group(processes, work, one_machine=way == "memory")
    if any(codes):
        sys.exit(f"{processes} processes, chunk {chunk}, fault {fault}: exit codes {codes}")


def main() -> None:
    folder = Path(sys.argv[1])
    for job in sys.argv[2:]:
        processes, chunk, fault, way, *loss = job.split(":")
        group(int(processes), folder / f"{job}.pt", int(chunk) or None, fault, way, *loss)


if __name__ == "__main__":
    main()
