"""Views of the paper's figure 5: a = R(x), b = T(R(x)), against torchvision for each of its seven transformations."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode, functional

from twofold.errors import TwofoldError
from twofold.recipes.augmentation import BRANCHES
from twofold.recipes.recipe import Op, ViewsRecipe
from twofold.views import (
    Draw,
    build_policy,
    build_single_policy,
    one_view,
    sample_rows,
    sample_views,
    take_rows,
    two_views,
)
from twofold.views.boxes import crop_boxes
from twofold.views.ops import filters

N, SIZE = 8, 24
SHARED = Op(name="crop", range=(0.08, 1.0))
OF_FIGURE_5 = {
    "crop": Op(name="crop", range=(0.08, 1.0)),
    "cutout": Op(name="cutout", range=(0.1, 0.4)),
    "colour": Op(name="jitter", range=(0.8, 0.8, 0.8, 0.2)),
    "sobel": Op(name="sobel"),
    "noise": Op(name="noise", range=(0.05, 0.1)),
    "blur": Op(name="blur", range=(0.5, 2.0)),
    "rotate": Op(name="rotate", range=(1.0, 3.0)),
}
EACH = pytest.mark.parametrize("name", OF_FIGURE_5)


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (N, 3, 40, 56), dtype=torch.uint8, generator=generator), torch.tensor([[40, 56]] * N)


def draw(*ops: Op, seed: int = 0) -> tuple[Draw, ...]:
    return sample_views(build_policy(ViewsRecipe(ops=ops, one_branch=True)), N, seed=seed, step=0)


def make(draws: tuple[Draw, ...]) -> tuple[Tensor, Tensor]:
    images, sizes = batch()
    a, b = two_views(images, sizes, draws, size_px=SIZE, interpolation="bilinear").chunk(2)
    return a, b


def resized(image: Tensor, box: list[int]) -> Tensor:
    return functional.resized_crop(image, *box, size=[SIZE, SIZE], interpolation=InterpolationMode.BILINEAR)


@pytest.mark.parametrize("ops", [(), (SHARED,)], ids=["central square", "crop"])
def test_without_a_further_op_both_views_are_one(ops: tuple[Op, ...]) -> None:
    a, b = make(draw(*ops))
    assert torch.equal(a, b)


@EACH
def test_an_op_changes_every_b_and_no_a(name: str) -> None:
    a, b = make(draw(SHARED, OF_FIGURE_5[name]))
    plain, _ = make(draw(SHARED))
    assert torch.equal(a, plain)
    assert all(not torch.equal(one, other) for one, other in zip(a, b, strict=True))


def test_an_op_that_acts_half_the_time_changes_half_of_b() -> None:
    draws = draw(SHARED, Op(name="sobel", prob=0.5))
    a, b = make(draws)
    changed = torch.tensor([not torch.equal(one, other) for one, other in zip(a, b, strict=True)])
    assert torch.equal(changed, draws[1].active[N:])
    assert 0 < changed.sum() < N


def _colour(view: Tensor, values: list[float]) -> Tensor:
    adjust = (
        functional.adjust_brightness,
        functional.adjust_contrast,
        functional.adjust_saturation,
        functional.adjust_hue,
    )
    for index in values[4:]:
        view = adjust[int(index)](view, values[int(index)])
    return view


def _erased(view: Tensor, values: list[float]) -> Tensor:
    side = round((values[0] * SIZE**2) ** 0.5)
    top, left = (int(position * (SIZE - side + 1)) for position in values[1:])
    return functional.erase(view, top, left, side, side, torch.zeros(3, 1, 1))


def _again(view: Tensor, values: list[float]) -> Tensor:
    box = crop_boxes(torch.tensor([values]), torch.tensor([[SIZE, SIZE]]))[0].tolist()
    return resized(view, box)


def _noisy(view: Tensor, values: list[float]) -> Tensor:
    field = filters.normal_field(torch.tensor([values[1]]), view.numel()).view_as(view)
    return (view + values[0] * field).clamp(0, 1)


def _edges(view: Tensor, _values: list[float]) -> Tensor:
    kernel = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]) / 4
    padded = torch.nn.functional.pad(view[:, None], (1, 1, 1, 1), mode="reflect")
    gx, gy = (torch.nn.functional.conv2d(padded, k[None, None])[:, 0] for k in (kernel, kernel.T))
    return ((gx**2 + gy**2) / 2).sqrt()


BY_TORCHVISION: dict[str, Callable[[Tensor, list[float]], Tensor]] = {
    "crop": _again,
    "cutout": _erased,
    "colour": _colour,
    "sobel": _edges,
    "noise": _noisy,
    "blur": lambda view, values: functional.gaussian_blur(view, [3, 3], values * 2),
    "rotate": lambda view, values: functional.rotate(view, 90 * values[0]),
}


@pytest.mark.parametrize(
    ("first", "second"),
    [(name, None) for name in OF_FIGURE_5]
    + [("crop", "colour"), ("colour", "crop"), ("rotate", "cutout"), ("noise", "crop")],
)
def test_b_is_torchvisions_ops_on_a_in_order(first: str, second: str | None) -> None:
    names = [name for name in (first, second) if name]
    draws = draw(SHARED, *(OF_FIGURE_5[name] for name in names))
    a, b = make(draws)
    images, sizes = batch()
    boxes = crop_boxes(draws[0].values[:N], sizes).tolist()
    for row in range(N):
        view = resized(images[row].float() / 255, boxes[row])
        torch.testing.assert_close(a[row], view, atol=2e-5, rtol=0)
        for name, one in zip(names, draws[1:], strict=True):
            view = BY_TORCHVISION[name](view, one.values[N + row].tolist())
        torch.testing.assert_close(b[row], view, atol=5e-5, rtol=0)


def test_ops_act_in_their_order() -> None:
    sobel, colour = OF_FIGURE_5["sobel"], OF_FIGURE_5["colour"]
    one, other = (make(draw(SHARED, *ops))[1] for ops in ((sobel, colour), (colour, sobel)))
    assert not torch.allclose(one, other, atol=1e-2)


def test_shards_have_the_views_of_the_whole_batch() -> None:
    draws = draw(SHARED, OF_FIGURE_5["crop"], OF_FIGURE_5["colour"])
    images, sizes = batch()
    whole = two_views(images, sizes, draws, size_px=SIZE, interpolation="bicubic")
    own = slice(3, 6)
    part = two_views(images[own], sizes[own], take_rows(draws, own), size_px=SIZE, interpolation="bicubic")
    torch.testing.assert_close(part, torch.cat([whole[own], whole[N:][own]]), atol=2e-5, rtol=0)


@pytest.mark.parametrize("branch", [branch for branch in BRANCHES if branch != "each"])
@pytest.mark.parametrize("rows", [N, N + 1], ids=["even", "odd"])
def test_single_views_are_not_drawn_by_ops_about_a_pair(branch: str, rows: int) -> None:
    with pytest.raises(TwofoldError, match=f"op 'rotate' has the branch '{branch}'.*build_single_policy"):
        sample_rows((SHARED, Op(name="rotate", range=(1.0, 3.0), branch=branch)), rows, seed=0, step=0)


@pytest.mark.parametrize("rows", [N, N - 1], ids=["even", "odd"])
@pytest.mark.parametrize("one_branch", [True, False])
@pytest.mark.parametrize("branch", ["each", "b"])
def test_a_single_view_of_such_a_recipe_gets_every_op(branch: str, one_branch: bool, rows: int) -> None:
    ops = (
        SHARED,
        *(Op(name=op.name, range=op.range, branch=branch) for op in OF_FIGURE_5.values() if op.name != "crop"),
    )
    policy = build_single_policy(ViewsRecipe(ops=ops, one_branch=one_branch))
    assert [(op.name, op.range) for op in policy] == [(op.name, op.range) for op in ops]
    draws = sample_rows(policy, rows, seed=0, step=0)
    assert all(draw.active.all() for draw in draws), "no half of the batch is left out"
    assert len(draws[0].values.unique(dim=0)) == rows, "no image has another's crop"
    images, sizes = batch()
    views = one_view(images[:rows], sizes[:rows], draws, size_px=SIZE, interpolation="bilinear")
    assert views.shape == (rows, 3, SIZE, SIZE)
