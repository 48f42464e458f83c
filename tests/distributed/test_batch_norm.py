"""Batch norm over several processes is that of the undivided batch, whatever class a network takes for it."""

import copy
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

from twofold.distributed import World, global_norm
from twofold.errors import TwofoldError

C = 4


@dataclass
class Table:
    """Where threads that stand for processes lay their numbers."""

    size: int
    rows: dict[int, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.barrier = threading.Barrier(self.size, timeout=60)


@dataclass(frozen=True)
class Threads(World):
    table: Table = field(default_factory=lambda: Table(1))

    def stack(self, values: Tensor) -> Tensor:
        self.table.rows[self.rank] = values.detach().clone()
        self.table.barrier.wait()
        rows = torch.stack([self.table.rows[rank] for rank in range(self.size)])
        self.table.barrier.wait()
        return rows

    def sum(self, values: Tensor) -> Tensor:
        return self.stack(values.reshape(-1)).sum(dim=0).view_as(values)


class SameForward(nn.BatchNorm2d):
    """A subclass that only says how it starts."""

    def reset_parameters(self) -> None:
        super().reset_parameters()
        if self.affine:
            nn.init.constant_(self.weight, 0.5)


class CallsTorch(nn.BatchNorm2d):
    def forward(self, x: Tensor) -> Tensor:
        return functional.silu(super().forward(x)) + x


class Activated(nn.BatchNorm2d):
    """As timm writes its BatchNormAct2d: torch's forward copied, then dropout and the activation."""

    def __init__(self, channels: int, **options: Any) -> None:
        super().__init__(channels, **options)
        self.drop, self.act = nn.Identity(), nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        share = 0.0 if self.momentum is None else self.momentum
        if self.training and self.track_running_stats and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            share = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        kept = not self.training or self.track_running_stats
        x = functional.batch_norm(
            x,
            self.running_mean if kept else None,
            self.running_var if kept else None,
            self.weight,
            self.bias,
            self.training or self.running_mean is None,
            share,
            self.eps,
        )
        return self.act(self.drop(x))


class ByHand(nn.BatchNorm2d):
    def forward(self, x: Tensor) -> Tensor:
        return (x - x.mean(dim=(0, 2, 3), keepdim=True)) / x.std(dim=(0, 2, 3), keepdim=True)


class Doubled(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return 2 * weight


def parametrized() -> nn.Module:
    norm = nn.BatchNorm2d(C)
    parametrize.register_parametrization(norm, "weight", Doubled())
    return norm


FLAT, LINES, IMAGES, VOLUMES = (6, C), (6, C, 3), (6, C, 3, 3), (6, C, 2, 2, 2)
NORMS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "1d": (lambda: nn.BatchNorm1d(C), FLAT),
    "1d lines": (lambda: nn.BatchNorm1d(C), LINES),
    "2d": (lambda: nn.BatchNorm2d(C), IMAGES),
    "3d": (lambda: nn.BatchNorm3d(C), VOLUMES),
    "mean of all": (lambda: nn.BatchNorm2d(C, momentum=None), IMAGES),
    "eps": (lambda: nn.BatchNorm2d(C, eps=0.1, momentum=0.5), IMAGES),
    "no weights": (lambda: nn.BatchNorm2d(C, affine=False), IMAGES),
    "no running statistics": (lambda: nn.BatchNorm2d(C, track_running_stats=False), IMAGES),
    "same forward": (lambda: SameForward(C), IMAGES),
    "calls torch": (lambda: CallsTorch(C), IMAGES),
    "activated": (lambda: Activated(C), IMAGES),
    "activated, mean of all": (lambda: Activated(C, momentum=None), IMAGES),
    "activated, no running statistics": (lambda: Activated(C, track_running_stats=False), IMAGES),
    "parametrized": (parametrized, IMAGES),
}


@dataclass
class Seen:
    out: Tensor
    inward: Tensor
    gradients: dict[str, Tensor]
    buffers: dict[str, Tensor]
    evaluated: Tensor


def use(model: nn.Module, x: Tensor, outer: Tensor, other: Tensor) -> Seen:
    """Two steps forward and back, then an evaluation."""
    for _ in range(2):
        model.zero_grad()
        leaf = x.clone().requires_grad_()
        out = model(leaf)
        out.backward(outer)
    gradients = {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}
    assert leaf.grad is not None
    evaluated = model.eval()(other)
    return Seen(out.detach(), leaf.grad, gradients, dict(model.named_buffers()), evaluated.detach())


def build(make: Callable[[], nn.Module]) -> nn.Module:
    norm = make()
    with torch.no_grad():
        for i, weight in enumerate(norm.parameters()):
            weight.copy_(torch.linspace(0.3 + i, 1.7, C))
    return nn.Sequential(norm).double()


def apart(model: nn.Module, x: Tensor, outer: Tensor, other: Tensor, size: int) -> list[Seen]:
    table = Table(size)

    def work(rank: int) -> Seen:
        own = global_norm(copy.deepcopy(model), Threads(rank, size, table=table))
        return use(own, x.chunk(size)[rank], outer.chunk(size)[rank], other)

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(work, range(size)))


