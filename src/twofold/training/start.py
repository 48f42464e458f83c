"""The start of a run: say what was found and decided, write it down."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from twofold.console import duration, say, show_settings
from twofold.data import ImageSet, Loader, rows_of_step
from twofold.distributed import World
from twofold.errors import TwofoldError
from twofold.files import write_atomically
from twofold.hardware.device import Hardware
from twofold.recipes.recipe import Recipe
from twofold.runs.run_directory import Run, require_same_pictures, require_same_settings, write_quarantine, write_recipe
from twofold.runs.space import require_space
from twofold.runs.view_sheet import SHEET_PAIRS, view_sheet
from twofold.speed.step_time import MOST_BATCHES, choose_chunk, measure_look_s, measure_step_s
from twofold.training.monitoring import Monitor
from twofold.training.plan import Plan, make_plan, most_looks
from twofold.training.step import build_state, make_views
from twofold.versions import versions
from twofold.views import build_policy, sample_views, take_rows

_SHORTEST_S, _LONGEST_S, _SHARE_OF_TIME = 0.2, 6.0, 0.05  # of measuring a step; the share is that of --minutes

_MOMENTS = {"lars": 1, "sgd": 1, "adamw": 2}  # that an optimizer keeps for each weight


def require_place(data: str | Path, out: str | Path) -> None:
    """Refuse an `out` inside the folder of pictures, where the run's own pictures would be trained on."""
    if Path(data).is_dir() and Path(out).resolve().is_relative_to(Path(data).resolve()):
        raise TwofoldError(
            f"--out '{out}' lies inside the data '{data}', but a run writes pictures of its own. "
            "Choose a folder outside."
        )


def require_room(run: Run, recipe: Recipe) -> None:
    """Raises TwofoldError where the disk has no room for two checkpoints of the recipe's model and for its encoder."""
    plain = recipe.with_settings(compile=False)
    state = build_state(plain, Hardware(torch.device("cpu"), "fp32"), peak=1.0, world=World())
    weights, encoder = (_bytes(module.state_dict().values()) for module in (state.model, state.model.encoder))
    moments = _MOMENTS[recipe.optim.optimizer] * _bytes(state.model.parameters())
    require_space(run, checkpoint=weights + moments, encoder=encoder)


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def begun_with(run: Run, recipe: Recipe) -> dict[str, Any] | None:
    """The record of a run that was begun before, or None. Raises TwofoldError where a setting changed."""
    if not run.recipe.exists():
        return None
    record = run.read_recipe()
    require_same_settings(run, record, recipe)
    return record


def resume_plan(run: Run, record: dict[str, Any], images: ImageSet) -> Plan:
    """The plan that a run was begun with. Raises TwofoldError where the pictures changed."""
    require_same_pictures(run, record, images.fingerprint)
    return Plan(**record["plan"], derived=record["derived"])


def begin(
    run: Run, recipe: Recipe, hardware: Hardware, images: ImageSet, world: World, monitors: Sequence[Monitor]
) -> Plan:
    """Measure a step in all processes; in the first, print what was found and decided, write recipe.json, views.png."""
    rows, schedule = images.rows("train"), recipe.schedule
    own = world.share(schedule.batch_size, schedule.chunk)
    batch = images.read(rows_of_step(rows, schedule.batch_size, schedule.seed, 0)[own.positions.numpy()])
    chunk = schedule.chunk
    if recipe.hardware.memory_bytes is not None:
        chunk = choose_chunk(recipe, hardware, world, batch, memory=recipe.hardware.memory_bytes)
    share = world.share(schedule.batch_size, chunk)
    batches = Loader(
        images,
        rows,
        batch_size=schedule.batch_size,
        seed=schedule.seed,
        last_step=MOST_BATCHES,
        positions=share.positions.numpy(),
        pinned=hardware.device.type == "cuda",
    )
    seconds = _measured_s(schedule.minutes)
    step_s = measure_step_s(recipe, hardware, world, share, batch, batches, seconds=seconds)
    look_s = 0.0
    if schedule.minutes is not None:
        look_s = world.from_first(lambda: measure_look_s(recipe, hardware, images, monitors))
    plan = make_plan(
        recipe,
        images=len(rows),
        step_s=step_s,
        look_s=look_s,
        processes=world.size,
        chunk=chunk,
        device=hardware.device,
    )
    world.from_first(lambda: _write_down(run, recipe, hardware, images, plan, step_s, look_s, world.size))
    return plan


