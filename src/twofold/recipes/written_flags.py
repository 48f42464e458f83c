"""Flags as one types them: settings as a command line, and short forms written out."""

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from shlex import quote
from typing import Any

SHORT = {  # flags that need no value -> the flag, and the value where none is given
    "--vertical-flip": ("--vertical-flip-prob", "0.5"),
    "--blur": ("--blur-prob", "0.5"),
    "--no-blur": ("--blur-prob", "0"),
    "--no-grayscale": ("--grayscale-prob", "0"),
}


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
