"""A pretraining run: from images and a recipe to an encoder in a run directory."""

import math
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import torch

from twofold.console import console, say
from twofold.data import ImageSet, Source
from twofold.data.copies import known_copies
from twofold.data.for_training import open_for_training, settled
from twofold.data.slides import slides_of
from twofold.distributed import Alone, open_world
from twofold.errors import DivergedError, NotFiniteError, TwofoldError
from twofold.hardware.randomness import forked_random
from twofold.optim import lr_at
from twofold.recipes.recipe import Recipe
from twofold.runs.checkpoint import Saver, local_folder, newest_checkpoint
from twofold.runs.encoder_file import save_encoder
from twofold.runs.metrics_log import build_log
from twofold.runs.run_directory import Run
from twofold.training.agreement import (
    agreed_hardware,
    begun_with,
    computing,
    held_out,
    open_together,
    require_agreement,
    require_place,
    require_room,
)
from twofold.training.averages import Window
from twofold.training.continuing import note_continuation
from twofold.training.extension import is_planned, part_of
from twofold.training.graph import build_step
from twofold.training.initial import initial_weights
from twofold.training.monitoring import build_look, epochs_of
from twofold.training.plan import Plan, require_enough
from twofold.training.progress import ProgressLine
from twofold.training.residence import place_train
from twofold.training.start import (
    BuildMonitor,
    RunSetup,
    begin,
    build_monitors,
    profile_first,
    restored,
    resume_plan,
    say_counts,
)
from twofold.training.step import NEVER, StepSetup, TrainState, require_encoder, state_dict, train_step
from twofold.training.stop_signals import stop_signals
from twofold.views import require_policy

_METRIC_ROWS = 400
_PATIENCE = 0.1  # of the steps, before a run that learns little is told so
_FAILED = 2**16  # beyond every signal


def pretrain(
    data: str | Path | Source | ImageSet,
    *,
    out: str | Path,
    recipe: Recipe,
    monitors: Sequence[BuildMonitor] = (),
    cache: Path | None = None,
    allow_outside: bool = False,
    profile: int = 0,
    checkpoint_through: Path | None = None,
) -> Run:
    """Train an encoder on the images in `data` and leave it, with its whole history, in the run directory `out`.

    `data` and `allow_outside` are what `load_images` takes, or `data` is what it gave for the recipe's channels and
    store.
    Under a launcher (torchrun) all its processes act as one: each handles its share of every batch, the first writes.

    The same call again continues an interrupted run at the exact step, in the same order; a finished one is left
    alone. With more epochs, or minutes, a finished one goes on (`extension`), on these images or on more. `profile`
    steps are taken beforehand on weights of their own, and where their time goes is printed and kept in profile.json.
    Each of `monitors` builds a function `(encoder, step) -> {name: value}` called now and then. `checkpoint_through` is
    a local folder where checkpoints are written first, and copied to `out` while training goes on: `out` may then lie
    on a mounted bucket.
    Raises TwofoldError for data or settings that cannot work, for a continuation under other settings, and for a loss
    that is not finite. After saving, raises KeyboardInterrupt on Ctrl-C, and SystemExit(128 + n) on SIGTERM, SIGUSR1
    and SIGUSR2.
    """
    if isinstance(data, str | Path):
        require_place(data, out)
    with ExitStack() as stack:
        # what all processes agree on: recipe, device, data
        world = stack.enter_context(open_world(recipe.hardware.device))
        console.other_speaks = console.other_speaks or not world.is_first
        run = stack.enter_context(open_together(out, world, through=checkpoint_through))
        begun = world.from_first(begun_with, run, recipe)
        hardware = world.in_turn(agreed_hardware, run, begun, recipe, world)
        stack.enter_context(computing(recipe, hardware))
        world.in_turn(require_encoder, recipe)
        world.in_turn(require_policy, recipe.views, recipe.data.channels)
        initial = initial_weights(run, begun, recipe, world)
        world.from_first(require_room, run, recipe)
        images = world.in_turn(
            open_for_training, recipe, data, cache, allow_outside=allow_outside, show_progress=world.is_first
        )
        if not isinstance(data, ImageSet):
            images = world.in_turn(held_out, images, begun, recipe)
        recipe = settled(recipe, images)
        part = part_of(recipe, begun)
        require_agreement(world, recipe, hardware, images, profile=profile)
        say_counts(images)
        world.in_turn(require_enough, images, recipe.schedule.batch_size)
        world.in_turn(world.share, recipe.schedule.batch_size, recipe.schedule.fixed_chunk)
        rows = images.rows("train")
        equal = world.from_first(known_copies, images, rows, recipe.schedule.duplicates)
        copies = equal or world.from_first(slides_of, images, rows)
        if copies:
            world.in_turn(copies.require_batches, recipe.schedule.batch_size)
        watched = world.only_first(build_monitors, monitors, images, recipe, hardware) or []
        setup = RunSetup(
            run=run,
            recipe=part.own,
            part=part,
            hardware=hardware,
            world=world,
            images=images,
            resident=world.in_turn(place_train, images, recipe, hardware),
            copies=copies,
            monitors=watched,
            initial=initial,
        )

        plan = resume_plan(run, begun, images, copies) if begun and is_planned(begun) else begin(setup)
        if profile:
            profile_first(setup, plan, steps=profile)

        state, window = restored(setup, plan)
        if begun and is_planned(begun) and state.step < plan.steps:
            world.from_first(note_continuation, run, begun, hardware, step=state.run_step, processes=world.size)
        if state.step < plan.steps:
            with forked_random(hardware.device):
                train(setup, plan, state, window)
        world.from_first(save_encoder, run.encoder, state.model.encoder, recipe, state.run_step)
    return run


