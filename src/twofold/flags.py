"""Every setting of the recipe as an optional flag of the command line, made from the recipe itself."""

import dataclasses
from collections.abc import Mapping
from shlex import quote
from typing import Annotated, Any, Optional, get_type_hints

import tyro

from twofold.recipe import Help, Recipe, setting_owners

_ONLY_IN_FILES = ("ops",)  # a list of ops is written in a recipe.json, not on a command line


def _flag_fields() -> list[tuple[str, Any, Any]]:
    hints = get_type_hints(Recipe)
    fields = []
    for name, stage in setting_owners().items():
        if name in _ONLY_IN_FILES:
            continue
        annotated = get_type_hints(hints[stage], include_extras=True)[name]
        kind, help_text = annotated.__origin__, annotated.__metadata__[0]
        assert isinstance(help_text, Help)
        shown = tyro.conf.arg(help=help_text.text, metavar=_metavar(kind), help_behavior_hint="(default: the recipe's)")
        flag = Annotated[Optional[kind], shown]  # type: ignore[valid-type]  # noqa: UP045
        fields.append((name, flag, dataclasses.field(default=None)))
    return fields


def _metavar(kind: Any) -> str:
    for word, wanted in (("tuple", "LOW HIGH"), ("bool", "True|False"), ("int", "INT"), ("float", "FLOAT")):
        if word in str(kind):
            return wanted
    return "NAME"


# One dataclass whose fields are the recipe's leaves, all unset: what a person gives replaces the recipe's own value.
Settings = dataclasses.make_dataclass("Settings", _flag_fields(), frozen=True, kw_only=True)


def given(settings: Any) -> dict[str, Any]:
    """The settings that a person gave."""
    return {name: value for name, value in vars(settings).items() if value is not None}


def as_flags(settings: Mapping[str, Any]) -> list[str]:
    """The flags that stand for `settings`, as one would type them."""
    flags = []
    for name, value in settings.items():
        values = value if isinstance(value, tuple | list) else [value]
        flags.append(" ".join([f"--{name.replace('_', '-')}", *(quote(str(one)) for one in values)]))
    return flags
