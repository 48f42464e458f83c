"""The one base error. Every message carries the value, the rule and the fix."""

import difflib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any


class TwofoldError(ValueError):
    """Something a person can put right: shown as one line, without a traceback."""


class NotFiniteError(TwofoldError):
    """An encoder gives numbers that are not finite, of which nothing can be measured."""


class DivergedError(NotFiniteError):
    """Training gave numbers that are not finite: its learning rate was too high."""


def unknown_name(kind: str, name: str, choices: Iterable[str]) -> TwofoldError:
    """The error for a misspelt name, with the nearest right one.

    >>> str(unknown_name("encoder", "resnet81", ["resnet18", "resnet50"]))
    "unknown encoder 'resnet81'; did you mean 'resnet18'? Choose one of: resnet18, resnet50."
    """
    names = list(choices)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else "."
    return TwofoldError(f"unknown {kind} '{name}'{hint} Choose one of: {', '.join(names)}.")


def require(rule_holds: bool, name: str, value: object, rule: str, *, fix: str | None = None) -> None:
    """Raises TwofoldError naming the setting, its value, the rule and the fix, unless the rule holds.

    The fix is to change the flag of the setting's name, where no other is given.
    """
    if not rule_holds:
        raise TwofoldError(f"{name} is {value!r}, but it must be {rule}. {fix or _change(name)}")


def _change(name: str) -> str:
    return f"Change --{name.replace('_', '-')}."


def require_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raises TwofoldError with the nearest right name, unless `value` is one of `choices`."""
    if value not in choices:
        raise unknown_name(name.replace("_", "-"), value, choices)


def import_extra(module: str, needed_by: str, extra: str) -> Any:
    """The package `module`, which comes with `pip install 'twofold[extra]'` and not with twofold alone.

    Raises TwofoldError with that line where it is not installed. `needed_by` begins the sentence: "the figure".
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise TwofoldError(
            f"{needed_by} needs {module}, which is not installed. Run: pip install 'twofold[{extra}]'"
        ) from error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether it says that memory is not enough, on any device: torch has several ways, some of them only in words."""
    words = "out of memory|not enough memory|can't allocate memory|cannot allocate memory|ALLOC_FAILED"
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and re.search(words, str(error), re.IGNORECASE) is not None
    )


@contextmanager
def enough_memory(work: str, fix: str) -> Iterator[None]:
    """Raises TwofoldError with the `work` that was being done and the `fix`, where memory is not enough inside."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise TwofoldError(f"the memory is not enough for {work} ({said_of(error)}). {fix}") from error


def said_of(error: BaseException) -> str:
    """The first line of what it says, where that is not long."""
    return (str(error).strip() or "out of memory").splitlines()[0][:200]