def train(setup: RunSetup, plan: Plan, state: TrainState, window: Window) -> None:
    """The loop: a step, and next to it logging, looks and checkpoints, none of which touches the weights."""
    run, recipe, hardware, world, images = setup.run, setup.recipe, setup.hardware, setup.world, setup.images
    log = world.only_first(build_log, run, state.run_step) or _log_nothing
    alone = Alone(world)
    share = setup.share(plan.chunk)
    schedule, log_every = recipe.schedule, max(1, plan.steps // _METRIC_ROWS)
    look_every = max(1, math.ceil(plan.steps * recipe.monitor.monitor_share))
    patience = max(1, plan.warmup_steps, math.ceil(_PATIENCE * plan.steps))
    watching = partial(build_look, log, recipe, hardware, images, setup.monitors, warn_from=patience)
    look = world.only_first(watching) or _look_at_nothing
    if state.run_step == 0:
        world.from_first(_look, look, run, state)
    loader = setup.loader(share, first_step=state.step, last_step=plan.steps)
    step = build_step(train_step, state, StepSetup.of(recipe, hardware, world, share))
    saved_s, text = time.monotonic(), ""
    saver = Saver(run.checkpoints, local_folder(run) if world.is_first else None)
    with stop_signals() as stopped, ProgressLine(plan.steps, state.step) as line:
        for batch in loader:
            lr = lr_at(state.step, steps=plan.steps, warmup_steps=plan.warmup_steps, peak=plan.peak)
            window.add(step(batch, lr=lr))
            last = state.step == plan.steps
            if state.step % log_every == 0 or last:
                _require_finite(run, state)
                row = window.close(loader.wait_s, schedule.batch_size)
                state.elapsed_s += row.pop("window_s")
                epoch = epochs_of(state, recipe, images)
                alone.do(log, {"step": state.run_step, "epoch": epoch, **row, "lr": lr, "elapsed_s": state.elapsed_s})
                text = _progress_text(row)
            if state.step % look_every == 0 or last:
                _require_finite(run, state)
                world.from_first(_look, look, run, state)
            late = time.monotonic() - saved_s > recipe.monitor.checkpoint_minutes * 60
            # in one message: whether the first has failed, a signal, and whether to save
            news = world.highest(_FAILED if alone.failed else 2 * (stopped() or 0) + late)
            if news == _FAILED:
                alone.tell()
            number, due = news // 2, last or news > 0
            if due:
                _require_finite(run, state)  # in all processes, which have the same weights, or in none
                world.from_first(_save, saver, state, window, last=last, ends=last or number > 0)
            saved_s = time.monotonic() if due else saved_s
            line.update(state.step, text)
            if number and not last:
                _stop(number, state.run_step, state.first_step + plan.steps, saver)


def _save(saver: Saver, state: TrainState, window: Window, *, last: bool, ends: bool) -> None:
    """Raises TwofoldError where the `last` checkpoint of a run is lost; waits for its copy where the process `ends`."""
    saver.save(state.run_step, {**state_dict(state), "window": window.state_dict()})
    if ends:
        saver.finish()
    if last and saver.error:
        raise TwofoldError(f"{saver.describe()}. Free space; the same command then continues.") from saver.error


def _log_nothing(_row: object) -> None:
    """What the processes log that are not the first."""


def _look_at_nothing(_state: object) -> None:
    """What they look at."""


def _look(look: Callable[[TrainState], object], run: Run, state: TrainState) -> None:
    """Weights may be finite and what they make of images not. Raises DivergedError then."""
    try:
        look(state)
    except NotFiniteError as error:
        raise _diverged(run, state.run_step, "embeddings") from error


def _require_finite(run: Run, state: TrainState) -> None:
    """Asks the device once. Raises DivergedError where a loss so far, a weight or a buffer is not finite."""
    tensors = [tensor for tensor in state.model.state_dict().values() if tensor.is_floating_point() and tensor.numel()]
    largest = torch._foreach_norm(tensors, math.inf)  # of each its largest number, or nan: one kernel for all
    finite = torch.stack(largest).isfinite().all()
    bad, good = torch.stack([state.first_bad_step, finite.long()]).tolist()
    if bad != NEVER or not good:
        raise _diverged(run, state.first_step + min(bad, state.step), "loss or the weights")


def _diverged(run: Run, step: int, what: str) -> DivergedError:
    saved = newest_checkpoint(run)
    kept = f"the checkpoint of step {saved['step']:,} is untouched" if saved else "no checkpoint had been written yet"
    return DivergedError(
        f"the {what} at step {step:,} are not finite; the run stops and saves nothing more ({kept}). "
        "Start in a new --out with a lower --base-lr, a higher --temperature or --precision fp32."
    )


def _progress_text(row: dict[str, float]) -> str:
    return (
        f"loss {row['loss']:.3f}  contrastive accuracy {row['contrast_accuracy']:.0%}  "
        f"{row['images_per_s']:,.0f} images/s  data wait {row['wait_share']:.1%}"
    )


def _stop(number: int, step: int, steps: int, saver: Saver) -> None:
    stopped, place = f"Stopped by {signal.Signals(number).name}", f"at step {step:,} of {steps:,}"
    done = f"{stopped} {place}, but {saver.describe()}" if saver.error else f"{stopped} and saved {place}"
    say(f"{done}. The same command continues.")
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)
