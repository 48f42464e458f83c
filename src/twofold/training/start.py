"""The start of a run: say what was read and decided, write it down, and take up where an earlier process stopped."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from jaxtyping import Int64

from twofold.console import duration, say, show_settings
from twofold.data import ImageSet, Loader, rows_of_step
from twofold.data.copies import Copies
from twofold.data.held_out import held_out_rows
from twofold.data.resident import ResidentImages
from twofold.data.slides import Slides
from twofold.distributed import Share, World
from twofold.errors import TwofoldError
from twofold.files import write_atomically, write_json
from twofold.hardware.device import Hardware
from twofold.models.weights import fill
from twofold.recipes.recipe import Recipe
from twofold.runs.checkpoint import newest_checkpoint
from twofold.runs.run_directory import Run, require_same_pictures, write_quarantine, write_recipe
from twofold.runs.view_sheet import SHEET_PAIRS, view_sheet
from twofold.speed.chunk_size import choose_chunk, fitted_step_s, memory_for_chunks
from twofold.speed.step_profile import profile_steps, show_profile
from twofold.speed.step_time import MOST_BATCHES, measure_look_s, measure_step_s
from twofold.training.averages import Window
from twofold.training.extension import Part, require_as_many, set_aside
from twofold.training.initial import Initial, keep_initial
from twofold.training.monitoring import Monitor
from twofold.training.plan import Plan, make_plan, most_looks
from twofold.training.step import TrainState, build_state, load_state_dict, make_views
from twofold.versions import versions
from twofold.views import build_policy, sample_views, take_rows

_SHORTEST_S, _LONGEST_S, _SHARE_OF_TIME = 0.2, 6.0, 0.05  # of measuring a step; the share is that of --minutes


BuildMonitor = Callable[[ImageSet, Recipe, Hardware], Monitor | None]


@dataclass(frozen=True, kw_only=True)
class RunSetup:
    """All that stays the same from the first step of a run to the last, but for its plan."""

    run: Run
    recipe: Recipe  # of the part that is under way
    part: Part
    hardware: Hardware
    world: World
    images: ImageSet
    resident: ResidentImages | None  # those of train, where they lie on the device
    copies: Copies | Slides | None  # among those of train, to be kept apart
    monitors: Sequence[Monitor]  # of the first process; elsewhere empty
    initial: Initial | None = None

    def share(self, chunk: int | None) -> Share:
        """This process' share of each batch, in chunks of `chunk` images of the whole batch."""
        return self.world.share(self.recipe.schedule.batch_size, chunk)

    def loader(self, share: Share, *, first_step: int = 0, last_step: int) -> Loader:
        """This process' images of the steps from `first_step` to `last_step` (without it)."""
        schedule = self.recipe.schedule
        return Loader(
            self.images,
            self.images.rows("train"),
            batch_size=schedule.batch_size,
            seed=schedule.seed,
            first_step=first_step,
            last_step=last_step,
            positions=share.positions.numpy(),
            pinned=self.hardware.device.type == "cuda",
            resident=self.resident,
            copies=self.copies,
        )

    def first_rows(self) -> Int64[np.ndarray, " b"]:
        """The rows of the first step's images, over all processes."""
        schedule = self.recipe.schedule
        return rows_of_step(self.images.rows("train"), schedule.batch_size, schedule.seed, 0, self.copies)


def build_monitors(
    builders: Sequence[BuildMonitor], images: ImageSet, recipe: Recipe, hardware: Hardware
) -> list[Monitor]:
    """Those that these images allow."""
    return [monitor for build in builders if (monitor := build(images, recipe, hardware))]


def resume_plan(run: Run, record: dict[str, Any], images: ImageSet, copies: Copies | Slides | None) -> Plan:
    """The plan that a run was begun with. Raises TwofoldError where the images changed, or which of them are copies."""
    require_same_pictures(run, record, images.fingerprint)
    plan = Plan(**record["plan"], derived=record["derived"])
    if plan.copies != (copies.digest if copies else None):
        raise TwofoldError(
            f"the run in '{run.folder}' was begun with other copies than --duplicates gives now, and so with other "
            "batches. Give the same findings.csv, or choose a new --out."
        )
    return plan


def begin(setup: RunSetup) -> Plan:
    """Measure a step in all processes; in the first, print what was decided, write recipe.json and views.png."""
    recipe, hardware, world, images = setup.recipe, setup.hardware, setup.world, setup.images
    schedule = recipe.schedule
    if setup.part.number:
        world.from_first(require_as_many, setup.run, setup.part, images)
    own = setup.share(schedule.fixed_chunk)
    batch = images.read(setup.first_rows()[own.positions.numpy()])
    chunk, seconds = schedule.fixed_chunk, _measured_s(schedule.minutes)

    def measured_s(share: Share) -> float:
        batches = setup.loader(share, last_step=MOST_BATCHES)
        return measure_step_s(recipe, hardware, world, share, batch, batches, seconds=seconds)

    memory = memory_for_chunks(recipe, hardware, world)
    if memory is None:
        step_s = measured_s(setup.share(chunk))
    else:
        chunk = choose_chunk(recipe, hardware, world, batch, memory=memory)
        chunk, step_s = fitted_step_s(
            measured_s,
            chunk,
            batch_size=schedule.batch_size,
            world=world,
            device=hardware.device,
            memory=memory,
        )
    look_s = 0.0
    if schedule.minutes is not None:
        look_s = world.from_first(measure_look_s, recipe, hardware, images, setup.monitors)
    plan = make_plan(
        recipe,
        images=len(images.rows("train")),
        resident_bytes=setup.resident.bytes if setup.resident else 0,
        step_s=step_s,
        look_s=look_s,
        processes=world.size,
        chunk=chunk,
        device=hardware.device,
        copies=setup.copies,
    )
    world.from_first(_write_down, setup, plan, step_s, look_s)
    return plan


