"""A finished run that goes on: for more epochs or minutes, with a schedule of its own, on these images or on more.

The further part begins from the weights of encoder and head that the run ended with, as a new run with `--init RUN`
would: a new optimizer, a new warm-up and cosine, and the order and views of the next seed. So it equals that run, bit
for bit.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from twofold.console import say
from twofold.data import ImageSet
from twofold.errors import TwofoldError
from twofold.files import make_folder
from twofold.recipes.recipe import Recipe, ScheduleRecipe
from twofold.runs.checkpoint import newest_checkpoint
from twofold.runs.run_directory import Run, other_run, require_same_settings

_KEPT = ("recipe", "steps", "plan", "derived", "data", "versions", "hardware", "processes", "started", "continued")
_OF_THE_ENCODER = (  # files that say something about the encoder that the run ended with
    "encoder",
    "gallery",
    "evaluation",
    "evaluation_details",
    "evaluation_pictures",
    "transfer",
    "transfer_details",
    "evaluations",
    "transfers",
    "report",
)


@dataclass(frozen=True, kw_only=True)
class Part:
    """A stretch of a run with a schedule of its own: all of it, or what comes after the `earlier` parts' records."""

    recipe: Recipe  # of the whole run
    earlier: list[dict[str, Any]] = field(default_factory=list)

    @property
    def number(self) -> int:
        """0 for the first."""
        return len(self.earlier)

    @property
    def first_step(self) -> int:
        """The step of the run that it begins after."""
        return int(self.earlier[-1]["steps"]) if self.earlier else 0

    @property
    def first_epoch(self) -> float:
        """How often each image had been shown before, on average."""
        size = self.recipe.schedule.batch_size
        return sum((part["plan"]["steps"] * size / part["data"]["images"] for part in self.earlier), 0.0)

    @property
    def own(self) -> Recipe:
        """The recipe of this part alone: its length, and its seed."""
        if not self.earlier:
            return self.recipe
        whole, before = self.recipe.schedule, Recipe.from_dict(self.earlier[-1]["recipe"]).schedule
        name = _unit(whole)
        length = {name: getattr(whole, name) - getattr(before, name)}
        return replace(self.recipe, schedule=replace(whole, **length, seed=(whole.seed + self.number) % 2**32))


def part_of(recipe: Recipe, begun: dict[str, Any] | None) -> Part:
    """The part of a run that is under way, or begins."""
    return Part(recipe=recipe, earlier=list((begun or {}).get("earlier", [])))


def is_planned(begun: dict[str, Any] | None) -> bool:
    """Whether the part was begun before: its steps are known."""
    return begun is not None and "plan" in begun


def extended(run: Run, record: dict[str, Any], recipe: Recipe) -> dict[str, Any] | None:
    """The record of a finished run of which a longer schedule is asked for, without the plan of what comes; else None.

    Raises TwofoldError where another setting changed too, and where the run is not finished.
    """
    before = Recipe.from_dict(record["recipe"])
    name = _unit(recipe.schedule)
    now, then = getattr(recipe.schedule, name), getattr(before.schedule, name)
    if then is None or now <= then:
        return None
    require_same_settings(run, record, recipe.with_settings(**{name: then}))
    saved = newest_checkpoint(run)
    step = saved["step"] if saved else 0
    if step < record["steps"]:
        raise TwofoldError(
            f"{name} is {now:g}, but the run in '{run.folder}' was begun with {then:g} and stands at step {step:,} of "
            f"{record['steps']:,}: its learning rate follows that length. Let it end with --{name} {then:g}; --{name} "
            f"{now:g} then goes on. Or choose a new --out."
        )
    earlier = [*record.get("earlier", []), {key: record[key] for key in _KEPT if key in record}]
    part = Part(recipe=recipe, earlier=earlier)
    say(
        f"The run in '{run.folder}' ended at step {step:,}, after {then:g} {name}. It goes on for {now - then:g} "
        f"{name} with a schedule of its own: warm-up, then a cosine to 0; order and views are those of seed "
        f"{part.own.schedule.seed}."
    )
    return {key: value for key, value in record.items() if key not in ("plan", "derived")} | {"earlier": earlier}


def require_as_many(run: Run, part: Part, images: ImageSet) -> None:
    """A further part takes the same images or more: says so. Raises TwofoldError where there are fewer."""
    before, now = part.earlier[-1]["data"], len(images.rows("train"))
    if before["fingerprint"] == images.fingerprint:
        return
    if now <= before["images"]:
        raise TwofoldError(
            f"the images differ from those of the run in '{run.folder}', and there are {now:,} to train on, not more "
            f"than its {before['images']:,}; a run goes on with the same images or more. Restore them, or begin a new "
            f"run from its weights: {other_run(run, images.name)}."
        )
    say(f"It goes on with other images than before: {now:,} to train on (were {before['images']:,}).")


def set_aside(run: Run, part: Part) -> None:
    """Move what says something about the encoder so far to RUN/earlier/step-N: the run will have another one."""
    folder = run.folder / "earlier" / f"step-{part.first_step:09d}"
    make_folder(folder, "--out")
    for name in _OF_THE_ENCODER:
        path = getattr(run, name)
        if path.exists():
            path.replace(folder / path.name)
    say(f"What was measured so far, and the encoder: '{folder}'")


def _unit(schedule: ScheduleRecipe) -> str:
    return "epochs" if schedule.epochs is not None else "minutes"
