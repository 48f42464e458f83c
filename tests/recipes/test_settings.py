"""The keyword arguments that an editor completes are the recipe's leaves, each with its type."""

from collections.abc import Sequence
from typing import Any, get_type_hints

from twofold.recipes.recipe import Op, Recipe, setting_owners
from twofold.recipes.settings import Settings


def leaves() -> dict[str, Any]:
    stages = get_type_hints(Recipe)
    return {name: get_type_hints(stages[stage])[name] for name, stage in setting_owners().items()}


def test_they_are_the_leaves_of_the_recipe() -> None:
    typed, wanted = get_type_hints(Settings), leaves()
    assert typed.pop("ops") == Sequence[object] | None, "texts and augmentations too"
    assert wanted.pop("ops") == tuple[Op, ...] | None
    assert typed.pop("init") is object, "modules and state dicts too"
    assert wanted.pop("init") == str | None
    assert typed == wanted, "python tools/make_settings.py writes them anew"
    assert Settings.__total__ is False, "each may be left out"