def _measured_s(minutes: float | None) -> float:
    """About how long to measure a step: briefly where it is only printed, longer where it decides about the steps."""
    if minutes is None:
        return _SHORTEST_S
    return min(_LONGEST_S, max(_SHORTEST_S, _SHARE_OF_TIME * minutes * 60))


def _write_down(setup: RunSetup, plan: Plan, step_s: float, look_s: float) -> None:
    run, recipe, hardware, images = setup.run, setup.recipe, setup.hardware, setup.images
    settings = {name: value for name, value in recipe.settings().items() if value is not None}
    show_settings(f"\nRecipe {recipe.name}", settings)
    show_settings("\nHardware", dict(hardware.describe()))
    looks = min(most_looks(recipe), plan.steps + 1)
    terms = f"{plan.steps:,} steps x {step_s:.3g} s" + (f" + {looks} looks x {look_s:.2g} s" if look_s else "")
    time = f"{terms} = {duration(plan.steps * step_s + looks * look_s)}"
    show_settings("\nDerived", {**plan.derived, "expected time": time})
    say("")
    write_atomically(run.views, _first_views(recipe, hardware, images, setup.first_rows()))
    write_quarantine(run, [{"path": q.path, "reason": q.reason} for q in images.quarantine])
    if setup.part.number:
        set_aside(run, setup.part)
    record = _record(setup.part, plan, hardware, images, setup.world.size)
    write_recipe(run, record | ({"init": setup.initial.report} if setup.initial else {}))


def _first_views(recipe: Recipe, hardware: Hardware, images: ImageSet, rows: Int64[np.ndarray, " b"]) -> bytes:
    """The sheet of views of the first images of the first step, whose rows are given."""
    seed, size = recipe.schedule.seed, recipe.schedule.batch_size
    shown = slice(0, SHEET_PAIRS)
    batch = images.read(rows[shown])
    draws = take_rows(sample_views(build_policy(recipe.views), size, seed=seed, step=0), shown)
    plain = replace(hardware, compiled=False)  # compiling for so few takes longer than it saves
    return view_sheet(make_views(batch, draws, recipe.views, plain))


def profile_first(setup: RunSetup, plan: Plan, *, steps: int) -> None:
    """Take `steps` steps on other weights, print where their time goes and keep it in profile.json."""
    recipe, hardware, world = setup.recipe, setup.hardware, setup.world
    share = setup.share(plan.chunk)
    profile = profile_steps(
        recipe, hardware, setup.images, world=world, share=share, steps=steps, resident=setup.resident
    )
    show_profile(profile)
    world.from_first(write_json, setup.run.profile, profile.to_dict())


def restored(setup: RunSetup, plan: Plan) -> tuple[TrainState, Window]:
    """The state of the run's checkpoint, or a new one of fresh or initial weights; and the open row of metrics."""
    world, run, recipe = setup.world, setup.run, setup.recipe
    state = build_state(recipe, setup.hardware, peak=plan.peak, world=world, initial=setup.initial)
    state.first_step, state.first_epoch = setup.part.first_step, setup.part.first_epoch
    window, saved = Window(), world.from_first(newest_checkpoint, run)
    if setup.part.number and saved and saved["step"] <= state.first_step:
        _take_up(setup, state, saved)
    elif saved:
        load_state_dict(state, saved)
        window.load_state_dict(saved["window"])
        say(f"Continuing at step {state.run_step:,} of {state.first_step + plan.steps:,}.")
    elif setup.initial:
        world.from_first(keep_initial, run, state.model.encoder, recipe)
    return state, window


def _take_up(setup: RunSetup, state: TrainState, saved: dict[str, Any]) -> None:
    """Begin a further part with the weights that the run ended with. Raises TwofoldError where they are lost."""
    if saved["step"] < state.first_step:
        raise TwofoldError(
            f"the checkpoint of step {state.first_step:,} in '{setup.run.checkpoints}', from which the run goes on, is "
            "damaged or gone. Restore it or choose a new --out."
        )
    fill(state.model, saved["model"], "encoder and head")
    state.elapsed_s = saved["elapsed_s"]


def say_counts(images: ImageSet) -> None:
    """One line: how many images there are, to train on, held out, and unreadable."""
    train, unreadable = len(images.rows("train")), len(images.quarantine)
    listed = ", listed in quarantine.jsonl" if unreadable else ""
    watched = f", {held:,} held out to watch the loss" if (held := len(held_out_rows(images))) else ""
    say(f"{images.name}: {len(images):,} images, {train:,} to train on{watched}, {unreadable:,} unreadable{listed}")


def _record(part: Part, plan: Plan, hardware: Hardware, images: ImageSet, processes: int) -> dict[str, object]:
    return {
        "recipe": part.recipe.to_dict(),
        "steps": part.first_step + plan.steps,
        "plan": {
            "steps": plan.steps,
            "warmup_steps": plan.warmup_steps,
            "peak": plan.peak,
            "chunk": plan.chunk,
            "copies": plan.copies,
        },
        "derived": plan.derived,
        "data": {
            "name": images.name,
            "fingerprint": images.fingerprint,
            "images": len(images.rows("train")),
            "held_out": len(held_out_rows(images)),
            "channels": images.channels,
            "quarantined": len(images.quarantine),
            "stated": images.stated,
            "survey": images.survey.to_dict() if images.survey else None,
        },
        "versions": versions(),
        "hardware": hardware.describe(),
        "processes": processes,
        "started": datetime.now().isoformat(timespec="seconds"),
        **({"earlier": part.earlier} if part.earlier else {}),
    }
