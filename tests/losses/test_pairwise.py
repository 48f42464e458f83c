"""NT-Logistic, the triplet loss and DCL: their definitions by loops, closed forms, and laws."""

import inspect
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import softplus

from oracles import dcl_loop, nt_logistic_loop, triplet_loop
from twofold.errors import TwofoldError
from twofold.losses import dcl, nt_logistic, nt_xent, pairwise, triplet

Loss = Callable[..., Tensor]
PAIRS: dict[str, tuple[Loss, Loss]] = {
    f"{name} {options}": (partial(loss, **options), partial(loop, **options))
    for name, loss, loop, settings in (
        ("logistic", nt_logistic, nt_logistic_loop, [{"temperature": t} for t in (0.1, 0.5, 1.0)]),
        (
            "logistic semi-hard",
            nt_logistic,
            nt_logistic_loop,
            [{"temperature": 0.2, "semi_hard": True, "margin": m} for m in (0.4, 1.6)],
        ),
        ("triplet", triplet, triplet_loop, [{"margin": m} for m in (0.0, 0.4, 1.6)]),
        ("triplet semi-hard", triplet, triplet_loop, [{"margin": m, "semi_hard": True} for m in (0.4, 1.6)]),
        ("dcl", dcl, dcl_loop, [{"temperature": t} for t in (0.1, 0.5, 1.0)]),
    )
    for options in settings
}
LOSSES = pytest.mark.parametrize("name", PAIRS)


