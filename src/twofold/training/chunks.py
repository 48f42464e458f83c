"""A batch that is too large for memory goes through the model in chunks (cached gradients).

The first pass keeps z alone; when the gradient of z arrives, each chunk goes through the model once more and back.
The gradient is that of the whole batch with batch norm per chunk: all 2N views meet in the loss.

Legend: n images in c chunks, p = dim of z.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from twofold.hardware.randomness import seed_random

MakeZ = Callable[[slice], Tensor]


def forward_chunks(
    model: nn.Module, make_z: MakeZ, chunks: Sequence[slice], *, key: Sequence[int] | None = ()
) -> Float[Tensor, "n k"]:
    """z of both views of each image side by side, (n, 2p), from `make_z(images) -> all a, then all b`.

    With one chunk the graph is kept as usual. With more, `make_z` is called a second time for each chunk in backward,
    last chunk first, so it must be a function of its argument; the weights' gradients arrive in `.grad`, by
    `backward()` alone. Random numbers (dropout, stochastic depth) repeat: before every call all generators in use
    (`seed_random`) are set by the numbers in `key` and that of the chunk; None leaves them as they are. Running
    statistics of normalisation move once, to the mean of the chunks' statistics weighted by their sizes; every other
    buffer moves once too, from the same value in each chunk, to what the last chunk leaves.

    >>> from twofold.losses import nt_xent
    >>> model, x_a, x_b = nn.Linear(3, 2), torch.rand(4, 3), torch.rand(4, 3)
    >>> def make_z(images):
    ...     return model(torch.cat([x_a[images], x_b[images]]))
    >>> z = forward_chunks(model, make_z, [slice(0, 2), slice(2, 4)])
    >>> nt_xent(*z.chunk(2, dim=1), temperature=0.5).backward()  # the gradient of the whole batch
    >>> model.weight.grad.shape
    torch.Size([2, 3])
    """

    def of_chunk(number: int) -> Tensor:
        if key is not None:
            seed_random(_device(model), *key, number)
        z_a, z_b = make_z(chunks[number]).chunk(2)
        return torch.cat([z_a, z_b], dim=1)

    if len(chunks) == 1:
        return of_chunk(0)
    buffers = _Buffers.of(model)
    trigger = torch.zeros((), requires_grad=torch.is_grad_enabled())  # the weights are no arguments of what follows
    sizes = [part.stop - part.start for part in chunks]
    parts = []
    with buffers.moving_once() as add:
        for number, size in enumerate(sizes):
            part: Tensor = _Forgotten.apply(trigger, of_chunk, number, buffers)
            add(size / sum(sizes))
            parts.append(part)
    return torch.cat(parts)


class _Forgotten(torch.autograd.Function):
    """One chunk's z without its graph, which is made again when the gradient of z is there."""

    @staticmethod
    def forward(ctx: Any, _trigger: Tensor, of_chunk: Callable[[int], Tensor], number: int, kept: "_Buffers") -> Tensor:
        ctx.again = of_chunk, number, kept
        return of_chunk(number)

    @staticmethod
    def backward(ctx: Any, outer: Tensor) -> tuple[None, ...]:
        of_chunk, number, kept = ctx.again
        with kept.again():
            with torch.enable_grad():
                z = of_chunk(number)
            if z.requires_grad:
                torch.autograd.backward(z, outer)
        return None, None, None, None


@dataclass(frozen=True)
class _Buffers:
    """What a forward pass may change in a model besides gradients; nothing here asks the device.

    Running statistics of norms in training mode become the mean over the chunks. Of every other buffer (counters, the
    vectors of a spectral norm) what the last chunk leaves stays. All chunks begin with what was there before the first,
    in both passes, so that the second pass makes the z of the first.
    """

    running: list[Tensor]
    others: list[Tensor]
    before: list[Tensor]  # copies of both, from before the first chunk

    @classmethod
    def of(cls, model: nn.Module) -> "_Buffers":
        norms = [module for module in model.modules() if isinstance(module, _NormBase) and module.training]
        running = [buffer for norm in norms for buffer in (norm.running_mean, norm.running_var) if buffer is not None]
        known = {id(buffer) for buffer in running}
        others = [buffer for buffer in model.buffers() if id(buffer) not in known]
        return cls(running, others, _copies([*running, *others]))

    @contextmanager
    def moving_once(self) -> Iterator[Callable[[float], None]]:
        """`add(share)` after each chunk; in the end all have moved as after one batch.

        Each chunk starts from the old value r and ends at (1 - m) r + m s with its own statistic s; the mean of these,
        weighted by the chunks' shares, is (1 - m) r + m (mean of s), for any momentum m.
        """
        total = [torch.zeros_like(buffer) for buffer in self.running]
        last: list[Tensor] = []

        def add(share: float) -> None:
            if total:
                torch._foreach_add_(total, self.running, alpha=share)
            last[:] = _copies(self.others)
            self._put(self.before)

        yield add
        self._put([*total, *last])

    @contextmanager
    def again(self) -> Iterator[None]:
        """For one chunk's second pass; they are afterwards what they were."""
        now = _copies([*self.running, *self.others])
        self._put(self.before)
        yield
        self._put(now)

    def _put(self, values: list[Tensor]) -> None:
        if values:
            torch._foreach_copy_([*self.running, *self.others], values)


def _copies(tensors: Sequence[Tensor]) -> list[Tensor]:
    return [tensor.detach().clone() for tensor in tensors]


def _device(model: nn.Module) -> torch.device:
    return next((weight.device for weight in model.parameters()), torch.device("cpu"))
