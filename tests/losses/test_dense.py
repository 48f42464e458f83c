"""NT-Xent: the definition of the paper, and laws that follow from it."""

import inspect
import math
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from oracles import contrast_entropy_loop, nt_xent_loop
from pretend_cuda import CUDA, pretended_cuda
from twofold.errors import TwofoldError
from twofold.losses import accuracy, contrast_accuracy, contrast_measures, dense, nt_xent

CASES = [
    (n, p, t, normalize)
    for n, p in ((1, 3), (2, 1), (3, 5), (6, 4))
    for t in (0.1, 0.5, 1.0)
    for normalize in (True, False)
]


def _pair(n: int, p: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(n, p, generator=generator, dtype=dtype).requires_grad_() for _ in range(2))


def _require_definition(n: int, p: int, temperature: float, normalize: bool) -> None:
    z = _pair(n, p)
    value = nt_xent(*z, temperature=temperature, normalize=normalize)
    expected = nt_xent_loop(*z, temperature=temperature, normalize=normalize)
    torch.testing.assert_close(value, expected, rtol=1e-6, atol=1e-6)
    gradients = torch.autograd.grad(value, z)
    torch.testing.assert_close(gradients, torch.autograd.grad(expected, z), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("n", "p", "temperature", "normalize"), CASES)
def test_value_and_gradient_are_those_of_algorithm_1(n: int, p: int, temperature: float, normalize: bool) -> None:
    _require_definition(n, p, temperature, normalize)


def _one_direction(logits: Tensor, threshold: float) -> Tensor:
    return 2 * functional.softplus(logits)[: len(logits) // 2]


def _self_shown(logits: Tensor, _rows: Tensor, positives: Tensor) -> Tensor:
    return logits.scatter(1, positives[:, None], -torch.inf)


def _interleaved(rows: Tensor, n: int) -> Tensor:
    return rows ^ 1


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("positives", _interleaved),
        ("_hide", _self_shown),
        ("functional", SimpleNamespace(softplus=_one_direction)),
    ],
    ids=["wrong positive", "self not masked", "one direction"],
)
def test_the_comparison_sees_the_usual_faults(
    monkeypatch: pytest.MonkeyPatch, name: str, wrong: Callable[..., Tensor]
) -> None:
    monkeypatch.setattr(f"{dense.__name__}.{name}", wrong)
    with pytest.raises(AssertionError, match="not close"):
        _require_definition(6, 4, 0.5, True)


@pytest.mark.parametrize("n", [1, 2, 7, 64])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_is_the_log_of_the_candidates_when_all_coincide(n: int, dtype: torch.dtype) -> None:
    z = torch.ones(n, 5, dtype=dtype)
    assert nt_xent(z, z, temperature=0.1).item() == pytest.approx(math.log(2 * n - 1), abs=1e-5)


def test_one_image_has_no_negatives_loss_zero_and_gradient_zero() -> None:
    z_a, z_b = _pair(1, 4)
    value = nt_xent(z_a, z_b, temperature=0.5)
    value.backward()
    assert value.item() == 0
    assert z_a.grad is not None
    assert z_a.grad.abs().max().item() == 0


def test_is_symmetric_in_the_views() -> None:
    z_a, z_b = _pair(6, 4)
    torch.testing.assert_close(nt_xent(z_a, z_b, temperature=0.2), nt_xent(z_b, z_a, temperature=0.2))


def test_the_order_of_the_images_does_not_matter_but_the_pairing_does() -> None:
    z_a, z_b = _pair(6, 4)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    value = nt_xent(z_a, z_b, temperature=0.2)
    torch.testing.assert_close(nt_xent(z_a[order], z_b[order], temperature=0.2), value)
    assert not torch.isclose(nt_xent(z_a[order], z_b, temperature=0.2), value)


