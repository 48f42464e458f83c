"""Every setting of the recipe as an optional flag of the command line, made from the recipe itself."""

from typing import Annotated, Any, Literal, TypedDict, get_args, get_origin, get_type_hints

import tyro

from twofold.recipes.data import Reading
from twofold.recipes.recipe import Help, Recipe, optional_settings, setting_owners


def _flags() -> dict[str, Any]:
    hints, optional = get_type_hints(Recipe), optional_settings()
    flags = {}
    for name, stage in setting_owners().items():
        annotated = get_type_hints(hints[stage], include_extras=True)[name]
        kind, help_text = annotated.__origin__, annotated.__metadata__[0]
        assert isinstance(help_text, Help)
        metavar = "|".join([_metavar(kind), *_literals(kind), *(["None"] if name in optional else [])])
        if name == "ops":  # by their notations
            kind, metavar = None | tuple[str, ...], "[OP [OP ...]]|None"
        elif name == "jitter":
            metavar = "FLOAT FLOAT FLOAT FLOAT|None"
        shown = tyro.conf.arg(help=help_text.text, metavar=metavar, help_behavior_hint="(default: the recipe's)")
        flags[name] = Annotated[kind, shown, tyro.conf.FlagConversionOff]  # bools take True or False, as in Python
    return flags


def _literals(kind: Any) -> list[str]:
    """Words that a value may be besides."""
    return [word for part in get_args(kind) if get_origin(part) is Literal for word in get_args(part)]


def _metavar(kind: Any) -> str:
    kinds = {"tuple[int": "INT ...", "tuple": "LOW HIGH", "bool": "True|False", "int": "INT", "float": "FLOAT"}
    for word, wanted in kinds.items():
        if word in str(kind):
            return wanted
    return "NAME"


# The recipe's leaves as a person gives them, none of them required: what is given, None among it, replaces the recipe's
# own value, and what is not given is not there.
Settings = TypedDict("Settings", _flags(), total=False)  # type: ignore[misc]

# Of these, the ones that say how tables, paths and files are read.
ReadingFlags = TypedDict(  # type: ignore[misc]
    "ReadingFlags", {name: _flags()[name] for name in get_type_hints(Reading)}, total=False
)
