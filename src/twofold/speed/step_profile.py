"""Where the time of a training step goes: its parts, told apart by hooks on the model and the optimizer."""

import math
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from rich.table import Table
from torch import Tensor

from twofold.console import console
from twofold.data import ImageBatch, ImageSet, Loader, rows_of_step
from twofold.data.resident import ResidentImages
from twofold.distributed import Share, World
from twofold.hardware.device import Hardware
from twofold.hardware.peak_memory import PeakMemory
from twofold.hardware.randomness import forked_random
from twofold.recipes.recipe import Recipe
from twofold.speed.step_time import TRIAL_LR, warm_up
from twofold.training.graph import is_recorded
from twofold.training.step import StepSetup, TrainState, build_state, train_step

PARTS = ("data wait", "views", "forward", "loss", "backward", "optimizer", "rest")
_MEANING = {
    "data wait": "waiting for images from the store",
    "views": "drawing and making both views",
    "forward": "encoder and head, forward",
    "loss": "NT-Xent, forward and backward",
    "backward": "encoder and head, backward",
    "optimizer": "new weights",
    "rest": "contrastive accuracy, sums over processes, bookkeeping",
}
GRAPH_NOTE = (
    "Measured with each operation queued by the host. Training starts this step as one CUDA graph, which is faster: "
    "its speed is the images/s of the run."
)
_FEWEST = 3


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Medians over `steps` steps of `images` images. `parts_s` has the seconds of each of PARTS."""

    images: int
    steps: int
    step_s: float
    parts_s: dict[str, float]
    peak_bytes: int | None = None
    trained_as_graph: bool = False  # measured part by part, which training does not wait for

    @property
    def images_per_s(self) -> float:
        """Images (not views) a second, data wait included."""
        return self.images / self.step_s

    @property
    def encoder_s(self) -> float:
        """Seconds in encoder and head, forward and backward."""
        return self.parts_s["forward"] + self.parts_s["backward"]

    @property
    def encoder_share(self) -> float:
        """What share of a step is encoder and head: 1 is the ideal."""
        return self.encoder_s / self.step_s

    @property
    def wait_share(self) -> float:
        """What share of a step is waiting for images: 0 is the ideal."""
        return self.parts_s["data wait"] / self.step_s

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, in seconds and shares."""
        return {
            "images": self.images,
            "steps": self.steps,
            "step_s": self.step_s,
            "images_per_s": self.images_per_s,
            "encoder_share": self.encoder_share,
            "parts_s": self.parts_s,
            "trained_as_graph": self.trained_as_graph,
        }


def profile_steps(
    recipe: Recipe,
    hardware: Hardware,
    images: ImageSet,
    *,
    world: World,
    share: Share,
    steps: int,
    seconds: float | None = None,
    measure_memory: bool = False,
    resident: ResidentImages | None = None,
) -> Profile:
    """Profile real training steps on a state of their own, after some that warm up; no weight of a run is touched.

    Parts end where a hook is called, and the device is waited for there, so that a GPU's work counts where it was
    asked for. So a step that training starts as one CUDA graph is queued here. Where a batch goes through the model in
    chunks, the loss counts among the views. `seconds` ends it early, after at least three steps (for one process).
    `measure_memory` takes the peak of a step of its own. `resident`: the images of train on the device, if there.
    """
    state, rows = build_state(recipe, hardware, peak=TRIAL_LR, world=world), images.rows("train")
    clock, own = _Clock(state, hardware.device), share.positions.numpy()
    size, seed = recipe.schedule.batch_size, recipe.schedule.seed
    setup = StepSetup.of(recipe, hardware, world, share)

    def step(batch: ImageBatch) -> None:
        clock.start()
        train_step(state, batch, setup, lr=TRIAL_LR)["loss"].item()
        clock.mark("rest")

    taken: list[dict[str, float]] = []
    totals: list[float] = []
    warm = images.read(rows_of_step(rows, size, seed, 0)[own])
    with forked_random(hardware.device):
        warm_up(lambda: step(warm), world, seconds=math.inf if seconds is None else seconds)
        peak_bytes = _peak(hardware, step, warm) if measure_memory else None
        how: dict[str, Any] = {"pinned": hardware.device.type == "cuda", "resident": resident}
        loader = Loader(images, rows, batch_size=size, seed=seed, last_step=steps, positions=own, **how)
        waited, start = 0.0, time.monotonic()
        begin = start
        with closing(iter(loader)) as batches:  # type: ignore[type-var]  # a generator
            for batch in batches:
                step(batch)
                end = time.monotonic()
                taken.append({**clock.parts, "data wait": loader.wait_s - waited})
                totals.append(end - begin)
                begin, waited = end, loader.wait_s
                if seconds is not None and len(totals) >= _FEWEST and end - start > seconds:
                    break
    clock.close()
    return Profile(
        images=size,
        steps=len(totals),
        step_s=median(totals),
        parts_s={part: median(one[part] for one in taken) for part in PARTS},
        peak_bytes=peak_bytes,
        trained_as_graph=is_recorded(setup),
    )


def show_profile(profile: Profile) -> None:
    """Print the parts with their times and shares."""
    table = Table(
        title=f"\nA step of {profile.images:,} images, median of {profile.steps}", title_justify="left", box=None
    )
    table.add_column("part", style="dim")
    table.add_column("ms", justify="right")
    table.add_column("share", justify="right")
    table.add_column("", style="dim")
    for part, seconds in profile.parts_s.items():
        table.add_row(part, f"{seconds * 1e3:,.1f}", f"{seconds / profile.step_s:.1%}", _MEANING[part])
    table.add_row("step", f"{profile.step_s * 1e3:,.1f}", "", f"{profile.images_per_s:,.0f} images/s")
    console.print(table)
    console.print(f"Encoder and head: {profile.encoder_share:.1%} of a step.", markup=False)
    if profile.trained_as_graph:
        console.print(GRAPH_NOTE, markup=False)
    console.print()


class _Clock:
    """The time since the last mark goes to the part that the mark ends."""

    def __init__(self, state: TrainState, device: torch.device) -> None:
        self.parts: dict[str, float] = {}
        self._device = device
        self._hooks = [
            state.model.register_forward_pre_hook(lambda *_: self.mark("views")),
            state.model.register_forward_hook(self._after_forward),
            state.optimizer.register_step_pre_hook(lambda *_: self.mark("backward")),
            state.optimizer.register_step_post_hook(lambda *_: self.mark("optimizer")),
        ]

    def start(self) -> None:
        self.parts = dict.fromkeys(PARTS, 0.0)
        self._last = self._now()

    def mark(self, part: str) -> None:
        now = self._now()
        self.parts[part] += now - self._last
        self._last = now

    def close(self) -> None:
        for hook in self._hooks:
            hook.remove()

    def _after_forward(self, _model: object, _inputs: object, outputs: tuple[Tensor, Tensor]) -> None:
        self.mark("forward")
        if outputs[1].requires_grad:
            outputs[1].register_hook(lambda _gradient: self.mark("loss"))

    def _now(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.monotonic()


def _peak(hardware: Hardware, step: Callable[[ImageBatch], None], batch: ImageBatch) -> int:
    with PeakMemory(hardware.device) as peak:
        step(batch)
    return peak.bytes
