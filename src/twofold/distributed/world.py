"""Many processes that act as one.

Every process holds the same weights and a share of the batch's images. What crosses between them: z (gathered, with
a backward that sums), the statistics of batch norm, the gradients (summed), and a few numbers.

Legend: K processes, N images of the global batch, n = N/K images of this process, p columns, C channels.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Any, ParamSpec, TypeVar

import torch
import torch.distributed.nn.functional  # before any group: imported later, its default arguments hold that for ever
from jaxtyping import Float, Int64, Shaped
from torch import Tensor, distributed, nn
from torch.distributed import PrefixStore  # type: ignore[attr-defined]
from torch.distributed.rendezvous import rendezvous

from twofold.distributed.gather import Gather, all_gather
from twofold.distributed.outcome import Outcome, attempt
from twofold.distributed.process import (
    RENDEZVOUS,
    group_rank,
    group_size,
    local_rank,
    local_size,
    require_meeting,
)
from twofold.distributed.rendezvous import agree_on_name
from twofold.distributed.shared_memory import Mailbox, can_share, new_mailbox, open_mailbox
from twofold.errors import TwofoldError

P = ParamSpec("P")
T = TypeVar("T")


_CPU = torch.device("cpu")
_LET_GO_S = 0.1  # before torch 2.8 the group's end holds what its thread needs to drop the last message
_PATIENCE = timedelta(hours=6)  # the first process decodes, looks and measures while the others wait


@dataclass(frozen=True)
class Share:
    """What of each global batch one process handles."""

    batch_size: int  # N
    positions: Int64[Tensor, "n"]  # places in the global batch
    chunks: tuple[slice, ...]  # portions of those n that go through the model together
    anchors: tuple[int, int]  # where the n lie among the N that `gather` returns


@dataclass(frozen=True)
class World:
    """K processes. With one, everything here returns what it was given.

    >>> with open_world("cpu") as world:  # started by torchrun: one of its processes
    ...     z = world.gather(torch.ones(2, 3))  # the rows of all processes, with a gradient
    >>> z.shape
    torch.Size([2, 3])
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    device: torch.device = _CPU  # where the tensors lie that the group sends
    mailbox: Mailbox | None = field(default=None, repr=False)  # where all share one machine's memory

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def share(self, batch_size: int, chunk: int | None = None) -> Share:
        """Divide every chunk of the batch evenly, so that a chunk holds the same images whatever the K.

        Raises TwofoldError where K does not divide the batch or the chunk.
        """
        chunk = min(chunk or batch_size, batch_size)
        for name, value, flag in (("batch_size", batch_size, "--batch-size"), ("chunk", chunk, "--chunk")):
            if value % self.size:
                raise TwofoldError(
                    f"{name} is {value}, but {self.size} processes must share it evenly. Choose {flag} "
                    f"{max(1, value // self.size) * self.size} or {-(-value // self.size) * self.size}."
                )
        positions, chunks, taken = [], [], 0
        for start in range(0, batch_size, chunk):
            count = (min(start + chunk, batch_size) - start) // self.size
            positions.append(torch.arange(count) + start + self.rank * count)
            chunks.append(slice(taken, taken + count))
            taken += count
        return Share(batch_size, torch.cat(positions), tuple(chunks), (self.rank * taken, (self.rank + 1) * taken))

    def gather(self, rows: Float[Tensor, "n p"]) -> Float[Tensor, "n_all p"]:
        """The rows of all processes, by rank: (n, p) -> (N, p). Its backward sums the gradient over processes.

        So the gradient of a loss whose parts lie on different processes is the whole loss's gradient.
        """
        if self.size == 1:
            return rows
        gathered: Tensor = Gather.apply(rows, self)
        return gathered

    def sum(self, values: Tensor) -> Tensor:
        """The sum over processes, without gradient."""
        if self.size == 1:
            return values
        if self.mailbox:
            return self.mailbox.sum(values.reshape(-1)).view_as(values)
        total = values.detach().clone()
        distributed.all_reduce(total)
        return total

    def sum_gradients(self, module: nn.Module) -> None:
        """Replace every gradient by its sum over processes, in one message."""
        if self.size == 1:
            return
        gradients = [weight.grad for weight in module.parameters() if weight.grad is not None]
        flat = self.sum(torch.cat([gradient.reshape(-1) for gradient in gradients]))
        for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))

    def stack(self, values: Shaped[Tensor, "c"]) -> Shaped[Tensor, "k c"]:
        """The vectors of all processes, one a row, without gradient."""
        if self.mailbox:
            return self.mailbox.stack(values)
        rows = values.new_empty(self.size, len(values))
        all_gather(rows.view(-1), values.contiguous())
        return rows

    def highest(self, number: int) -> int:
        """The largest of the processes' numbers."""
        if self.size == 1:
            return number
        return int(self.stack(torch.tensor([number], device=self.device)).amax())

    def copy_from_first(self, module: nn.Module) -> None:
        """Give a module on the CPU, which is of one class in all processes, the weights and buffers of the first."""
        if self.size > 1:
            module.load_state_dict(self.from_first(module.state_dict))

    def from_first(self, work: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
        """Call `work` in the first process and hand its result, or its error, to all: see `Outcome.open`."""
        own = attempt(partial(work, *arguments, **options), rank=0) if self.is_first else Outcome[T]()
        if self.size == 1:
            return own.open(self.rank)
        box: list[Any] = [own.travels() if self.is_first else None]
        distributed.broadcast_object_list(box, src=0)
        return (own if self.is_first else box[0]).open(self.rank)

    def only_first(self, work: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T | None:
        """Call `work` in the first process, which keeps the result; None elsewhere. Its error is raised in all."""
        results: list[T] = []
        self.from_first(lambda: results.append(work(*arguments, **options)))
        return results[0] if results else None

    def in_turn(self, work: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
        """Call `work` in every process, after the machine's first one is done; an error of one is raised in all."""
        own = Outcome[T]()
        for now in (True, False):
            if (self.local_rank == 0) is now:
                own = attempt(partial(work, *arguments, **options), rank=self.rank)
            for outcome in self._exchange(own.without_value().travels()):
                (own if outcome.rank == self.rank else outcome).open(self.rank)
        return own.open(self.rank)

    def require_same(self, settings: dict[str, Any]) -> None:
        """Raises TwofoldError, naming the setting, where a process differs from the first."""
        first, *others = self._exchange(settings)
        for rank, other in enumerate(others, start=1):
            for name in first:
                if first[name] != other.get(name):
                    raise TwofoldError(
                        f"{name} is {other.get(name)!r} in process {rank}, but {first[name]!r} in process 0. Start all "
                        "processes with the same command, the same images and the same version."
                    )

    def _exchange(self, value: T) -> list[T]:
        if self.size == 1:
            return [value]
        box: list[Any] = [None] * self.size
        distributed.all_gather_object(box, value)
        return box


@contextmanager
def open_world(device: str) -> Iterator[World]:
    """The processes of a group that the caller made or a launcher started, or one process without either.

    device: the recipe's ("auto", "cpu", "cuda", ...). A group that the caller made (torch.distributed is initialized)
    is used and left alone. A launcher sets RANK and WORLD_SIZE: gloo on the CPU, NCCL on GPUs, one GPU a process.
    Raises TwofoldError for one numbered GPU with several processes, for less GPUs than processes, for a group that
    cannot send what lies on the device, and where the environment does not say how the processes meet.

    >>> with open_world("cpu") as world:
    ...     print(world.rank, world.size)
    0 1
    """
    given = distributed.is_available() and distributed.is_initialized()
    size = distributed.get_world_size() if given else group_size()
    if size == 1 or not distributed.is_available():
        yield World()
        return
    if not given:
        require_meeting()
    own = _own_device(device, given=given)
    if given:
        _require_backend(own)
    else:
        _join(own)
    try:
        with ExitStack() as stack:
            rank = distributed.get_rank()
            yield _with_mailbox(World(rank, size, local_rank(rank), own), stack)
    finally:
        if not given:
            time.sleep(_LET_GO_S)
            distributed.destroy_process_group()


def _own_device(device: str, *, given: bool) -> torch.device:
    """The CPU, or the GPU of this process, which is chosen here where the group is ours."""
    if ":" in device:
        raise TwofoldError(f"device is '{device}', but each process takes a GPU of its own. Choose --device cuda.")
    if not (device == "cuda" or (device == "auto" and torch.cuda.is_available())):
        return _CPU
    if not given:
        count, wanted = torch.cuda.device_count(), local_size(local_rank(0) + 1)
        if wanted > count:
            raise TwofoldError(
                f"each of {wanted} processes takes a GPU of its own, but this machine has {count}. Start "
                f"{f'{count} processes' if count > 1 else 'one process'} or choose --device cpu."
            )
        torch.cuda.set_device(local_rank(0))
    return torch.device("cuda", torch.cuda.current_device())


def _require_backend(device: torch.device) -> None:
    backends = distributed.get_backend_config()  # such as "cpu:gloo,cuda:nccl"
    if ("cuda:nccl" if device.type == "cuda" else "cpu:") not in backends:
        raise TwofoldError(
            f"device is '{device.type}', but the process group was made with '{backends}'. Make it with "
            f"{'nccl' if device.type == 'cuda' else 'gloo'}, or choose another device."
        )


def _join(device: torch.device) -> None:
    store, rank, size = next(rendezvous(os.environ.get(RENDEZVOUS, "env://"), group_rank(), group_size()))
    store.set_timeout(_PATIENCE)
    on_gpu = device.type == "cuda"
    distributed.init_process_group(
        "nccl" if on_gpu else "gloo",
        store=PrefixStore(agree_on_name(store, rank, size), store),
        rank=rank,
        world_size=size,
        timeout=_PATIENCE,
        device_id=device if on_gpu else None,
    )


def _with_mailbox(world: World, stack: ExitStack) -> World:
    """The same world with shared memory for its messages, where all its processes can have it."""
    if world.device.type != "cpu" or local_size(0) != world.size or not can_share(world.size):
        return world
    path = world.from_first(new_mailbox, world.size)
    if path is None:
        return world
    try:
        mailbox = stack.enter_context(open_mailbox(path, world.rank, world.size))
        distributed.barrier()
    finally:
        if world.is_first:
            path.unlink()
    return replace(world, mailbox=mailbox)
