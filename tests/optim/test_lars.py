"""LARS against the written-out formula of the reference."""

import subprocess
import sys
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from oracles import lars_step
from twofold.errors import TwofoldError
from twofold.optim import LARS, lars

RATES = (0.1, 0.5, 2.0, 2.0, 0.01)  # changes while the buffer is full
GROUPS = (
    {"weight_decay": 0.1, "adapt": True},
    {"weight_decay": 0.0, "adapt": True},
    {"weight_decay": 0.0, "adapt": False},
)
ETA = 0.02


def _tensors(seed: int = 0) -> list[list[np.ndarray]]:
    random = np.random.default_rng(seed)
    return [[random.normal(size=shape) for shape in ((3, 4), (5,), (2, 3, 2, 2))] + [np.zeros((4,))] for _ in GROUPS]


def _gradients(step: int) -> list[list[np.ndarray | None]]:
    """The second tensor of each group gets zeros in steps 1 and 2, the third none at all in step 2."""
    random = np.random.default_rng(100 + step)
    rows: list[list[np.ndarray | None]] = [[random.normal(size=w.shape) for w in group] for group in _tensors()]
    for row in rows:
        if step in (1, 2):
            row[1] = np.zeros((5,))
        if step == 2:
            row[2] = None
    return rows


def _by_hand(rates: Sequence[float]) -> list[np.ndarray]:
    weights = _tensors()
    buffers = [[np.zeros_like(w) for w in group] for group in weights]
    for step, lr in enumerate(rates):
        for group, ws, vs, gs in zip(GROUPS, weights, buffers, _gradients(step), strict=True):
            for index, g in enumerate(gs):
                if g is not None:
                    ws[index], vs[index] = lars_step(
                        ws[index], g, vs[index], lr=lr, momentum=0.9, trust_coefficient=ETA, **group
                    )
    return [w for group in weights for w in group]


def _build(foreach: bool | None, dtype: torch.dtype = torch.float64) -> tuple[LARS, list[list[nn.Parameter]]]:
    params = [[nn.Parameter(torch.tensor(w, dtype=dtype)) for w in group] for group in _tensors()]
    groups = [{"params": ws, **settings} for ws, settings in zip(params, GROUPS, strict=True)]
    return LARS(groups, lr=1.0, momentum=0.9, trust_coefficient=ETA, foreach=foreach), params


def _run(optimizer: LARS, params: list[list[nn.Parameter]], rates: Sequence[float], first: int = 0) -> list[Tensor]:
    for step, lr in enumerate(rates, start=first):
        for ws, gs in zip(params, _gradients(step), strict=True):
            for w, g in zip(ws, gs, strict=True):
                w.grad = None if g is None else torch.tensor(g, dtype=w.dtype)
        for group in optimizer.param_groups:
            group["lr"] = lr
        optimizer.step()
    return [w.detach().clone() for ws in params for w in ws]


