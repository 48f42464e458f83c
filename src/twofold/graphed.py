"""A whole training step as one CUDA graph: recorded once, then started by a single call of the host.

Legend: n images of a step, k columns of what is drawn for a view.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from twofold.data import ImageBatch
from twofold.distributed import Share, World
from twofold.recipe import Recipe
from twofold.runtime.console import say
from twofold.runtime.device import Hardware
from twofold.runtime.randomness import seed_random
from twofold.training import TrainState, learn
from twofold.views import build_policy, sample_views
from twofold.views.packed import Packed, pack
from twofold.views.uniform import uniform_views

Step = Callable[..., dict[str, Tensor]]  # (images, lr=rate) -> the loss and what is watched
Record = Callable[[Callable[[], Tensor], torch.device], tuple[Callable[[], object], Tensor]]

_WARM_UP = 3  # what is allocated, chosen or compiled on first use must be there before the recording


def build_step(
    train: Callable[..., dict[str, Tensor]],
    state: TrainState,
    recipe: Recipe,
    hardware: Hardware,
    world: World,
    share: Share,
) -> Step:
    """The step `train` (`train_step`) of a recipe: queued by the host operation by operation, or one CUDA graph.

    A graph is recorded where the recipe compiles on a GPU, for one process whose batch goes through the model at once.
    """
    queued = partial(
        train,
        state,
        views=recipe.views,
        loss=recipe.loss,
        seed=recipe.schedule.seed,
        hardware=hardware,
        world=world,
        share=share,
    )
    if hardware.compiled and world.size == 1 and len(share.chunks) == 1:
        return GraphedStep(queued, state, recipe, hardware, world, share)
    return queued


class GraphedStep:
    """Does what `queued` does, with one launch; batches on another canvas than the first are queued.

    What changes from step to step lies in buffers of the device: images, what was drawn, the rate, the step's number.
    """

    def __init__(
        self,
        queued: Step,
        state: TrainState,
        recipe: Recipe,
        hardware: Hardware,
        world: World,
        share: Share,
        *,
        record: Record | None = None,
    ) -> None:
        self._state, self._recipe, self._hardware = state, recipe, hardware
        self._world, self._share, self._queued = world, share, queued
        self._record = record or record_graph
        self._policy = build_policy(recipe.views)
        self._shape: torch.Size | None = None  # of the batch that was recorded
        self._replay: Callable[[], object] | None = None

    def __call__(self, batch: ImageBatch, *, lr: float) -> dict[str, Tensor]:
        state = self._state
        drawn = self._draw(batch)
        if self._shape is None:
            self._begin(batch, drawn)
        if self._replay is None or batch.images.shape != self._shape:
            return self._queued(batch, lr=lr)
        self._images.copy_(batch.images, non_blocking=True)
        self._drawn.columns.copy_(_ready(drawn.columns, self._hardware.device), non_blocking=True)
        self._lr.fill_(lr)
        self._step.fill_(state.step)
        seed_random(self._hardware.device, self._recipe.schedule.seed, state.step, self._world.rank, 0)
        self._replay()
        state.step += 1
        loss, accuracy, entropy = self._found.clone().unbind()  # the next step overwrites what this one found
        return {"loss": loss, "contrast_accuracy": accuracy, "contrast_entropy": entropy}

    def _draw(self, batch: ImageBatch) -> Packed:
        seed, size_px = self._recipe.schedule.seed, self._recipe.views.size_px
        draws = sample_views(self._policy, self._share.batch_size, seed=seed, step=self._state.step)
        return pack(draws, batch.sizes.repeat(2, 1), size_px=size_px)

    def _begin(self, batch: ImageBatch, drawn: Packed) -> None:
        """Record a step on this batch; the state is afterwards what it was."""
        device = self._hardware.device
        self._shape = batch.images.shape
        self._images, self._drawn = batch.images.to(device, copy=True), drawn.to(device)
        self._lr = torch.zeros((), device=device)
        self._step = torch.zeros((), dtype=torch.int64, device=device)
        before = _Kept(self._state)
        try:
            self._replay, self._found = self._record(self._work, device)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[0]
            say(f"compile: this step cannot be one CUDA graph ({reason}); the host queues its operations one by one.")
        finally:
            before.put_back()

    def _work(self) -> Tensor:
        """All of a step that the device does."""
        found = learn(
            self._state,
            self._make_x,
            lr=self._lr,
            step=self._step,
            loss=self._recipe.loss,
            key=None,
            hardware=self._hardware,
            world=self._world,
            share=self._share,
        )
        return torch.stack([found["loss"], found["contrast_accuracy"], found["contrast_entropy"]])

    def _make_x(self, _whole: slice) -> Tensor:
        views = self._recipe.views
        how: dict[str, Any] = {"size_px": views.size_px, "interpolation": views.interpolation}
        x = uniform_views(self._images, self._drawn, compiled=self._hardware.compiled, **how)
        return x.contiguous(memory_format=torch.channels_last)


class _Kept:
    """A copy of all that a step changes, to be put back into the same places of memory."""

    def __init__(self, state: TrainState) -> None:
        self._state = state
        self._model = {name: tensor.clone() for name, tensor in state.model.state_dict().items()}
        self._bad = state.first_bad_step.clone()
        self._optimizer = {place: tensor.clone() for place, tensor in _moments(state.optimizer)}

    @torch.no_grad()
    def put_back(self) -> None:
        """What the optimizer had not got yet becomes zero: as it begins."""
        for name, tensor in self._state.model.state_dict().items():
            tensor.copy_(self._model[name])
        self._state.first_bad_step.copy_(self._bad)
        for place, tensor in _moments(self._state.optimizer):
            if place in self._optimizer:
                tensor.copy_(self._optimizer[place])
            else:
                tensor.zero_()


def _moments(optimizer: torch.optim.Optimizer) -> list[tuple[tuple[int, str], Tensor]]:
    return [
        ((id(weight), name), value)
        for weight, values in optimizer.state.items()
        for name, value in values.items()
        if isinstance(value, Tensor)
    ]


def _ready(numbers: Tensor, device: torch.device) -> Tensor:
    return numbers.pin_memory() if device.type == "cuda" else numbers


def record_graph(work: Callable[[], Tensor], device: torch.device) -> tuple[Callable[[], object], Tensor]:
    """A CUDA graph of `work`: what starts it again, and where it leaves its result."""
    with torch.cuda.device(device):
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(_WARM_UP):
                work()
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        # the thread that reads images goes on allocating page-locked memory meanwhile
        with torch.cuda.graph(graph, stream=aside, capture_error_mode="thread_local"):
            found = work()
    return graph.replay, found
