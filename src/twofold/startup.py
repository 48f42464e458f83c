"""The start of a run: say what was found and decided, write it down."""

from datetime import datetime
from pathlib import Path
from typing import Any

from twofold.data import ImageSet, rows_of_step
from twofold.errors import TwofoldError
from twofold.plan import Plan, make_plan
from twofold.recipe import Recipe
from twofold.runtime.console import duration, say, show_settings
from twofold.runtime.device import Hardware
from twofold.runtime.files import write_atomically
from twofold.runtime.record import (
    Run,
    require_same_pictures,
    require_same_settings,
    write_quarantine,
    write_recipe,
)
from twofold.runtime.sheet import view_sheet
from twofold.training import make_views, measure_step_s
from twofold.versions import versions
from twofold.views import build_policy, sample_views


def require_place(data: str | Path, out: str | Path) -> None:
    """Refuse an `out` inside the folder of pictures, where the run's own pictures would be trained on."""
    if Path(data).is_dir() and Path(out).resolve().is_relative_to(Path(data).resolve()):
        raise TwofoldError(
            f"--out '{out}' lies inside the data '{data}', but a run writes pictures of its own. "
            "Choose a folder outside."
        )


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


def begin(run: Run, recipe: Recipe, hardware: Hardware, images: ImageSet) -> Plan:
    """Measure a step, print what was found and decided, write recipe.json and views.png."""
    rows = images.rows("train")
    batch = images.read(rows_of_step(rows, recipe.schedule.batch_size, recipe.schedule.seed, 0))
    step_s = measure_step_s(recipe, hardware, [batch])
    plan = make_plan(recipe, images=len(rows), step_s=step_s)
    settings = {name: value for name, value in recipe.settings().items() if value is not None}
    show_settings(f"\nRecipe {recipe.name}", settings)
    show_settings("\nHardware", dict(hardware.describe()))
    time = f"{plan.steps:,} steps x {step_s:.3g} s = {duration(plan.steps * step_s)}"
    show_settings("\nDerived", {**plan.derived, "expected time": time})
    say("")
    draws = sample_views(build_policy(recipe.views), len(batch.images), seed=recipe.schedule.seed, step=0)
    write_atomically(run.views, view_sheet(make_views(batch, draws, recipe.views, hardware)))
    write_quarantine(run, [{"path": q.path, "reason": q.reason} for q in images.quarantine])
    write_recipe(run, _record(recipe, plan, hardware, images))
    return plan


def say_found(images: ImageSet, rows: int) -> None:
    """One line on the pictures, one for each thing decided about them, and the unreadable ones."""
    say(f"{images.name}: {len(images):,} pictures, {rows:,} to train on, {len(images.quarantine):,} unreadable")
    for sentence in images.stated:
        say(f"  {sentence}")
    for one in images.quarantine[:3]:
        say(f"  set aside: {one.path}: {one.reason}")
    if len(images.quarantine) > 3:
        say(f"  ... and {len(images.quarantine) - 3} more, listed in quarantine.jsonl")


def _record(recipe: Recipe, plan: Plan, hardware: Hardware, images: ImageSet) -> dict[str, object]:
    return {
        "recipe": recipe.to_dict(),
        "steps": plan.steps,
        "plan": {
            "steps": plan.steps,
            "warmup_steps": plan.warmup_steps,
            "peak": plan.peak,
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
        "started": datetime.now().isoformat(timespec="seconds"),
    }
