"""A whole training step as one CUDA graph: recorded once, then started by a single call of the host.

Legend: n images of a step, k columns of what is drawn for a view.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from twofold.console import say
from twofold.data import ImageBatch
from twofold.errors import is_out_of_memory
from twofold.hardware.device import Hardware
from twofold.hardware.randomness import seed_random
from twofold.recipes.recipe import ViewsRecipe
from twofold.training.step import StepSetup, TrainState, learn, make_views
from twofold.views import Draw, build_policy, sample_views
from twofold.views.ops.crop import ready
from twofold.views.packed import Packed, pack
from twofold.views.uniform import uniform_views

Step = Callable[..., dict[str, Tensor]]  # (images, lr=rate) -> the loss and what is watched
Record = Callable[[Callable[[], Tensor], torch.device], tuple[Callable[[], object], Tensor]]

_WARM_UP = 3  # what is allocated, chosen or compiled on first use must be there before the recording


def build_step(train: Callable[..., dict[str, Tensor]], state: TrainState, setup: StepSetup) -> Step:
    """The step `train` (`train_step`) of a setup: queued by the host operation by operation, or one CUDA graph.

    A graph is recorded where the recipe compiles on a GPU, for one process whose batch goes through the model at once.
    """
    queued = partial(train, state, setup=setup)
    return GraphedStep(queued, state, setup) if is_recorded(setup) else queued


def is_recorded(setup: StepSetup) -> bool:
    """Whether training starts each step as one CUDA graph."""
    return setup.hardware.compiled and setup.world.size == 1 and len(setup.share.chunks) == 1


class GraphedStep:
    """Does what `queued` does, with one launch.

    What changes from step to step lies in buffers of the device: images and what was drawn, the rate, the step's
    number. Where the images have several sizes, and with them the canvases, the recording begins at the views, which
    are queued: a graph holds one shape, and another one for each canvas would hold the memory of a step once more. So
    it does where augmentations of the user's own are among them, which may ask the device or draw anew.
    """

    def __init__(self, queued: Step, state: TrainState, setup: StepSetup, *, record: Record | None = None) -> None:
        self._queued, self._state, self._setup = queued, state, setup
        self._device = setup.hardware.device
        self._record = record or record_graph
        self._policy = build_policy(setup.views)
        self._input: _Images | _Views | None = None  # of what is recorded
        self._recorded: tuple[Callable[[], object], Tensor] | None = None
        self._cannot = False
        self._host_drew = False  # random numbers, in the last pass

    def __call__(self, batch: ImageBatch, *, lr: float) -> dict[str, Tensor]:
        if self._cannot:
            return self._queued(batch, lr=lr)
        state, setup = self._state, self._setup
        draws = sample_views(self._policy, setup.share.batch_size, seed=setup.seed, step=state.step)
        if self._input is None or not self._input.fits(batch):
            self._begin(batch, draws)
        if self._input is None or self._recorded is None:
            return self._queued(batch, lr=lr)
        self._input.put(batch, draws)
        self._lr.fill_(lr)
        self._step.fill_(state.step)
        seed_random(self._device, setup.seed, state.step, setup.world.rank, 0)
        replay, found = self._recorded
        replay()
        state.step += 1
        loss, accuracy, entropy = found.clone().unbind()  # the next step overwrites what this one found
        return {"loss": loss, "contrast_accuracy": accuracy, "contrast_entropy": entropy}

    def _begin(self, batch: ImageBatch, draws: Sequence[Draw]) -> None:
        """Record a step on this batch; the state is afterwards what it was."""
        device, setup = self._device, self._setup
        mixed = self._input is not None or not batch.is_filled() or any(draw.op.own for draw in draws)
        self._input = self._recorded = None  # what an earlier recording holds is free again
        self._lr = torch.zeros((), device=device)
        self._step = torch.zeros((), dtype=torch.int64, device=device)
        self._input = (_Views if mixed else _Images)(batch, draws, setup.views, setup.hardware)
        before = _Kept(self._state)
        try:
            self._recorded = self._record(self._work, device)
            if self._host_drew:
                raise RuntimeError("the encoder draws random numbers on the host, which would be the same at each step")
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            self._cannot, self._input, self._recorded = True, None, None
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            say(f"compile: this step cannot be one CUDA graph ({reason}); the host queues its operations one by one.")
        finally:
            before.put_back()

    def _work(self) -> Tensor:
        """All of a step that is recorded."""
        assert self._input is not None
        before = _host_random(self._device)
        found = learn(self._state, self._input.make_x, self._setup, lr=self._lr, step=self._step, key=None)
        self._host_drew = _host_random(self._device) != before
        return torch.stack([found["loss"], found["contrast_accuracy"], found["contrast_entropy"]])


class _Images:
    """What a recording that begins at the images of one canvas reads."""

    def __init__(self, batch: ImageBatch, draws: Sequence[Draw], views: ViewsRecipe, hardware: Hardware) -> None:
        self._recipe, self._hardware = views, hardware
        self._images = batch.images.to(hardware.device, copy=True)
        self._drawn = self._packed(batch, draws).to(hardware.device)

    def fits(self, batch: ImageBatch) -> bool:
        return batch.images.shape == self._images.shape

    def put(self, batch: ImageBatch, draws: Sequence[Draw]) -> None:
        self._images.copy_(batch.images, non_blocking=True)
        columns = self._packed(batch, draws).columns
        self._drawn.columns.copy_(ready(columns, self._hardware.device), non_blocking=True)

    def make_x(self, _whole: slice) -> Tensor:
        how: dict[str, Any] = {"size_px": self._recipe.size_px, "interpolation": self._recipe.interpolation}
        x = uniform_views(self._images, self._drawn, compiled=self._hardware.compiled, **how)
        return x.contiguous(memory_format=torch.channels_last)

    def _packed(self, batch: ImageBatch, draws: Sequence[Draw]) -> Packed:
        return pack(draws, batch.sizes.repeat(2, 1), size_px=self._recipe.size_px)


class _Views:
    """What a recording that begins at the views reads."""

    def __init__(self, batch: ImageBatch, draws: Sequence[Draw], views: ViewsRecipe, hardware: Hardware) -> None:
        self._recipe, self._hardware = views, hardware
        self._x = make_views(batch, draws, views, hardware)

    def fits(self, _batch: ImageBatch) -> bool:
        return True

    def put(self, batch: ImageBatch, draws: Sequence[Draw]) -> None:
        self._x.copy_(make_views(batch, draws, self._recipe, self._hardware))

    def make_x(self, _whole: slice) -> Tensor:
        return self._x


class _Kept:
    """A copy of all that a step changes, to be put back into the same places of memory."""

    def __init__(self, state: TrainState) -> None:
        self._state = state
        self._model = {name: tensor.clone() for name, tensor in _held(state.model)}
        self._bad = state.first_bad_step.clone()
        self._optimizer = {place: tensor.clone() for place, tensor in _moments(state.optimizer)}

    @torch.no_grad()
    def put_back(self) -> None:
        """What the optimizer had not got yet becomes zero: as it begins."""
        for name, tensor in _held(self._state.model):
            tensor.copy_(self._model[name])
        self._state.first_bad_step.copy_(self._bad)
        for place, tensor in _moments(self._state.optimizer):
            if place in self._optimizer:
                tensor.copy_(self._optimizer[place])
            else:
                tensor.zero_()


def _host_random(device: torch.device) -> tuple[object, ...]:
    """Where torch's and numpy's random numbers of the host are, of which a graph would keep those of its recording."""
    _, words, place, *_ = np.random.get_state()  # noqa: NPY002  # what an encoder may draw from
    own = b"" if device.type == "cpu" else torch.default_generator.get_state().numpy().tobytes()
    return np.asarray(words).tobytes(), place, own


def _held(model: torch.nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Weights and buffers, those among them that a checkpoint leaves out."""
    yield from model.named_parameters()
    yield from model.named_buffers()


def _moments(optimizer: torch.optim.Optimizer) -> list[tuple[tuple[int, str], Tensor]]:
    return [
        ((id(weight), name), value)
        for weight, values in optimizer.state.items()
        for name, value in values.items()
        if isinstance(value, Tensor)
    ]


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
        first: list[BaseException] = []
        try:
            # the thread that reads images goes on allocating page-locked memory meanwhile
            with torch.cuda.graph(graph, stream=aside, capture_error_mode="thread_local"):
                try:
                    found = work()
                except BaseException as error:
                    first.append(error)
                    raise
        except RuntimeError as error:
            if first and first[0] is not error:  # the end of a broken recording fails too, and would hide the reason
                raise first.pop() from None
            raise
    return graph.replay, found
