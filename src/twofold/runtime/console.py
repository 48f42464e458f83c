"""What people see while a program runs: one console, one progress line."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from twofold.distributed.process import is_first_process

console = Console(highlight=False, quiet=not is_first_process())
_LINE_EVERY_S = 15.0


def say(text: str) -> None:
    """Print a line as it is: names of files are no markup."""
    console.print(text, markup=False, soft_wrap=True)


def show_settings(title: str, settings: dict[str, object]) -> None:
    """Print names and values in two columns."""
    table = Table(title=title, title_justify="left", show_header=False, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in settings.items():
        table.add_row(name, str(value).replace("[", r"\["))
    console.print(table)


class ProgressLine:
    """A bar on a terminal, a line every 15 seconds elsewhere (a log file)."""

    def __init__(self, total: int, done: int) -> None:
        self._total, self._done_at_start = total, done
        self._begin = self._last = time.monotonic()
        columns = (BarColumn(24), TaskProgressColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
        self._bar = Progress(*columns, console=console) if console.is_terminal else None
        self._task = self._bar.add_task("", total=total, completed=done) if self._bar else None

    def __enter__(self) -> "ProgressLine":
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def update(self, done: int, text: str) -> None:
        """Show that `done` of the total is behind us."""
        now = time.monotonic()
        if self._bar and self._task is not None:
            self._bar.update(self._task, completed=done, description=text)
        elif now - self._last >= _LINE_EVERY_S or done == self._total:
            self._last = now
            left_s = (now - self._begin) / max(done - self._done_at_start, 1) * (self._total - done)
            say(f"{done:>8,} of {self._total:,}  {text}  {duration(left_s)} left")


def duration(seconds: float) -> str:
    """3661 -> '1 h 01 min'; 75 -> '1 min 15 s'; 8.2 -> '8 s'."""
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
