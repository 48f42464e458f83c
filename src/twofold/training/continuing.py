"""What a continued run computes on: what it was begun with; and what else is different is said and written down.

`auto` means, for a run that was begun, the kind of device and the precision that it was begun with, where this machine
has them. A device or a precision that is given must be those. Everything else that touches the last digits of the
numbers (versions of the libraries, processor, threads, processes) may change.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import torch

from twofold.console import say
from twofold.errors import TwofoldError
from twofold.hardware.device import Hardware, resolve_hardware
from twofold.recipes.recipe import HardwareRecipe, Recipe, setting_owners
from twofold.runs.run_directory import HARMLESS, Run, write_recipe
from twofold.versions import versions

_SETTLED = ("device", "precision")  # compared before; which of several GPUs it is does not matter
_IRRELEVANT = ("cores",)  # the threads count


def continued_hardware(run: Run, record: dict[str, Any], asked: HardwareRecipe) -> Hardware:
    """The hardware to continue on. Raises TwofoldError where it would be another than the run was begun with."""
    begun = record.get("hardware", {})
    if not {"device", "precision"} <= begun.keys():  # written by an older version
        return resolve_hardware(asked)
    kind, precision = torch.device(begun["device"]).type, begun["precision"]
    if asked.device != "auto" and torch.device(asked.device).type != kind:
        raise _refusal(run, "device", asked.device, kind, f"Give --device {kind}")
    if asked.precision not in ("auto", precision):
        raise _refusal(run, "precision", asked.precision, precision, f"Give --precision {precision}")
    here = resolve_hardware(asked)
    wanted = replace(asked, device=kind if asked.device == "auto" else asked.device, precision=precision)
    try:
        hardware = resolve_hardware(wanted)
    except TwofoldError as error:
        shown = f"{asked.device} ({here.device.type} here)"
        raise _refusal(run, "device", shown, kind, "Continue on a machine that has it") from error
    if precision == "bf16" and kind == "cuda" and not torch.cuda.is_bf16_supported():
        shown = f"{asked.precision} ({here.precision} here)"
        raise _refusal(run, "precision", shown, precision, "Continue on a GPU that has it")
    if (here.device.type, here.precision) != (kind, precision):
        say(
            f"Continuing on {kind} in {precision}, as the run was begun; a new run would take {here.device.type} in "
            f"{here.precision} here."
        )
    return hardware


def _refusal(run: Run, name: str, now: str, begun: str, fix: str) -> TwofoldError:
    return TwofoldError(
        f"{name} is {now}, but the run in '{run.folder}' was begun with {begun}; a run continues with the {name} that "
        f"it was begun with. {fix} or choose a new --out."
    )


def note_continuation(run: Run, record: dict[str, Any], hardware: Hardware, *, step: int, processes: int) -> None:
    """Say and write down, in recipe.json under "continued", what is different since the run was last under way."""
    now = {"versions": versions(), "hardware": hardware.describe(), "processes": processes}
    before = [record, *record.get("continued", [])][-1]
    changes = [f"{name} {value} (was {old})" for name, old, value in _changes(before, now)]
    if not changes:
        return
    say(f"Different from here on, and written down in recipe.json: {', '.join(changes)}. The last digits may differ.")
    entry = {"step": step, **now, "when": datetime.now().isoformat(timespec="seconds")}
    write_recipe(run, {**record, "continued": [*record.get("continued", []), entry]})


def note_harmless(run: Run, record: dict[str, Any], requested: Recipe) -> dict[str, Any]:
    """The record with the settings that may change at any time as they are requested, said and written down."""
    before, now, owners = Recipe.from_dict(record["recipe"]).settings(), requested.settings(), setting_owners()
    changed = [name for name in HARMLESS if before[name] != now[name]]
    if not changed:
        return record
    recipe = {stage: dict(values) if isinstance(values, dict) else values for stage, values in record["recipe"].items()}
    for name in changed:
        recipe[owners[name]][name] = now[name]
        say(f"{name} is {now[name]} from here on (was {before[name]}); it changes no weights.")
    record = {**record, "recipe": recipe}
    write_recipe(run, record)
    return record


def _changes(before: dict[str, Any], now: dict[str, Any]) -> Iterator[tuple[str, object, object]]:
    """(name, then, now) of all that is in both and not the same."""
    for part in ("versions", "hardware"):
        then = before.get(part, {})
        for name, value in now[part].items():
            if name in then and name not in (*_SETTLED, *_IRRELEVANT) and then[name] != value:
                yield name, then[name], value
    if before.get("processes", now["processes"]) != now["processes"]:
        yield "processes", before["processes"], now["processes"]
