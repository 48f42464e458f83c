"""How far a run is: a bar or a line, with the time that is left at the pace of the last minutes."""

import time
from collections import deque
from types import TracebackType

from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskProgressColumn, TextColumn
from rich.text import Text

from twofold.console import console, duration, say

_FIRST_LINE_S, _LINE_EVERY_S = 5.0, 15.0
_SHOW_EVERY_S = 0.1
_WINDOW_S, _WINDOW_SHARE = 60.0, 0.25
_MOST_MOMENTS = 1000


class Pace:
    """Steps and their moments; the time left follows from the last minute's, or the last quarter's of a longer run.

    The first step, which starts everything up, tells nothing about the others.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._moments: deque[tuple[float, int]] = deque()  # (seconds, steps done)
        self._newest = (0.0, 0)
        self._begin: float | None = None

    def add(self, now: float, done: int) -> None:
        """`done` steps are done at the moment `now`, in seconds."""
        if self._begin is None:
            self._begin = now
        self._newest = (now, done)
        window = max(_WINDOW_S, _WINDOW_SHARE * (now - self._begin))
        if not self._moments or now - self._moments[-1][0] >= window / _MOST_MOMENTS:
            self._moments.append(self._newest)
        while len(self._moments) > 1 and now - self._moments[1][0] >= window:
            self._moments.popleft()

    def left_s(self, now: float) -> float | None:
        """Seconds until the end, counted down while a step is under way; None before two steps are done."""
        if not self._moments or self._newest[1] == self._moments[0][1]:
            return None
        (begin, before), (end, done) = self._moments[0], self._newest
        step_s = (end - begin) / (done - before)
        return max(0.0, (self._total - done) * step_s - min(now - end, step_s))


class ProgressLine:
    """A bar on a terminal; elsewhere (a log file) a line after 5 seconds and every 15 seconds."""

    def __init__(self, total: int, done: int) -> None:
        self._total = total
        self._pace = Pace(total)
        self._shown = time.monotonic() - _LINE_EVERY_S + _FIRST_LINE_S
        columns = (BarColumn(24), TaskProgressColumn(), TextColumn("{task.description}"), _TimeLeft(self._pace))
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
        """Another step is done, `done` of the total in all; call it after each. `text` is shown beside it."""
        now = time.monotonic()
        self._pace.add(now, done)
        if now - self._shown < (_SHOW_EVERY_S if self._bar else _LINE_EVERY_S) and done < self._total:
            return
        if self._bar and self._task is not None:
            self._bar.update(self._task, completed=done, description=text)
        else:
            left_s = self._pace.left_s(now)
            if left_s is None and done < self._total:
                return
            say(f"{done:>8,} of {self._total:,}  {text}  {duration(left_s or 0.0)} left")
        self._shown = now


class _TimeLeft(ProgressColumn):
    """Drawn anew several times a second, so that it goes down between the steps too."""

    max_refresh = 0.5

    def __init__(self, pace: Pace) -> None:
        super().__init__()
        self._pace = pace

    def render(self, task: Task) -> Text:  # noqa: ARG002
        left_s = self._pace.left_s(time.monotonic())
        return Text("" if left_s is None else f"{duration(left_s)} left", style="progress.remaining")
