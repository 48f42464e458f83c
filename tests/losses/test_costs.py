"""What docs/scale.md says that the loss costs each of K processes: multiplications, and bytes between them."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from twofold.distributed import World, world
from twofold.distributed import gather as gather_module
from twofold.losses.dense import nt_xent_dense
from twofold.losses.tiled import nt_xent_tiled

N, P, TILE = 128, 16, 8


class Products(TorchDispatchMode):
    """Counts multiplications and additions of matrix products, those into a given place among them."""

    def __init__(self) -> None:
        super().__init__()
        self.flops = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        name = func.name().split("::")[1].split(".")[0].rstrip("_")
        if name in ("mm", "addmm"):
            left, right = args[-2:] if name == "mm" else args[1:3]
            self.flops += 2 * left.shape[0] * left.shape[1] * right.shape[1]
        return func(*args, **(kwargs or {}))


def flops(loss: object, processes: int, rank: int) -> int:
    """Of matrix products, forward and backward, in the part of one process."""
    draw = torch.Generator().manual_seed(0)
    z_a, z_b = (torch.randn(N, P, generator=draw).requires_grad_() for _ in range(2))
    own = N // processes
    options = {"tile": TILE} if loss is nt_xent_tiled else {}
    with Products() as counter:
        loss(z_a, z_b, temperature=0.5, anchors=(rank * own, (rank + 1) * own), **options).backward()  # type: ignore[operator]
    return counter.flops


@pytest.mark.parametrize("processes", [1, 2, 4, 8])
def test_multiplications_are_those_of_the_page(processes: int) -> None:
    for rank in {0, processes - 1}:
        assert flops(nt_xent_dense, processes, rank) == pytest.approx(24 * N**2 * P / processes, rel=0.01)
        share = 2 / processes - 1 / processes**2
        expected = 16 * N**2 * P * share
        diagonal = 1 + 2 * TILE / N  # tiles on it are computed whole
        assert expected <= flops(nt_xent_tiled, processes, rank) <= diagonal * expected


@pytest.mark.parametrize("processes", [2, 4])
def test_only_z_crosses_once_each_way(processes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[str, int]] = []

    def gather(out: Tensor, own: Tensor) -> None:
        sent.append(("gather", out.nbytes))
        out.copy_(own.repeat(processes))

    def scatter(out: Tensor, whole: Tensor) -> None:
        sent.append(("scatter", whole.nbytes))
        out.copy_(whole[: len(out)])

    monkeypatch.setattr(world, "all_gather", gather)
    monkeypatch.setattr(gather_module, "_reduce_scatter", scatter)
    own = N // processes
    z = torch.randn(own, 2 * P, generator=torch.Generator().manual_seed(0)).requires_grad_()  # both views side by side
    z_a, z_b = World(size=processes).gather(z).chunk(2, dim=1)
    nt_xent_tiled(z_a, z_b, temperature=0.5, anchors=(0, own), tile=TILE).backward()
    whole = 8 * N * P
    assert sent == [("gather", whole), ("scatter", whole)], "of which a ring sends (K - 1) / K from each process"