def test_the_length_of_a_row_does_not_matter_unless_plain_products_are_asked_for() -> None:
    z_a, z_b = _pair(6, 4)
    lengths = torch.logspace(-3, 3, 6, dtype=torch.float64)[:, None]
    value = nt_xent(z_a, z_b, temperature=0.2)
    torch.testing.assert_close(nt_xent(z_a * lengths, z_b / lengths, temperature=0.2), value)
    plain = nt_xent(z_a, z_b, temperature=0.2, normalize=False)
    assert not torch.isclose(nt_xent(2 * z_a, z_b, temperature=0.2, normalize=False), plain)


def test_rotating_all_rows_does_not_matter() -> None:
    z_a, z_b = _pair(6, 4)
    rotation, _ = torch.linalg.qr(torch.randn(4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))
    torch.testing.assert_close(
        nt_xent(z_a @ rotation, z_b @ rotation, temperature=0.2), nt_xent(z_a, z_b, temperature=0.2)
    )


@pytest.mark.parametrize("autocast", [False, True])
def test_short_numbers_and_low_temperature_stay_finite(autocast: bool) -> None:
    z_a, z_b = (100 * z.detach().bfloat16() for z in _pair(32, 16))
    z_a.requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        value = nt_xent(z_a, z_b, temperature=0.05)
    value.backward()
    assert value.dtype == torch.float32
    exact = nt_xent_loop(z_a.detach(), z_b, temperature=0.05)
    assert value.item() == pytest.approx(exact.item(), rel=1e-5)  # the products are not rounded to bfloat16
    assert z_a.grad is not None
    assert z_a.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_keeps_long_types(dtype: torch.dtype) -> None:
    assert nt_xent(*_pair(3, 4, dtype=dtype), temperature=0.5).dtype == dtype


def test_overwhelming_logits_do_not_overflow() -> None:
    z_a, z_b = _pair(4, 8, dtype=torch.float32)
    value = nt_xent(1e4 * z_a, 1e4 * z_b, temperature=0.05, normalize=False)
    assert value.isfinite()


def test_rows_of_zeros_have_a_finite_gradient() -> None:
    z_a, z_b = (torch.zeros(4, 8, requires_grad=True) for _ in range(2))
    value = nt_xent(z_a, z_b, temperature=0.1)
    value.backward()
    assert value.item() == pytest.approx(math.log(7), abs=1e-6)
    assert z_a.grad is not None
    assert z_a.grad.isfinite().all()


def test_a_step_against_the_gradient_lowers_the_loss() -> None:
    z_a, z_b = _pair(8, 4)
    value = nt_xent(z_a, z_b, temperature=0.5)
    step_a, step_b = torch.autograd.grad(value, (z_a, z_b))
    assert nt_xent(z_a - 0.1 * step_a, z_b - 0.1 * step_b, temperature=0.5) < value


def test_inputs_are_left_alone() -> None:
    z_a, z_b = _pair(4, 4, dtype=torch.float32)
    before = z_a.detach().clone()
    nt_xent(z_a, z_b, temperature=0.5, normalize=False).backward()
    assert torch.equal(z_a.detach(), before)


@pytest.mark.parametrize("shapes", [((3, 4), (2, 4)), ((3, 4), (3, 5)), ((4,), (4,)), ((0, 4), (0, 4))])
@pytest.mark.parametrize("function", [nt_xent, contrast_accuracy, contrast_measures])
def test_refuses_shapes_that_do_not_pair(
    function: Callable[..., Tensor], shapes: tuple[tuple[int, ...], tuple[int, ...]]
) -> None:
    unchecked = inspect.unwrap(function)  # without the type checker of the tests, as users run it
    settings = {} if function is contrast_accuracy else {"temperature": 0.5}
    with pytest.raises(TwofoldError, match=r"z_a is .* and z_b is .* but both must be \(n, p\)"):
        unchecked(torch.zeros(shapes[0]), torch.zeros(shapes[1]), **settings)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan])
def test_refuses_a_temperature_that_is_not_positive(temperature: float) -> None:
    with pytest.raises(TwofoldError, match=r"temperature is .* above 0"):
        nt_xent(*_pair(2, 2), temperature=temperature)


