"""Every setting of the recipe as an optional flag of the command line, made from the recipe itself."""

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from shlex import quote
from typing import Annotated, Any, Literal, TypedDict, get_args, get_origin, get_type_hints

import tyro

from twofold.recipes.data import Reading
from twofold.recipes.recipe import Help, Recipe, optional_settings, setting_owners

SHORT = {  # flags that need no value -> the flag, and the value where none is given
    "--vertical-flip": ("--vertical-flip-prob", "0.5"),
    "--blur": ("--blur-prob", "0.5"),
    "--no-blur": ("--blur-prob", "0"),
    "--no-grayscale": ("--grayscale-prob", "0"),
}


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
    for word, wanted in (("tuple", "LOW HIGH"), ("bool", "True|False"), ("int", "INT"), ("float", "FLOAT")):
        if word in str(kind):
            return wanted
    return "NAME"


# The recipe's leaves as a person gives them, none of them required: what is given, None among it, replaces the recipe's
# own value, and what is not given is not there.
Settings = TypedDict("Settings", _flags(), total=False)  # type: ignore[misc]

# Of these, the ones that say how tables and paths are read.
ReadingFlags = TypedDict(  # type: ignore[misc]
    "ReadingFlags", {name: _flags()[name] for name in get_type_hints(Reading)}, total=False
)


def as_flags(settings: Mapping[str, Any]) -> list[str]:
    """The flags that stand for `settings`, as one would type them."""
    flags = []
    for name, value in settings.items():
        values = value if isinstance(value, tuple | list) else [value]
        flags.append(" ".join([f"--{name.replace('_', '-')}", *(quote(str(one)) for one in values)]))
    return flags


def written_out(arguments: Sequence[str]) -> list[str]:
    """The arguments of a command line with each of `SHORT` replaced by what it stands for.

    >>> written_out(["--blur", "--vertical-flip", "0.3"])
    ['--blur-prob', '0.5', '--vertical-flip-prob', '0.3']
    """
    words: list[str] = []
    for argument, following in zip_longest(arguments, arguments[1:], fillvalue=""):
        flag, *usual = SHORT.get(argument, (argument,))
        words += [flag] if _is_number(following) and usual != ["0"] else [flag, *usual]
    return words


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdigit()
