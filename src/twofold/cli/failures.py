"""How a command ends that fails: one line on stderr, which names no flag that the command lacks, and an exit code."""

import functools
import inspect
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NoReturn

from twofold.cli.arguments import CommonFlags
from twofold.console import visible
from twofold.errors import TwofoldError, is_out_of_memory, said_of
from twofold.recipes.flags import ReadingFlags, Settings

_VALUE = r"(?: (?:\d[\w.]*|True|False|None|fp32|cpu|auto)\b)?"  # that a message gives beside a flag
_TABLES = {
    "settings": Settings,
    "reading": ReadingFlags,
    "common": CommonFlags,
}  # parameters that stand for many flags
Commands = Mapping[str, Callable[..., None]]


@contextmanager
def told(command: str | None, commands: Commands) -> Iterator[None]:
    """Turn every expected failure of the `command` into its line and exit code; what is a fault of ours passes.

    None: before it is known which command it is; then a failure is about what a person typed.
    """
    try:
        yield
    except TwofoldError as error:
        _fail(own_flags_only(str(error), command, commands) if command else str(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        flags = flags_of(commands[command]) if command else frozenset()
        _fail(f"the memory is not enough ({said_of(error)}). {_less_memory(flags)}")
    except BrokenPipeError:  # the reader of our output went away, as in `twofold --help | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as error:
        place = f" '{error.filename}'" if error.filename else ""
        _fail(
            f"cannot read or write{place} ({error.strerror or error}). "
            "Free space, fix the permissions or choose another place; the same command then continues."
        )


@functools.cache
def flags_of(command: Callable[..., None]) -> frozenset[str]:
    """The flags that a command has, without their dashes."""
    names: set[str] = set()
    for name, parameter in inspect.signature(command).parameters.items():
        if name in _TABLES:
            names.update(_TABLES[name].__annotations__)
        elif parameter.kind is not parameter.POSITIONAL_ONLY:
            names.add(name)
    return frozenset(name.rstrip("_").replace("_", "-") for name in names)  # "for_": a word of Python's


def own_flags_only(text: str, command: str, commands: Commands) -> str:
    """The text with each flag that only other commands have as a part of such a command: 'twofold pretrain --chunk 8'.

    What stands in a quoted command already stays.
    """
    own = flags_of(commands[command])

    def named(found: re.Match[str]) -> str:
        owners = [name for name, other in commands.items() if found["flag"] in flags_of(other)]
        if found["quoted"] or found["flag"] in own or not owners:
            return found[0]
        return f"'twofold {owners[0]} {found[0]}'"

    return re.sub(rf"(?P<quoted>'twofold [^']*')|(?<![\w-])--(?P<flag>[a-z][a-z-]*){_VALUE}", named, text)


def _less_memory(flags: frozenset[str]) -> str:
    if "chunk" in flags:
        return "Give --chunk auto, --chunk 64 or --memory 8GiB, or a smaller --batch-size, --size-px or --encoder."
    if "device" in flags:
        return "Close other programs, or compute with --device cpu."
    return "Close other programs, or use a machine with more."


def _fail(text: str) -> NoReturn:
    """One line on stderr, whatever the names in it hold, and the exit code 1."""
    sys.exit(f"twofold: {visible(text)}")
