"""What became of work that one process does for all: its result or its error, in a form that travels."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from twofold.errors import TwofoldError

T = TypeVar("T")


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """A result, or an error and the rank of the process that had it."""

    value: T | None = None
    error: BaseException | None = None
    rank: int = 0

    def open(self, rank: int) -> T:
        """The result, for process `rank`.

        An error is raised in the process that had it as it was. Elsewhere what a user can mend (TwofoldError, OSError)
        and interrupts are raised alike, anything else as a TwofoldError that names the process.
        """
        if self.error is not None:
            raise self.error if rank == self.rank else _elsewhere(self.error, self.rank)
        return self.value  # type: ignore[return-value]

    def travels(self) -> "Outcome[T]":
        """The same without what cannot be sent."""
        return self if self.error is None else Outcome(error=_elsewhere(self.error, self.rank), rank=self.rank)

    def without_value(self) -> "Outcome[Any]":
        """Only whether it failed, and how."""
        return Outcome(error=self.error, rank=self.rank)


def attempt(work: Callable[..., T], *arguments: Any, rank: int) -> Outcome[T]:
    """Do it, and keep its error whatever it is: others wait to hear of it."""
    try:
        return Outcome(value=work(*arguments), rank=rank)
    except BaseException as error:
        return Outcome(error=error, rank=rank)


def _elsewhere(error: BaseException, rank: int) -> BaseException:
    if isinstance(error, TwofoldError | OSError | KeyboardInterrupt | SystemExit):
        return _copied(error)
    reason = " ".join(str(error).split())[:200]
    return TwofoldError(f"process {rank} failed ({type(error).__name__}: {reason}), so all stop. See its output.")


def _copied(error: BaseException) -> BaseException:
    """Without its traceback, which cannot travel."""
    if isinstance(error, OSError) and error.errno is not None:
        return OSError(error.errno, error.strerror, error.filename)
    return type(error)(*error.args)
