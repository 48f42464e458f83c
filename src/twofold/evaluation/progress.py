"""Working through the units of an evaluation: what it will take is said first, and how far it is after each."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from twofold.console import duration
from twofold.evaluation.attempt import Attempt
from twofold.evaluation.ledger import Ledger
from twofold.evaluation.plan import Unit


def work_through(units: Sequence[Unit], ledger: Ledger, say: Callable[[str], None]) -> list[Attempt]:
    """The attempts of all units in their order; those that the ledger holds are read, the others made and kept."""
    todo = [unit for unit in units if not ledger.has(unit.name)]
    begun = f", {len(units) - len(todo)} of them made before an interruption" if len(todo) < len(units) else ""
    say(f"{len(units)} measurements{begun}: about {duration(sum((unit.seconds for unit in todo), 0.0))}")
    clock = _Clock(todo)
    attempts: list[Attempt] = []
    for place, unit in enumerate(units, start=1):
        waiting = not ledger.has(unit.name)
        began = time.monotonic()
        attempts += ledger.attempts(unit.name, partial(_timed, unit))
        if waiting:
            took = time.monotonic() - began
            left = clock.left_after(unit, took)
            ending = f", about {duration(left)} left" if place < len(units) else ""
            say(f"[{place} of {len(units)}] {unit.title}: {duration(took)}{ending}")
    return attempts


def _timed(unit: Unit) -> list[Attempt]:
    """The attempts of a unit; the first says how long they took, so that a continuation knows it too."""
    began = time.monotonic()
    first, *others = unit.make()
    return [replace(first, seconds=time.monotonic() - began), *others]


class _Clock:
    """The guesses of the units, corrected by how long those done so far took."""

    def __init__(self, units: Sequence[Unit]) -> None:
        self._left = sum((unit.seconds for unit in units), 0.0)
        self._guessed = self._took = 0.0

    def left_after(self, unit: Unit, took: float) -> float:
        """Seconds that the rest will take."""
        self._left -= unit.seconds
        self._guessed += unit.seconds
        self._took += took
        pace = self._took / self._guessed if self._guessed > 0 else 1.0
        return max(0.0, self._left) * min(max(pace, 0.1), 10.0)
