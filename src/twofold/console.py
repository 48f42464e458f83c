"""What people see while a program runs: one console, and text from outside made fit for it.

It is quiet inside a function that was called with verbose=False, and where the level of the logger "twofold" of the
standard library is above INFO. Warnings then go to that logger.
"""

import functools
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ParamSpec, TypeVar

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

# control characters, separators of lines, what turns the direction of writing around, halves of characters
_HARMFUL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
_PLAIN = {"±": "+-", "²": "^2"}  # our own signs


def visible(text: str, encoding: str = "utf-8", keep: str = "") -> str:
    """The text with backslash escapes for control characters, but for those in `keep`.

    What the encoding does not have is escaped too, or spelt out where it is a sign that our own tables use.

    >>> visible("a\\x1b[2Jb\\n")
    'a\\\\x1b[2Jb\\\\n'
    >>> visible("ä", "ascii")
    '\\\\xe4'
    """
    shown = _HARMFUL.sub(lambda found: found[0] if found[0] in keep else repr(found[0])[1:-1], text)
    try:
        shown.encode(encoding)
    except UnicodeEncodeError:
        return "".join(_spelt(one, encoding) for one in shown)
    return shown


def _spelt(one: str, encoding: str) -> str:
    try:
        one.encode(encoding)
    except UnicodeEncodeError:
        return _PLAIN.get(one) or one.encode(encoding, "backslashreplace").decode(encoding)
    return one


logger = logging.getLogger("twofold")
if logger.level == logging.NOTSET:  # the user may have set it before this module was imported
    logger.setLevel(logging.INFO)


class _Console(Console):
    """One that nothing which is printed can steer, and that prints to a terminal or file of any encoding."""

    muted = False  # while a function runs that was called with verbose=False
    other_speaks = False  # in all processes of a group but the first

    @property
    def quiet(self) -> bool:  # rich asks before it writes
        return self.muted or self.other_speaks or not logger.isEnabledFor(logging.INFO)

    @quiet.setter
    def quiet(self, value: bool) -> None:
        self.other_speaks = value

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(visible(text, self.encoding, keep="\n"), **options)  # before widths are measured

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else visible(text, self.encoding, keep="\n"), style, control)


def _is_not_first() -> bool:
    """Whether a launcher started this process, and others before it; the first one speaks for all."""
    return os.environ.get("WORLD_SIZE", "1") not in ("", "1") and os.environ.get("RANK", "0") not in ("", "0")


console = _Console(highlight=False, emoji=False, quiet=_is_not_first())


def say(text: str) -> None:
    """Print a line as it is: names of files are no markup, and a line break in one is shown as \\n.

    Line breaks at both ends leave lines empty.
    """
    line = text.strip("\n")
    before, after = text[: len(text) - len(text.lstrip("\n"))], text[len(text.rstrip("\n")) :] if line else ""
    console.print(f"{before}{visible(line)}{after}", markup=False, soft_wrap=True)


def warn(text: str) -> None:
    """Print `Warning: text`; where the console is muted, hand it to the logger "twofold" instead."""
    if console.quiet and not console.other_speaks:
        logger.warning(visible(text))
    else:
        say(f"Warning: {text}")


def with_progress(items: Iterable[T], text: str, *, step: int, total: int, show: bool = True) -> Iterator[T]:
    """The items, under a progress bar of `text` that advances by `step` of `total` after each."""
    columns = (TextColumn("{task.description}"), BarColumn(24), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not show or console.quiet or not console.is_terminal
    ) as progress:
        task = progress.add_task(text, total=total)
        for item in items:
            yield item
            progress.update(task, completed=min(total, progress.tasks[0].completed + step))


def obeys_verbose(program: Callable[P, R]) -> Callable[P, R]:
    """`program`, which prints nothing where it is called with verbose=False, nor do the programs that it calls."""

    @functools.wraps(program)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        before = console.muted
        console.muted = before or kwargs.get("verbose", True) is False
        try:
            return program(*args, **kwargs)
        finally:
            console.muted = before

    return called


def show_settings(title: str, settings: dict[str, object]) -> None:
    """Print names and values in two columns."""
    table = Table(title=title, title_justify="left", show_header=False, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in settings.items():
        table.add_row(name, str(value).replace("[", r"\["))
    console.print(table)


def duration(seconds: float) -> str:
    """3661 -> '1 h 01 min'; 75 -> '1 min 15 s'; 8.2 -> '8 s'."""
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
