"""Augmentations of the user's own: at their place in the order, the same in chunks and processes, and checked."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from twofold.errors import TwofoldError
from twofold.recipes.augmentation import as_ops
from twofold.recipes.recipe import Op, ViewsRecipe
from twofold.views import (
    Augmentation,
    Draw,
    build_policy,
    build_single_policy,
    require_augmentations,
    sample_views,
    take_rows,
    two_views,
    uniform,
)
from twofold.views.packed import pack
from twofold.views.uniform import uniform_views

N = 6
CROP = Op(name="crop", range=(0.3, 1.0))
SIZES = pytest.mark.parametrize("size_px", [16, 96])  # from 96 px on a CPU makes one view at a time


class Mix:
    """Shifts an image and mixes in a colour: two tensors a view, one of whole numbers."""

    name = "mix"

    def draw(self, m: int, generator: Generator) -> tuple[Tensor, Tensor]:
        return torch.randint(-4, 5, (m, 2), generator=generator), torch.rand(m, 1, 1, 1, generator=generator)

    def apply(self, images: Tensor, values: tuple[Tensor, Tensor]) -> Tensor:
        shifted = [image.roll(shift.tolist(), (1, 2)) for image, shift in zip(images, values[0], strict=True)]
        return torch.stack(shifted).mul_(1 - values[1] / 2).add_(values[1] / 2)


class Stretch:
    """Beyond [0, 1], and in place: both are harmless."""

    def draw(self, m: int, generator: Generator) -> Tensor:
        return torch.rand(m, generator=generator)

    def apply(self, images: Tensor, values: Tensor) -> Tensor:
        return images.mul_(1 + 3 * values[:, None, None, None])


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (N, 3, 40, 56), dtype=torch.uint8, generator=generator)
    return images, torch.tensor([[40, 56], [30, 20]]).repeat(N // 2, 1)


def drawn(*ops: object, step: int = 0, **views: Any) -> tuple[Draw, ...]:
    return sample_views(build_policy(ViewsRecipe(ops=as_ops(ops), **views)), N, seed=1, step=step)


def make(draws: tuple[Draw, ...], size_px: int) -> Tensor:
    images, sizes = batch()
    return two_views(images, sizes, draws, size_px=size_px, interpolation="bicubic")


def make_alike(draws: tuple[Draw, ...], size_px: int) -> Tensor:
    """As on a device."""
    images, sizes = batch()
    packed = pack(draws, sizes.repeat(2, 1), size_px=size_px)
    return uniform_views(images, packed, size_px=size_px, interpolation="bicubic")


EITHER = pytest.mark.parametrize("made", [make, make_alike])
Make = Callable[[tuple[Draw, ...], int], Tensor]


@SIZES
@EITHER
def test_it_acts_at_its_place_where_it_is_due(made: Make, size_px: int) -> None:
    draws = drawn(CROP, Op(augmentation=Mix(), prob=0.5), "vertical-flip")
    active, (shift, mixed) = draws[1].active, draws[1].values
    views = made(draws, size_px)
    for row, plain in enumerate(made((draws[0],), size_px)):
        expected = plain
        if active[row]:
            expected = torch.roll(plain, tuple(shift[row].tolist()), (1, 2))
            expected = expected * (1 - mixed[row] / 2) + mixed[row] / 2
        torch.testing.assert_close(views[row], expected.flip(1), atol=2e-6, rtol=0)
    assert 0 < active.sum() < 2 * N
    assert make(draws, size_px).shape == (2 * N, 3, size_px, size_px)


@SIZES
@EITHER
def test_what_it_does_in_place_or_beyond_the_range_harms_nothing(made: Make, size_px: int) -> None:
    draws = drawn(CROP, Op(augmentation=Stretch(), prob=0.5))
    plain, views = made(draws[:1], size_px), made(draws, size_px)
    factor = torch.where(draws[1].active, 1 + 3 * draws[1].values, 1.0)[:, None, None, None]
    torch.testing.assert_close(views, (plain * factor).clamp(0, 1), atol=2e-6, rtol=0)


def test_no_compiler_sees_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may do what none can follow; without it views are compiled as before."""
    monkeypatch.setattr(uniform, "_compiled", lambda: pytest.fail("compiled"))
    images, sizes = batch()
    how: dict[str, Any] = {"size_px": 16, "interpolation": "bicubic", "compiled": True}
    uniform.uniform_views(images, pack(drawn(CROP, Mix()), sizes.repeat(2, 1), size_px=16), **how)
    with pytest.raises(pytest.fail.Exception, match="compiled"):
        uniform.uniform_views(images, pack(drawn(CROP, "blur"), sizes.repeat(2, 1), size_px=16), **how)