@pytest.mark.parametrize("last", [False, True], ids=["channels first", "channels last"])
@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("name", NORMS)
def test_processes_see_the_undivided_batch(name: str, size: int, last: bool) -> None:
    make, shape = NORMS[name]
    if last and len(shape) != 4:
        return
    x, outer, other = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    if last:
        x = x.contiguous(memory_format=torch.channels_last)
    model = build(make)
    one, many = use(copy.deepcopy(model), x, outer, other), apart(model, x, outer, other, size)

    def check(got: Tensor, wanted: Tensor) -> None:
        torch.testing.assert_close(got, wanted, rtol=1e-9, atol=1e-12)

    check(torch.cat([seen.out for seen in many]), one.out)
    check(torch.cat([seen.inward for seen in many]), one.inward)
    for key, gradient in one.gradients.items():
        check(torch.stack([seen.gradients[key] for seen in many]).sum(dim=0), gradient)
    for seen in many:
        assert seen.buffers.keys() == one.buffers.keys()
        for key, buffer in one.buffers.items():
            check(seen.buffers[key], buffer)
        check(seen.evaluated, one.evaluated)


def test_a_sync_batch_norm_is_one_over_all_processes_on_the_cpu_too() -> None:
    x, outer, other = torch.randn(3, *IMAGES, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    plain = build(lambda: nn.BatchNorm2d(C))
    many = apart(nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(plain)), x, outer, other, 2)
    torch.testing.assert_close(torch.cat([seen.out for seen in many]), use(plain, x, outer, other).out)


def test_names_weights_hooks_modes_and_a_norm_at_the_top_stay() -> None:
    calls: list[str] = []
    norm = Activated(C).eval()
    norm.register_forward_hook(lambda *_: calls.append("hook"))
    weight, names = norm.weight, list(norm.state_dict())
    global_norm(norm, World(size=2))
    assert isinstance(norm, Activated)
    assert (norm.weight is weight, norm.training, list(norm.state_dict())) == (True, False, names)
    norm(torch.zeros(IMAGES))
    assert calls == ["hook"]


def test_every_eps_that_torch_is_given_is_positive(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []

    def watched(*args: Any) -> Tensor:
        given.append(args[7])
        return torch_batch_norm(*args)

    torch_batch_norm = functional.batch_norm
    monkeypatch.setattr(functional, "batch_norm", watched)
    x = torch.randn(*IMAGES, dtype=torch.float64)
    apart(build(lambda: nn.BatchNorm2d(C)), x, x, x, 2)
    assert len(given) > 4
    assert min(given) > 0  # torch 2.10 and 2.11 refuse 0


@pytest.mark.parametrize(
    "norm",
    [nn.InstanceNorm2d(C), nn.GroupNorm(2, C), nn.LayerNorm(C), nn.LocalResponseNorm(2), nn.RMSNorm(C)],
    ids=lambda norm: type(norm).__name__,
)
def test_other_norms_are_left_alone(norm: nn.Module) -> None:
    kind = type(norm)
    assert type(global_norm(nn.Sequential(norm), World(size=2))[0]) is kind


def test_one_process_changes_nothing() -> None:
    assert type(global_norm(nn.BatchNorm2d(C), World())) is nn.BatchNorm2d


def test_statistics_by_hand_are_refused_by_name() -> None:
    model = nn.Sequential(nn.Identity(), ByHand(C))
    global_norm(model, World(size=2))
    with pytest.raises(TwofoldError, match=r"the batch norm '1' \(ByHand\) does not call torch's batch_norm"):
        model(torch.zeros(IMAGES))
    assert model.eval()(torch.zeros(IMAGES)).shape == IMAGES


def test_a_lazy_norm_is_refused_until_it_knows_its_channels() -> None:
    model = nn.Sequential(nn.LazyBatchNorm2d())
    with pytest.raises(TwofoldError, match=r"'0' \(LazyBatchNorm2d\) has not seen an input"):
        global_norm(model, World(size=2))
    model(torch.zeros(IMAGES))
    assert isinstance(global_norm(model, World(size=2))[0], nn.BatchNorm2d)


def test_a_network_of_timm_is_the_same_with_two_processes() -> None:
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    model = timm.create_model("efficientnet_b0", num_classes=0).double()
    x, other = torch.randn(2, 4, 3, 32, 32, dtype=torch.float64)
    outer = torch.randn(4, model.num_features, dtype=torch.float64)
    one, many = use(copy.deepcopy(model), x, outer, other), apart(model, x, outer, other, 2)
    torch.testing.assert_close(torch.cat([seen.out for seen in many]), one.out)
    torch.testing.assert_close(many[0].evaluated, one.evaluated)
    for key, gradient in one.gradients.items():
        torch.testing.assert_close(many[0].gradients[key] + many[1].gradients[key], gradient)
