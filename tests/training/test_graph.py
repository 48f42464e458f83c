"""A step that is recorded once and started again does what the queued step does, and to the same state."""

import copy
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import tape
from own_augmentation import Darken
from small_recipe import SMALL
from twofold.console import console
from twofold.data import ImageBatch
from twofold.distributed import World
from twofold.hardware.device import Hardware
from twofold.recipes.recipe import Recipe
from twofold.training import graph
from twofold.training.graph import GraphedStep, build_step
from twofold.training.step import NEVER, StepSetup, TrainState, build_state, load_state_dict, state_dict, train_step
from twofold.views.ops import crop

N = 12
CPU = Hardware(torch.device("cpu"), "fp32")


def pictures(seed: int, side: int = 20, *, mixed: bool = False) -> ImageBatch:
    draw = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (N, 3, side, side), generator=draw, dtype=torch.uint8)
    sizes = torch.randint(side // 2, side + 1, (N, 2), generator=draw)
    return ImageBatch(images, sizes if mixed else torch.full_like(sizes, side))


@pytest.fixture(autouse=True)
def same_views(monkeypatch: pytest.MonkeyPatch) -> None:
    """Queued steps make views as a device does, so that nothing else can differ."""
    monkeypatch.setattr(crop, "on_device", lambda _: True)


def step_of(state: TrainState, recipe: Recipe, *, as_graph: bool, record: Any = tape.record) -> Callable[..., Any]:
    setup = StepSetup.of(recipe, CPU, World(), World().share(N, None))
    queued = build_step(train_step, state, setup)
    return GraphedStep(queued, state, setup, record=record) if as_graph else queued


def began(recipe: Recipe, *, dropout: bool = False) -> TrainState:
    state = build_state(recipe, CPU, peak=0.05, world=World())
    if recipe.optim.optimizer == "lars":
        state.optimizer.defaults["foreach"] = True  # as on a GPU, where rates may lie on the device
        for group in state.optimizer.param_groups:
            group["foreach"] = True
    if dropout:
        state.model.encoder.layer1.append(nn.Dropout(0.3))
    return state


def trained(recipe: Recipe, *, as_graph: bool, dropout: bool = False, record: Any = tape.record) -> Any:
    """The state after four steps with other images and another rate each, and what they found."""
    state = began(recipe, dropout=dropout)
    step = step_of(state, recipe, as_graph=as_graph, record=record)
    return state, [step(pictures(number), lr=0.02 * (number + 1)) for number in range(4)]


def require_alike(one: TrainState, other: TrainState, tolerance: float = 5e-6) -> None:
    for (name, tensor), (_, there) in zip(
        one.model.state_dict().items(), other.model.state_dict().items(), strict=True
    ):
        torch.testing.assert_close(there, tensor, rtol=tolerance, atol=tolerance, msg=name)
    assert one.step == other.step


RECIPES = {
    "sgd": SMALL.with_settings(optimizer="sgd"),
    "sgd without momentum": SMALL.with_settings(optimizer="sgd", momentum=0.0),
    "lars": SMALL.with_settings(optimizer="lars"),
    "adamw": SMALL.with_settings(optimizer="adamw"),
    "triplet": SMALL.with_settings(optimizer="sgd", loss="triplet", semi_hard=True),
    "own": SMALL.with_settings(optimizer="sgd", ops=("policy", Darken())),
    "simclr": SMALL.with_settings(optimizer="sgd", policy="simclr"),
}


@pytest.mark.parametrize("name", RECIPES)
def test_a_recorded_step_is_the_queued_step(name: str) -> None:
    recipe = RECIPES[name]
    (queued, expected), (recorded, found) = (trained(recipe, as_graph=which) for which in (False, True))
    require_alike(queued, recorded)
    assert [set(row) for row in found] == [set(row) for row in expected]
    for row, other in zip(expected, found, strict=True):
        for key, value in row.items():
            assert float(other[key]) == pytest.approx(float(value), rel=1e-5), key
    assert len({float(row["loss"]) for row in found}) == 4, "every step keeps its own results"
    assert int(recorded.first_bad_step) == NEVER


def test_dropout_is_drawn_anew_in_each_step_and_as_in_a_queued_one() -> None:
    recipe = RECIPES["sgd"]
    (queued, _), (recorded, _) = (trained(recipe, as_graph=which, dropout=True) for which in (False, True))
    require_alike(queued, recorded)
    assert not torch.equal(
        recorded.model.encoder.conv1.weight, trained(recipe, as_graph=True)[0].model.encoder.conv1.weight
    )


def test_recording_in_the_middle_of_a_run_changes_nothing() -> None:
    """Momentum, running statistics and the step that was found bad are put back."""
    recipe = RECIPES["sgd"]
    whole, _ = trained(recipe, as_graph=False)
    state = began(recipe)
    queued = step_of(state, recipe, as_graph=False)
    for number in range(2):
        queued(pictures(number), lr=0.02 * (number + 1))
    state.first_bad_step.fill_(NEVER - 5)
    saved = state_dict(state)
    again = began(recipe)
    load_state_dict(again, saved)
    again.first_bad_step.fill_(NEVER - 5)
    step = step_of(again, recipe, as_graph=True)
    for number in range(2, 4):
        step(pictures(number), lr=0.02 * (number + 1))
    require_alike(whole, again)
    assert int(again.first_bad_step) == NEVER - 5


@pytest.mark.parametrize("name", ["adamw", "lars"])
def test_a_run_goes_on_in_a_graph_where_a_checkpoint_ended(name: str) -> None:
    recipe = RECIPES[name]
    whole, _ = trained(recipe, as_graph=True)
    state = began(recipe)
    step = step_of(state, recipe, as_graph=True)
    for number in range(2):
        step(pictures(number), lr=0.02 * (number + 1))
    saved = copy.deepcopy(state_dict(state))
    assert all(type(group["lr"]) is float for group in saved["optimizer"]["param_groups"])
    again = began(recipe)
    load_state_dict(again, saved)
    step = step_of(again, recipe, as_graph=True)
    for number in range(2, 4):
        step(pictures(number), lr=0.02 * (number + 1))
    require_alike(whole, again)


def test_the_way_an_optimizer_computes_is_not_that_of_a_checkpoint() -> None:
    """One written where no graph was recorded would keep an optimizer from being in one."""
    recipe, world = RECIPES["adamw"], World()
    hardware = Hardware(torch.device("cpu"), "fp32", compiled=True)
    saved = state_dict(build_state(recipe, CPU, peak=0.1, world=world))
    state = build_state(recipe, hardware, peak=0.1, world=world)
    groups = [dict(group, params=None) for group in state.optimizer.param_groups]
    assert all(group["capturable"] for group in groups)
    assert not any(group["capturable"] for group in saved["optimizer"]["param_groups"])
    load_state_dict(state, saved)
    assert [dict(group, params=None) for group in state.optimizer.param_groups] == groups
    saved["optimizer"]["param_groups"][0]["weight_decay"] = 0.25  # what it computes is
    load_state_dict(state, saved)
    assert state.optimizer.param_groups[0]["weight_decay"] == 0.25


def test_a_loss_that_is_not_finite_is_noted_with_its_step() -> None:
    state = began(RECIPES["sgd"])
    step = step_of(state, RECIPES["sgd"], as_graph=True)
    step(pictures(0), lr=0.1)
    with torch.no_grad():
        state.model.encoder.conv1.weight.fill_(torch.nan)
    step(pictures(1), lr=0.1)
    step(pictures(2), lr=0.1)
    assert int(state.first_bad_step) == 1


class Tapes:
    """Recordings; of each the number of times it was started again."""

    def __init__(self) -> None:
        self.started: list[int] = []
        self.kept: list[weakref.ref[Any]] = []  # their results

    def __call__(self, work: Callable[[], Tensor], device: torch.device) -> tuple[Callable[[], object], Tensor]:
        assert not any(found() is not None for found in self.kept), "two recordings at once take twice the memory"
        replay, found = tape.record(work, device)
        number = len(self.started)
        self.started.append(0)
        self.kept.append(weakref.ref(found))

        def counted() -> None:
            self.started[number] += 1
            replay()

        return counted, found


@pytest.mark.parametrize("name", ["sgd", "simclr"])
@pytest.mark.parametrize(
    ("first_is_mixed", "started"),
    [(True, [4]), (False, [1, 3])],
    ids=["every batch is mixed", "the first fills its canvas"],
)
def test_pictures_of_several_sizes_need_one_recording(name: str, first_is_mixed: bool, started: list[int]) -> None:
    """Every batch has a canvas of its own. None of them may be left to the host, and no recording kept beside."""
    recipe, tapes = RECIPES[name], Tapes()
    states = [began(recipe), began(recipe)]
    for state, as_graph in zip(states, (False, True), strict=True):
        step = step_of(state, recipe, as_graph=as_graph, record=tapes)
        for number, side in enumerate((20, 24, 20, 28)):
            step(pictures(number, side, mixed=first_is_mixed or number > 0), lr=0.05)
    require_alike(*states)
    assert tapes.started == started


def test_pictures_of_one_size_are_in_the_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, tapes = RECIPES["sgd"], Tapes()
    step = step_of(began(recipe), recipe, as_graph=True, record=tapes)
    step(pictures(0), lr=0.05)
    monkeypatch.setattr(graph, "uniform_views", None)  # the host makes no views any more
    monkeypatch.setattr(graph, "make_views", None)
    step(pictures(1), lr=0.05)
    assert tapes.started == [2]


def test_what_a_checkpoint_leaves_out_is_put_back_after_the_recording_too() -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("passes", torch.zeros(()), persistent=False)

        def forward(self, x: Tensor) -> Tensor:
            self.passes += 1
            return x

        def get_extra_state(self) -> Any:
            return {"no": "tensor"}

        def set_extra_state(self, state: Any) -> None:
            pass

    state = began(RECIPES["sgd"])
    state.model.encoder.layer1.append(Counting())
    step = step_of(state, RECIPES["sgd"], as_graph=True)
    for number in range(3):
        step(pictures(number), lr=0.05)
    assert float(state.model.encoder.layer1[-1].passes) == 3


def test_what_cannot_be_recorded_is_queued_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    """A model that asks the device for a number cannot be part of a graph."""
    recipe, forward = RECIPES["sgd"], nn.Linear.forward

    class Asking(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            assert float(x.detach().square().sum()) >= 0
            return forward(self, x)

    states = [began(recipe), began(recipe)]
    for state, as_graph in zip(states, (False, True), strict=True):
        for module in state.model.head.modules():
            if type(module) is nn.Linear:
                module.__class__ = Asking
        step = step_of(state, recipe, as_graph=as_graph)
        for number in range(2):
            step(pictures(number), lr=0.05)
    require_alike(*states)
    said = " ".join((capsys.readouterr().out + capsys.readouterr().err).split())
    assert console.quiet or "cannot be one CUDA graph (operation not permitted when stream is capturing)" in said


class Skipping(nn.Module):
    """A layer that is left out now and then, as the host decides."""

    def __init__(self, draw: Callable[[], float]) -> None:
        super().__init__()
        self.draw = draw
        self.decided = 0

    def forward(self, x: Tensor) -> Tensor:
        self.decided += 1
        return x if self.draw() < 0.5 else -x


@pytest.mark.parametrize(("draw", "queued"), [(np.random.random, 3), (lambda: 0.1, 0)])
def test_what_the_host_draws_is_decided_anew_in_each_step(
    draw: Callable[[], float], queued: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """A recording would take the same way for ever."""
    state, layer = began(RECIPES["sgd"]), Skipping(draw)
    state.model.encoder.layer1.append(layer)
    step = step_of(state, RECIPES["sgd"], as_graph=True)
    step(pictures(0), lr=0.05)
    before = layer.decided
    for number in range(1, 4):
        step(pictures(number), lr=0.05)
    assert layer.decided - before == queued
    assert console.quiet or ("random numbers on the host" in capsys.readouterr().out) is (queued > 0)


def test_the_cpu_s_random_numbers_of_torch_are_the_host_s_beside_a_gpu_alone() -> None:
    for device, counts in (("cuda", True), ("cpu", False)):
        before = graph._host_random(torch.device(device))
        assert graph._host_random(torch.device(device)) == before
        torch.rand(1)
        assert (graph._host_random(torch.device(device)) != before) is counts


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("no room: out of memory"), RuntimeError("CUBLAS_STATUS_ALLOC_FAILED")]
)
def test_out_of_memory_is_not_taken_for_a_step_that_cannot_be_recorded(error: RuntimeError) -> None:
    def full(*_: Any) -> Any:
        raise error

    step = step_of(began(RECIPES["sgd"]), RECIPES["sgd"], as_graph=True, record=full)
    with pytest.raises(type(error), match=str(error)):
        step(pictures(0), lr=0.05)


def test_an_error_without_words_is_said_by_its_kind(capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(*_: Any) -> Any:
        raise NotImplementedError

    step = step_of(began(RECIPES["sgd"]), RECIPES["sgd"], as_graph=True, record=refuse)
    for number in range(2):
        step(pictures(number), lr=0.05)
    assert console.quiet or capsys.readouterr().out.count("CUDA graph (NotImplementedError)") == 1


class _Plain:
    """A device, a stream or a graph."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, *_: Any) -> None:
        pass

    def wait_stream(self, _: Any) -> None:
        pass


class _Ending(_Plain):
    """A recording in which something goes wrong cannot be ended either, as CUDA says."""

    def __exit__(self, kind: Any, *_: Any) -> None:
        if kind is not None:
            raise RuntimeError("operation failed due to a previous error during capture")


@pytest.mark.parametrize("reason", [KeyboardInterrupt, torch.OutOfMemoryError, ZeroDivisionError])
def test_the_end_of_a_broken_recording_does_not_hide_what_broke_it(
    reason: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("device", "Stream", "current_stream", "stream", "CUDAGraph"):
        monkeypatch.setattr(torch.cuda, name, _Plain)
    monkeypatch.setattr(torch.cuda, "graph", _Ending)
    passes = iter([None, None, None, reason])

    def work() -> Tensor:
        if (error := next(passes)) is not None:
            raise error
        return torch.zeros(())

    with pytest.raises(reason):
        graph.record_graph(work, torch.device("cuda", 0))


@pytest.mark.parametrize(
    ("compiled", "chunk", "is_graph"), [(True, None, True), (True, N // 2, False), (False, None, False)]
)
def test_where_a_graph_is_recorded(compiled: bool, chunk: int | None, is_graph: bool) -> None:
    hardware, world = Hardware(torch.device("cpu"), "fp32", compiled=compiled), World()
    recipe = RECIPES["sgd"].with_settings(chunk=chunk)
    step = build_step(train_step, began(recipe), StepSetup.of(recipe, hardware, world, world.share(N, chunk)))
    assert isinstance(step, GraphedStep) is is_graph
    assert isinstance(step, partial) is not is_graph


@pytest.mark.parametrize("broken", ["rate", "step", "images", "drawn", "x"])
def test_what_stays_as_recorded_is_seen(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison fails where one of the buffers keeps what it held when the step was recorded."""
    begin = GraphedStep._begin

    def begin_and_forget(self: GraphedStep, batch: ImageBatch, draws: Any) -> None:
        begin(self, batch, draws)
        if broken in ("rate", "step"):
            name = {"rate": "_lr", "step": "_step"}[broken]
            setattr(self, name, getattr(self, name).clone())
        else:
            held: Any = self._input
            setattr(held, f"_{broken}", copy.deepcopy(getattr(held, f"_{broken}")))

    monkeypatch.setattr(GraphedStep, "_begin", begin_and_forget)
    test = {
        "step": test_a_loss_that_is_not_finite_is_noted_with_its_step,
        "x": partial(test_pictures_of_several_sizes_need_one_recording, "sgd", True, [4]),
    }.get(broken, partial(test_a_recorded_step_is_the_queued_step, "sgd"))
    with pytest.raises(AssertionError):
        test()
