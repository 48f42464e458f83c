"""What people see while a program runs: one console."""

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from twofold.distributed.process import is_first_process
from twofold.escapes import visible


class _Console(Console):
    """One that nothing which is printed can steer, and that prints to a terminal or file of any encoding."""

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(visible(text, self.encoding, keep="\n"), **options)  # before widths are measured

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else visible(text, self.encoding, keep="\n"), style, control)


console = _Console(highlight=False, emoji=False, quiet=not is_first_process())


def say(text: str) -> None:
    """Print a line as it is: names of files are no markup, and a line break in one is shown as \\n.

    Line breaks at both ends leave lines empty.
    """
    line = text.strip("\n")
    before, after = text[: len(text) - len(text.lstrip("\n"))], text[len(text.rstrip("\n")) :] if line else ""
    console.print(f"{before}{visible(line)}{after}", markup=False, soft_wrap=True)


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