def test_contrast_accuracy_counts_the_positives_found() -> None:
    basis = torch.eye(4)
    assert contrast_accuracy(basis, 7 * basis).item() == 1
    assert contrast_accuracy(basis, basis.roll(1, dims=0)).item() == 0
    assert contrast_accuracy(basis, basis[[0, 1, 3, 2]]).item() == 0.5
    assert contrast_accuracy(torch.ones(4, 3), torch.ones(4, 3)).item() == pytest.approx(0.25)


def _at(*degrees: float) -> Tensor:
    angles = torch.tensor(degrees).deg2rad()
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def test_contrast_accuracy_looks_from_a_to_b_only() -> None:
    z_a, z_b = (
        _at(0, 45),
        _at(20, 75),
    )  # a: 0 -> 20 (its own), 45 -> 20 (not); b: 20 -> 0, 75 -> 45 (both)
    assert contrast_accuracy(z_a, z_b).item() == 0.5
    assert contrast_accuracy(z_b, z_a).item() == 1.0


def test_contrast_accuracy_looks_at_length_only_when_asked() -> None:
    z_a, z_b = torch.eye(2), torch.tensor([[1.0, 0.0], [9.0, 1.0]])
    assert contrast_accuracy(z_a, z_b).item() == 1.0
    assert contrast_accuracy(z_a, z_b, normalize=False).item() == 0.5


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("temperature", [0.05, 0.5, 10.0])
@pytest.mark.parametrize("rows", [1, 3, 1024])
def test_contrast_measures_are_accuracy_and_the_entropy_of_the_loop(
    monkeypatch: pytest.MonkeyPatch, rows: int, temperature: float, normalize: bool
) -> None:
    monkeypatch.setattr(accuracy, "_ROWS", rows)
    z = tuple(part.detach() for part in _pair(7, 4))
    options = {"temperature": temperature, "normalize": normalize}
    found = contrast_measures(*z, **options)
    assert found[0] == contrast_accuracy(*z, normalize=normalize)
    assert found[1].item() == pytest.approx(contrast_entropy_loop(*z, **options), rel=1e-9, abs=1e-9)
    parts = [contrast_measures(*z, anchors=anchors, **options) for anchors in ((0, 2), (2, 7))]
    torch.testing.assert_close(parts[0] + parts[1], found)


def test_more_rows_are_compared_at_once_off_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks: list[int] = []
    computed = accuracy._sums

    def watched(similarities: Tensor, rows: Tensor, temperature: float) -> Tensor:
        blocks.append(len(rows))
        return computed(similarities, rows, temperature)

    assert accuracy._NUMBERS_OFF_CPU == 2**26
    monkeypatch.setattr(accuracy, "_NUMBERS_OFF_CPU", 2**22)
    monkeypatch.setattr(accuracy, "_sums", watched)
    z = tuple(torch.randn(6000, 2, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    with pretended_cuda():
        for n, expected in ((1500, [1500]), (2500, [1677, 823]), (6000, 5 * [1024] + [880])):  # never fewer than 1024
            there = contrast_measures(*(one[:n].to(CUDA) for one in z), temperature=0.5).cpu()
            assert blocks == expected
            blocks.clear()
            here = contrast_measures(*(one[:n] for one in z), temperature=0.5)
            assert blocks == [len(part) for part in torch.arange(n).split(1024)]
            blocks.clear()
            torch.testing.assert_close(there, here)


def test_contrast_entropy_lies_between_decided_and_undecided() -> None:
    same = torch.ones(8, 3)
    assert contrast_measures(same, same, temperature=0.1)[1].item() == pytest.approx(math.log(8), abs=1e-6)
    found = contrast_measures(torch.eye(8), torch.eye(8), temperature=1e-3)
    assert found.tolist() == [1.0, 0.0]
    z_a, z_b = _pair(4, 8, dtype=torch.float32)
    large = contrast_measures(1e6 * z_a, 1e6 * z_b, temperature=0.05, normalize=False)
    assert large.isfinite().all()
    assert not large.requires_grad
