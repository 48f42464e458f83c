"""A batch that is too large for memory goes through the model in chunks (cached gradients).

The first pass keeps z alone; when the gradient of z arrives, each chunk goes through the model once more and back.
The gradient is that of the whole batch with batch norm per chunk: all 2N views meet in the loss.

Legend: n images in c chunks, p = dim of z.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


def forward_chunks(
    model: nn.Module, make_z: Callable[[slice], Tensor], chunks: Sequence[slice]
) -> Float[Tensor, "n k"]:
    """z of both views of each image side by side, (n, 2p), from `make_z(images) -> all a, then all b`.

    With one chunk the graph is kept as usual. With more, `make_z` is called a second time for each chunk in backward,
    last chunk first, so it must be a function of its argument; random numbers repeat. Running statistics of batch norm
    move once, to the mean of the chunks' statistics weighted by their sizes.
    """
    if len(chunks) == 1:
        return _side_by_side(make_z(chunks[0]))
    sizes = [part.stop - part.start for part in chunks]
    norms = [_Norm(module) for module in model.modules() if isinstance(module, _BatchNorm)]
    parts = []
    for i, part in enumerate(chunks):
        own, seen = sizes[i] / sum(sizes), sum(sizes[: i + 1]) / sum(sizes)
        contexts = partial(_contexts, norms, own, seen)
        parts.append(_side_by_side(checkpoint(make_z, part, use_reentrant=False, context_fn=contexts)))
    return torch.cat(parts)


class _Norm:
    """One batch norm and what it was before the step."""

    def __init__(self, module: _BatchNorm) -> None:
        self.module, self.momentum = module, module.momentum
        counter = module.num_batches_tracked
        self.count = 0 if counter is None else int(counter)
        self.step_momentum = 1 / (self.count + 1) if self.momentum is None else self.momentum

    def restore(self) -> None:
        """As after one batch: all chunks are one to `num_batches_tracked`."""
        self.module.momentum = self.momentum
        counter = self.module.num_batches_tracked
        if counter is not None and int(counter) > self.count:
            counter.fill_(self.count + 1)


def _contexts(
    norms: Sequence[_Norm], own: float, seen: float
) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    return _one_update(norms, own, seen), _no_update(norms)


@contextmanager
def _one_update(norms: Sequence[_Norm], own: float, seen: float) -> Iterator[None]:
    """Momenta under which the chunks together make one update of momentum m.

    The old value ends with weight 1 - m and chunk i with m w_i, where w_i (`own`) is its share of the images and `seen`
    the share of all chunks up to it: the momentum of chunk i is m w_i / (1 - m + m seen).
    """
    for norm in norms:
        m = norm.step_momentum
        norm.module.momentum = m * own / (1 - m + m * seen)
    yield from _restored(norms)


@contextmanager
def _no_update(norms: Sequence[_Norm]) -> Iterator[None]:
    for norm in norms:
        norm.module.momentum = 0.0
    yield from _restored(norms)


def _restored(norms: Sequence[_Norm]) -> Iterator[None]:
    try:
        yield
    finally:
        for norm in norms:
            norm.restore()


def _side_by_side(z: Tensor) -> Tensor:
    return torch.cat(z.chunk(2), dim=1)