def _measured_s(minutes: float | None) -> float:
    """About how long to measure a step: briefly where it is only printed, longer where it decides about the steps."""
    if minutes is None:
        return _SHORTEST_S
    return min(_LONGEST_S, max(_SHORTEST_S, _SHARE_OF_TIME * minutes * 60))


def _write_down(
    run: Run,
    recipe: Recipe,
    hardware: Hardware,
    images: ImageSet,
    plan: Plan,
    step_s: float,
    look_s: float,
    processes: int,
) -> None:
    settings = {name: value for name, value in recipe.settings().items() if value is not None}
    show_settings(f"\nRecipe {recipe.name}", settings)
    show_settings("\nHardware", dict(hardware.describe()))
    looks = min(most_looks(recipe), plan.steps + 1)
    terms = f"{plan.steps:,} steps x {step_s:.3g} s" + (f" + {looks} looks x {look_s:.2g} s" if look_s else "")
    time = f"{terms} = {duration(plan.steps * step_s + looks * look_s)}"
    show_settings("\nDerived", {**plan.derived, "expected time": time})
    say("")
    write_atomically(run.views, _first_views(recipe, hardware, images))
    write_quarantine(run, [{"path": q.path, "reason": q.reason} for q in images.quarantine])
    write_recipe(run, _record(recipe, plan, hardware, images, processes))


def _first_views(recipe: Recipe, hardware: Hardware, images: ImageSet) -> bytes:
    """The sheet of views of the first pictures of the first step."""
    seed, size = recipe.schedule.seed, recipe.schedule.batch_size
    shown = slice(0, SHEET_PAIRS)
    batch = images.read(rows_of_step(images.rows("train"), size, seed, 0)[shown])
    draws = take_rows(sample_views(build_policy(recipe.views), size, seed=seed, step=0), shown)
    plain = replace(hardware, compiled=False)  # compiling for so few takes longer than it saves
    return view_sheet(make_views(batch, draws, recipe.views, plain))


def say_found(images: ImageSet, rows: int) -> None:
    """One line on the pictures, one for each thing decided about them, and the unreadable ones."""
    say(f"{images.name}: {len(images):,} pictures, {rows:,} to train on, {len(images.quarantine):,} unreadable")
    for sentence in images.stated:
        say(f"  {sentence}")
    for one in images.quarantine[:3]:
        say(f"  set aside: {one.path}: {one.reason}")
    if len(images.quarantine) > 3:
        say(f"  ... and {len(images.quarantine) - 3} more, listed in quarantine.jsonl")


def _record(recipe: Recipe, plan: Plan, hardware: Hardware, images: ImageSet, processes: int) -> dict[str, object]:
    return {
        "recipe": recipe.to_dict(),
        "steps": plan.steps,
        "plan": {
            "steps": plan.steps,
            "warmup_steps": plan.warmup_steps,
            "peak": plan.peak,
            "chunk": plan.chunk,
        },
        "derived": plan.derived,
        "data": {
            "name": images.name,
            "fingerprint": images.fingerprint,
            "images": len(images.rows("train")),
            "channels": images.channels,
            "quarantined": len(images.quarantine),
            "stated": images.stated,
        },
        "versions": versions(),
        "hardware": hardware.describe(),
        "processes": processes,
        "started": datetime.now().isoformat(timespec="seconds"),
    }