def pair(n: int, p: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Pairs that resemble each other, so that some negatives are farther than the positive and some are not."""
    generator = torch.Generator().manual_seed(seed)
    a, b = (torch.randn(n, p, generator=generator, dtype=dtype) for _ in range(2))
    return a.requires_grad_(), (a.detach() + b).requires_grad_()


def outcome(loss: Loss, z: tuple[Tensor, Tensor], **options: Any) -> tuple[Tensor, ...]:
    """Value and both gradients, for an outer gradient that is not one."""
    value = loss(*z, **options)
    return (value.detach(), *torch.autograd.grad(3 * value, z))


def require_definition(name: str, n: int, p: int, normalize: bool, seed: int = 0) -> None:
    loss, loop = PAIRS[name]
    z = pair(n, p, seed)
    found, expected = (outcome(one, z, normalize=normalize) for one in (loss, loop))
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


@LOSSES
@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize(("n", "p"), [(2, 1), (3, 5), (6, 4)])
def test_value_and_gradient_are_those_of_the_loop(name: str, n: int, p: int, normalize: bool) -> None:
    require_definition(name, n, p, normalize, seed=n)


def _interleaved(rows: Tensor, _n: int) -> Tensor:
    return rows ^ 1


def _all(similarities: Tensor, _rows: Tensor, _positive: Tensor) -> Tensor:
    return torch.ones_like(similarities, dtype=torch.bool)


@pytest.mark.parametrize(
    ("name", "part", "wrong"),
    [
        *((name, "positives", _interleaved) for name in PAIRS),
        # of semi-hard negatives the mask takes none: a positive is not farther than itself, an anchor is nearer
        *((name, "_negatives", _all) for name in PAIRS if "semi" not in name),
    ],
)
def test_the_comparison_sees_faults(monkeypatch: pytest.MonkeyPatch, name: str, part: str, wrong: Any) -> None:
    monkeypatch.setattr(pairwise, part, wrong)
    with pytest.raises(AssertionError, match="not close"):
        require_definition(name, 6, 4, True)


@pytest.mark.parametrize("name", [name for name in PAIRS if "semi" in name])
def test_the_comparison_sees_a_wrong_choice_of_negatives(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    module = inspect.getmodule(inspect.unwrap(PAIRS[name][0].func))  # type: ignore[attr-defined]
    for wrong in (
        lambda s, positive, negatives, margin: negatives & (s > positive[:, None]),  # nearer than the positive
        lambda s, positive, negatives, margin: negatives & (s < positive[:, None]),  # also beyond the margin
    ):
        monkeypatch.setattr(module, "semi_hard_of", wrong)
        with pytest.raises(AssertionError, match="not close"):
            require_definition(name, 6, 4, False)


@LOSSES
@pytest.mark.parametrize("normalize", [True, False])
def test_gradient_is_that_of_finite_differences(name: str, normalize: bool) -> None:
    assert torch.autograd.gradcheck(partial(PAIRS[name][0], normalize=normalize), pair(4, 3))


@LOSSES
def test_is_symmetric_in_the_views_and_blind_to_order_and_rotation(name: str) -> None:
    loss, (z_a, z_b) = PAIRS[name][0], pair(6, 4)
    value, order = loss(z_a, z_b), torch.tensor([3, 0, 5, 1, 4, 2])
    rotation, _ = torch.linalg.qr(torch.randn(4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))
    for same in ((z_b, z_a), (z_a[order], z_b[order]), (z_a @ rotation, z_b @ rotation), (7 * z_a, z_b / 7)):
        torch.testing.assert_close(loss(*same), value)
    assert not torch.isclose(loss(z_a[order], z_b), value)
    assert not torch.isclose(loss(7 * z_a, z_b, normalize=False), loss(z_a, z_b, normalize=False))


@LOSSES
@pytest.mark.parametrize("block", [1, 100, 2**21])
def test_the_parts_of_several_anchors_add_up_whatever_the_blocks(
    monkeypatch: pytest.MonkeyPatch, name: str, block: int
) -> None:
    loss, z = PAIRS[name][0], pair(13, 5)
    whole = outcome(loss, z)
    monkeypatch.setattr(pairwise, "_BLOCK", block)
    parts = [outcome(loss, z, anchors=anchors) for anchors in ((0, 6), (6, 7), (7, 13))]
    for i in range(3):
        torch.testing.assert_close(sum(part[i] for part in parts), whole[i], rtol=1e-12, atol=1e-12)
    assert not torch.isclose(parts[0][0], whole[0])


def test_blocks_hold_a_part_of_the_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    heights, right = [], pairwise._sum_over
    monkeypatch.setattr(pairwise, "_sum_over", lambda z, rows, term: heights.append(len(rows)) or right(z, rows, term))
    monkeypatch.setattr(pairwise, "_BLOCK", 26 * 4)
    dcl(*pair(13, 5), temperature=0.5).backward()
    assert heights == [4] * 6 + [2] + [2] + [4] * 6  # forward, then again in backward
    assert pairwise.pairwise_version(13, 13) == "blocks"
    assert pairwise.pairwise_version(13, 1) == "dense"


def _softplus(x: float) -> float:
    return math.log1p(math.exp(x))


@pytest.mark.parametrize("n", [2, 5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_closed_forms_where_all_views_coincide(n: int, dtype: torch.dtype) -> None:
    z = torch.ones(n, 5, dtype=dtype)
    close = partial(pytest.approx, abs=1e-5)
    assert nt_logistic(z, z, temperature=0.5).item() == close(_softplus(2) + _softplus(-2))
    assert triplet(z, z, margin=0.4).item() == close(0.4)
    assert dcl(z, z, temperature=0.5).item() == close(math.log(2 * n - 2))


def test_closed_forms_where_images_are_orthogonal() -> None:
    z = torch.eye(4, dtype=torch.float64)
    assert nt_logistic(z, z, temperature=0.5).item() == pytest.approx(_softplus(-2) + math.log(2))
    assert triplet(z, z, margin=1.6).item() == pytest.approx(0.6)
    assert triplet(z, z, margin=0.8).item() == 0
    assert dcl(z, z, temperature=0.5).item() == pytest.approx(math.log(6) - 2)
    assert nt_logistic(z, z, temperature=0.5, semi_hard=True, margin=1.5).item() == pytest.approx(
        _softplus(-2) + math.log(2)
    )
    assert triplet(z, z, margin=1.6, semi_hard=True).item() == pytest.approx(0.6)


@pytest.mark.parametrize("z", [torch.ones(4, 3), torch.eye(4)], ids=["all as near as the positive", "all too far"])
def test_without_a_semi_hard_negative_the_value_is_the_documented_one_and_the_gradient_finite(z: Tensor) -> None:
    z_a, z_b = z.double().requires_grad_(), z.double().requires_grad_()
    value = triplet(z_a, z_b, margin=0.8, semi_hard=True)
    assert value.item() == 0
    assert all(g.abs().max() == 0 for g in torch.autograd.grad(value, (z_a, z_b)))
    value = nt_logistic(z_a, z_b, temperature=0.5, semi_hard=True, margin=0.8)
    assert value.item() == pytest.approx(_softplus(-2))
    assert all(g.isfinite().all() for g in torch.autograd.grad(value, (z_a, z_b)))


def test_semi_hard_is_facenets_in_squared_distances() -> None:
    z = torch.nn.functional.normalize(torch.cat(pair(8, 4)), dim=1).detach()
    rows = torch.arange(16)
    own = pairwise.positives(rows, 8)
    distances = torch.cdist(z, z).square()
    mask = pairwise._negatives(z @ z.T, rows, own[:, None])
    found = pairwise.semi_hard_of(z @ z.T, (z * z[own]).sum(dim=1), mask, 0.3)
    positive = distances.gather(1, own[:, None])
    assert torch.equal(found, mask & (positive < distances) & (distances < positive + 0.6))
    assert 0 < found.sum() < mask.sum() / 2


def test_one_image_has_no_negatives() -> None:
    z = pair(1, 4)
    assert triplet(*z, margin=0.8).item() == 0
    similarity = torch.cosine_similarity(*z)[0]
    torch.testing.assert_close(nt_logistic(*z, temperature=0.5), softplus(-similarity / 0.5))
    with pytest.raises(TwofoldError, match="at least 2 rows"):
        dcl(*z, temperature=0.5)


def test_nt_xent_of_an_anchor_is_the_log_of_one_plus_exp_of_its_dcl() -> None:
    z = pair(6, 4)[0]  # with equal views both anchors of an image have one value
    for i in range(6):
        anchors = (i, i + 1)
        decoupled = 6 * dcl(z, z, temperature=0.3, anchors=anchors)
        torch.testing.assert_close(6 * nt_xent(z, z, temperature=0.3, anchors=anchors), softplus(decoupled))


@LOSSES
@pytest.mark.parametrize("autocast", [False, True])
def test_short_numbers_zeros_and_large_products_stay_finite(name: str, autocast: bool) -> None:
    loss = PAIRS[name][0]
    short = tuple((100 * z.detach()).bfloat16().requires_grad_() for z in pair(16, 8))
    zeros = tuple(torch.zeros(4, 8, requires_grad=True) for _ in range(2))
    large = tuple((1e4 * z.detach().float()).requires_grad_() for z in pair(4, 8))
    for z, normalize in ((short, True), (zeros, True), (large, False)):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            value = loss(*z, normalize=normalize)
        assert value.dtype == torch.float32
        assert value.isfinite()
        assert all(g.isfinite().all() for g in torch.autograd.grad(value, z))


@LOSSES
def test_a_step_against_the_gradient_lowers_the_loss(name: str) -> None:
    loss, z = PAIRS[name][0], pair(8, 4)
    value = loss(*z)
    steps = torch.autograd.grad(value, z)
    assert loss(*(one - 1e-3 * step for one, step in zip(z, steps, strict=True))) < value


@LOSSES
@pytest.mark.parametrize("shapes", [((3, 4), (2, 4)), ((4,), (4,)), ((0, 4), (0, 4))])
def test_refuses_shapes_that_do_not_pair(name: str, shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    checked = PAIRS[name][0]
    unchecked = inspect.unwrap(checked.func)  # type: ignore[attr-defined]
    with pytest.raises(TwofoldError, match=r"z_a is .* and z_b is .* but both must be \(n, p\)"):
        unchecked(torch.zeros(shapes[0]), torch.zeros(shapes[1]), **checked.keywords)  # type: ignore[attr-defined]


@pytest.mark.parametrize("loss", [dcl, nt_logistic])
@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan])
def test_refuses_a_temperature_that_is_not_positive(loss: Loss, temperature: float) -> None:
    with pytest.raises(TwofoldError, match=r"temperature is .* above 0"):
        loss(*pair(2, 2), temperature=temperature)


@pytest.mark.parametrize(("margin", "semi_hard"), [(-0.1, False), (math.nan, False), (0.0, True), (-0.1, True)])
def test_refuses_a_margin_that_leaves_nothing(margin: float, semi_hard: bool) -> None:
    with pytest.raises(TwofoldError, match=r"margin is .* --margin"):
        triplet(*pair(2, 2), margin=margin, semi_hard=semi_hard)


@LOSSES
def test_anchors_outside_the_batch_are_refused(name: str) -> None:
    with pytest.raises(TwofoldError, match="anchors are"):
        PAIRS[name][0](*pair(5, 3), anchors=(3, 6))