def test_a_device_and_a_cpu_make_the_same() -> None:
    draws = drawn("crop", "jitter@0.5", Mix(), "blur", Op(augmentation=Stretch(), prob=0.3), "grayscale@0.5")
    torch.testing.assert_close(make_alike(draws, 16), make(draws, 16), atol=1e-5, rtol=0)


def test_draws_are_those_of_the_global_batch() -> None:
    draws = drawn(CROP, Mix())
    whole, part = make(draws, 16), slice(2, 5)
    images, sizes = batch()
    own = two_views(images[part], sizes[part], take_rows(draws, part), size_px=16, interpolation="bicubic")
    torch.testing.assert_close(own, torch.cat([whole[part], whole[N:][part]]), atol=2e-6, rtol=0)
    again = drawn(CROP, Mix())
    assert all(torch.equal(a, b) for a, b in zip(draws[1].values, again[1].values, strict=True))
    other = drawn(CROP, Mix(), step=1)
    assert not torch.equal(draws[1].values[1], other[1].values[1])


def test_branches_hold_for_it_too() -> None:
    shared = drawn(CROP, Op(augmentation=Mix(), branch="shared"))[1]
    assert all(torch.equal(one[:N], one[N:]) for one in shared.values)
    draws = drawn(CROP, Mix(), one_branch=True)
    assert draws[1].active.tolist() == [False] * N + [True] * N
    view_a, _ = make(draws, 16).chunk(2)
    assert torch.equal(view_a, make(draws[:1], 16)[:N])
    single = build_single_policy(ViewsRecipe(ops=as_ops((CROP, Op(augmentation=Mix(), branch="b")))))
    assert [op.branch for op in single] == ["each", "each"]


def try_it(**methods: Any) -> None:
    one = type("Wrong", (Mix,), methods)()
    require_augmentations(as_ops((CROP, one)), channels=3, size_px=16)


def test_a_good_one_passes_the_trial() -> None:
    assert isinstance(Mix(), Augmentation)
    for one in (Mix(), Stretch()):
        require_augmentations(as_ops((CROP, one, "flip")), channels=1, size_px=16)


@pytest.mark.parametrize(
    ("methods", "words"),
    [
        ({"draw": lambda _, m, g: torch.rand(m)}, "draw gave other numbers for the same generator"),
        (
            {"draw": lambda _, m, g: torch.rand(m + 1, generator=g)},
            r"draw\(4, .* gave .* shape \(5,\).*4 rows",
        ),
        ({"draw": lambda _, m, g: [0.5] * m}, "gave an object of the type list"),
        ({"draw": lambda _, m, g: (torch.ones(m), None)}, "gave an object of the type NoneType"),
        ({"apply": lambda _, x, v: x[:, :, 1:]}, r"apply gave a tensor .* shape \(4, 3, 15, 16\).*\(4, 3, 16, 16\)"),
        ({"apply": lambda _, x, v: (255 * x).byte()}, "apply gave a tensor of torch.uint8"),
        ({"apply": lambda _, x, v: x - x.mean()}, "in another way when it came alone"),
        ({"apply": lambda _, x, v: x + v}, "failed on 4 images .TypeError.*take it out of ops"),
    ],
)
def test_what_cannot_be_used_is_one_clear_error(methods: dict[str, Any], words: str) -> None:
    with pytest.raises(TwofoldError, match=f"the augmentation 'mix' .*{words}") as caught:
        try_it(**methods)
    assert "\n" not in str(caught.value)


def test_a_step_refuses_what_the_trial_did_not_see() -> None:
    """Its result is checked at every step: here it changes after the trial."""
    draws = drawn(CROP, type("Wrong", (Mix,), {"apply": lambda _, x, v: x[:1]})())
    for made in (make, make_alike):
        with pytest.raises(TwofoldError, match="apply gave a tensor"):
            made(draws, 16)


def test_a_saved_recipe_does_not_hold_it() -> None:
    (_, op) = as_ops((CROP, Mix()))
    saved = Op(name=op.name, own=op.own)
    with pytest.raises(TwofoldError, match=r"test_own:Mix', but a saved recipe does not hold it\. Give ops again"):
        sample_views((CROP, saved), N, seed=0, step=0)
