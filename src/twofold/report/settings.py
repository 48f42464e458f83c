"""The recipe as groups of (name, value, what it means)."""

import dataclasses
from dataclasses import dataclass
from typing import Any, get_type_hints

from twofold.recipes.recipe import Help, Recipe
from twofold.report.wording import setting_value

STAGES = {
    "data": "Data",
    "views": "Views",
    "encoder": "Encoder f",
    "init": "Weights to begin from",
    "head": "Projection head g",
    "loss": "Loss",
    "optim": "Optimiser",
    "schedule": "Schedule",
    "hardware": "Hardware",
    "monitor": "Watching",
}


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A leaf of the recipe as text."""

    name: str
    value: str
    meaning: str


def grouped_settings(recipe: dict[str, Any]) -> dict[str, list[Setting]]:
    """Group's title -> its settings, in the recipe's order; names that this version does not know have no meaning."""
    meanings = _meanings()
    return {
        STAGES.get(stage, stage): [
            Setting(name=name, value=setting_value(value), meaning=meanings.get(name, ""))
            for name, value in leaves.items()
        ]
        for stage, leaves in recipe.items()
        if isinstance(leaves, dict)
    }


def _meanings() -> dict[str, str]:
    return {
        name: note.text
        for stage in get_type_hints(Recipe).values()
        if dataclasses.is_dataclass(stage)
        for name, hint in get_type_hints(stage, include_extras=True).items()
        for note in getattr(hint, "__metadata__", ())
        if isinstance(note, Help)
    }