def _require_formula(foreach: bool | None) -> None:
    for w, expected in zip(_run(*_build(foreach), RATES), _by_hand(RATES), strict=True):
        np.testing.assert_allclose(w.numpy(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("foreach", [True, False, None])
def test_every_step_is_the_reference_s(foreach: bool | None) -> None:
    _require_formula(foreach)


def _rate_outside(w: list[Tensor], g: list[Tensor], v: list[Tensor], group: dict[str, object]) -> None:
    """The usual port: the buffer holds gradients, and the rate multiplies the buffer."""
    for one_w, one_g, one_v in zip(w, g, v, strict=True):
        decayed = one_g + group["weight_decay"] * one_w
        trust = lars._trust(one_w.norm(), decayed.norm(), ETA) if group["adapt"] else 1.0
        one_v.mul_(group["momentum"]).add_(trust * decayed)
        one_w.sub_(group["lr"] * one_v)


def _never_one(w_norm: Tensor, g_norm: Tensor, trust_coefficient: float) -> Tensor:
    return trust_coefficient * w_norm / (g_norm + 1e-9)


@pytest.mark.parametrize(("name", "wrong"), [("_step_one_by_one", _rate_outside), ("_trust", _never_one)])
def test_the_comparison_sees_the_usual_faults(
    monkeypatch: pytest.MonkeyPatch, name: str, wrong: Callable[..., object]
) -> None:
    monkeypatch.setattr(lars, name, wrong)
    with pytest.raises(AssertionError, match="Not equal"):
        _require_formula(foreach=False)


def test_the_rate_inside_or_outside_is_the_same_while_it_is_constant(monkeypatch: pytest.MonkeyPatch) -> None:
    inside = _run(*_build(False), (0.1,) * 4)
    monkeypatch.setattr(lars, "_step_one_by_one", _rate_outside)
    torch.testing.assert_close(_run(*_build(False), (0.1,) * 4), inside)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_all_at_once_equals_one_by_one(dtype: torch.dtype) -> None:
    together, apart = _run(*_build(True, dtype), RATES), _run(*_build(False, dtype), RATES)
    assert all(torch.equal(a, b) for a, b in zip(together, apart, strict=True))


@pytest.mark.parametrize("foreach", [True, False])
def test_types_may_be_mixed_in_a_group(foreach: bool) -> None:
    params = [nn.Parameter(torch.ones(3, dtype=dtype)) for dtype in (torch.float32, torch.float64, torch.float32)]
    optimizer = LARS(params, lr=1.0, trust_coefficient=0.1, foreach=foreach)
    for w in params:
        w.grad = torch.full_like(w, 2.0)
    optimizer.step()
    assert [w.dtype for w in params] == [torch.float32, torch.float64, torch.float32]
    for w in params:
        torch.testing.assert_close(w.detach(), torch.full_like(w, 0.9))


def test_adaptation_makes_the_step_independent_of_the_gradient_s_length() -> None:
    moved = []
    for scale in (1e-3, 1.0, 1e3):
        w = nn.Parameter(torch.tensor([3.0, 4.0]))
        w.grad = scale * torch.tensor([0.6, -0.8])
        LARS([w], lr=1.0, weight_decay=0.0, trust_coefficient=0.1).step()
        moved.append(w.detach())
    for w in moved:
        torch.testing.assert_close(w, torch.tensor([3.0 - 0.3, 4.0 + 0.4]))  # 0.1 * |w| = 0.5 along the gradient


def test_a_zero_gradient_with_decay_still_moves_the_weight_by_eta() -> None:
    w = nn.Parameter(torch.tensor([3.0, 4.0]))
    w.grad = torch.zeros(2)
    LARS([w], lr=0.5, weight_decay=1e-4, trust_coefficient=0.001).step()
    torch.testing.assert_close(w.detach(), torch.tensor([3.0, 4.0]) * (1 - 0.5 * 0.001))


def test_gradients_are_not_written_to() -> None:
    for foreach in (True, False):
        optimizer, params = _build(foreach)
        _run(optimizer, params, RATES[:1])
        for ws, gs in zip(params, _gradients(0), strict=True):
            for w, g in zip(ws, gs, strict=True):
                assert w.grad is not None
                np.testing.assert_array_equal(w.grad.numpy(), g)


def test_state_survives_saving_in_the_middle() -> None:
    whole = _run(*_build(None), RATES)
    first, params = _build(None)
    _run(first, params, RATES[:3])
    second, copies = _build(None)
    for ws, copied in zip(params, copies, strict=True):
        for w, copy in zip(ws, copied, strict=True):
            copy.data.copy_(w.data)
    second.load_state_dict(first.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(_run(second, copies, RATES[3:], first=3), whole, strict=True))


def test_parameters_without_a_gradient_have_no_state() -> None:
    w = nn.Parameter(torch.ones(2))
    optimizer = LARS([w], lr=1.0)
    optimizer.step()
    assert torch.equal(w.detach(), torch.ones(2))
    assert not optimizer.state


def test_a_closure_is_called_with_gradients_on_and_its_loss_returned() -> None:
    w = nn.Parameter(torch.tensor([2.0]))
    optimizer = LARS([w], lr=0.1, adapt=False)

    def closure() -> float:
        optimizer.zero_grad()
        loss = w.square().sum()
        loss.backward()
        return loss.item()

    assert optimizer.step(closure) == 4.0
    torch.testing.assert_close(w.detach(), torch.tensor([1.6]))


@pytest.mark.parametrize(
    "settings",
    [
        {"lr": -1.0},
        {"lr": 1.0, "momentum": 1.0},
        {"lr": 1.0, "weight_decay": -1.0},
        {"lr": 1.0, "trust_coefficient": 0.0},
    ],
)
def test_refuses_settings_out_of_range(settings: dict[str, float]) -> None:
    with pytest.raises(TwofoldError, match="LARS got lr"):
        LARS([nn.Parameter(torch.ones(1))], **settings)


WITHOUT_COMPILER = """
import sys
import torch
from twofold.optim import LARS
model = torch.nn.Linear(4, 2)
for build in (LARS, torch.optim.SGD):
    optimizer = build(model.parameters(), lr=0.1)
    model(torch.ones(1, 4)).sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    optimizer.load_state_dict(optimizer.state_dict())
    print("torch._dynamo" in sys.modules)
"""


def test_it_does_not_wait_for_the_compiler_as_those_of_torch_do() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_COMPILER], capture_output=True, text=True, check=True)
    assert done.stdout == "False\nTrue\n"
