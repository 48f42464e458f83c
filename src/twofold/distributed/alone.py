"""Work that the first process does alone in a loop: where it fails, the others hear of it and do not wait."""

from collections.abc import Callable
from typing import Any

from twofold.distributed.outcome import Outcome, attempt
from twofold.distributed.world import World


class Alone:
    """Keeps the first error of such work until the processes talk to each other anyway.

    Hand `failed` to a message that each step sends, and call `tell` in all processes once it was true in one.
    """

    def __init__(self, world: World) -> None:
        self._world, self._outcome = world, Outcome[Any]()

    @property
    def failed(self) -> bool:
        return self._outcome.error is not None

    def do(self, work: Callable[..., object], *arguments: Any) -> None:
        """Do it in the first process. With one process its error is raised at once."""
        if self._world.size == 1:
            work(*arguments)
        elif self._world.is_first and not self.failed:
            self._outcome = attempt(work, *arguments, rank=0)

    def tell(self) -> None:
        """Raises in all processes what was kept; see `Outcome.open`."""
        self._world.from_first(self._outcome.open, self._world.rank)
