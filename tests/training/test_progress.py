"""The time left: from the pace of late, soon after the start, and going down all the time."""

import io
import itertools
from collections.abc import Callable

import pytest
from rich.console import Console

from twofold.training import progress
from twofold.training.progress import Pace, ProgressLine


class Clock:
    """Time that passes only when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def run(pace: Pace, steps_s: Callable[[int], float], steps: range, now: float = 0.0) -> float:
    """Take steps; return the time at the end."""
    for step in steps:
        now += steps_s(step)
        pace.add(now, step + 1)
    return now


def test_known_from_the_second_step_and_never_from_the_first() -> None:
    pace = Pace(1000)
    assert pace.left_s(0.0) is None
    now = run(pace, lambda _: 300.0, range(1))  # it compiles
    assert pace.left_s(now) is None
    now = run(pace, lambda _: 0.5, range(1, 2), now)
    assert pace.left_s(now) == pytest.approx(998 * 0.5)


@pytest.mark.parametrize("step_s", [0.001, 0.3, 20.0, 1000.0])
def test_a_continued_run_knows_its_own_steps_alone(step_s: float) -> None:
    pace = Pace(10_000)
    now = run(pace, lambda _: step_s, range(5000, 5003))
    assert pace.left_s(now) == pytest.approx((10_000 - 5003) * step_s)


def test_recent_steps_count() -> None:
    pace = Pace(100_000)
    now = run(pace, lambda _: 0.1, range(2000))
    now = run(pace, lambda _: 1.0, range(2000, 2120), now)  # another process takes the cores
    assert pace.left_s(now) == pytest.approx((100_000 - 2120) * 1.0, rel=0.05)


def test_looks_between_the_steps_are_spread_over_a_long_run() -> None:
    pace = Pace(10_000)
    now = run(pace, lambda n: 1.0 + 60.0 * (n % 400 == 399), range(8000))
    assert pace.left_s(now) == pytest.approx(2000 + 5 * 60.0, rel=0.1)


def test_it_goes_down_while_a_step_is_under_way_and_waits_for_a_late_one() -> None:
    pace = Pace(100)
    now = run(pace, lambda _: 10.0, range(10))
    left = [pace.left_s(now + waited) for waited in (0.0, 3.0, 9.0, 10.0, 500.0)]
    assert left == pytest.approx([900.0, 897.0, 891.0, 890.0, 890.0])
    now = run(pace, lambda _: 10.0, range(10, 100), now)
    assert pace.left_s(now) == 0.0


def test_little_is_kept_however_many_steps() -> None:
    pace = Pace(10**9)
    now = run(pace, lambda _: 0.01, range(100_000))
    assert len(pace._moments) <= 1500
    assert pace.left_s(now) == pytest.approx((10**9 - 100_000) * 0.01, rel=0.01)


def test_lines_come_soon_and_then_every_15_seconds(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressLine(10_000, 400) as line:
        clock.now += 30.0  # the first step compiles
        line.update(401, "")
        for step in range(402, 450):
            clock.now += 1.0
            line.update(step, "loss 4.0")
    said = capsys.readouterr().out.splitlines()
    steps = [int(text.split()[0]) for text in said]
    assert steps[0] == 402
    assert [b - a for a, b in itertools.pairwise(steps)] == [15] * (len(steps) - 1)
    assert said[0].endswith("loss 4.0  2 h 39 min left")  # 9,598 steps of a second
    assert said[-1].endswith("2 h 39 min left")


def test_the_last_line_is_always_there(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressLine(1, 0) as line:
        line.update(1, "loss 4.0")
    assert capsys.readouterr().out.split() == ["1", "of", "1", "loss", "4.0", "0", "s", "left"]


def test_the_bar_shows_the_time_left_and_lets_it_shrink(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Console(file=io.StringIO(), force_terminal=True, width=120)
    monkeypatch.setattr(progress, "console", terminal)
    line = ProgressLine(1000, 0)  # not started: nothing is drawn beside the test
    assert line._bar is not None
    assert line._task is not None
    task, column = line._bar.tasks[0], line._bar.columns[-1]
    assert column.render(task).plain == ""
    for step in (1, 2, 3):
        clock.now += 10.0
        line.update(step, "")
    assert task.completed == 3
    assert column.render(task).plain == "2 h 46 min left"  # 9,970 s
    clock.now += 9.0
    assert column.render(task).plain == "2 h 46 min left"  # 9,961 s
    for step in range(4, 104):
        clock.now += 1.0
        line.update(step, "")
    shown = [column.render(task).plain]
    clock.now += 1.0
    shown.append(column.render(task).plain)
    assert shown == ["14 min 57 s left", "14 min 56 s left"]
