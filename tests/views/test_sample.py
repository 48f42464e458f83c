"""Draws are a pure function of (policy, seed, step), follow the policy's probabilities, and shard without change."""

import math

import pytest
import torch

from twofold.errors import TwofoldError
from twofold.recipes.augmentation import BRANCHES
from twofold.recipes.recipe import OPS, Op, ViewsRecipe
from twofold.views import build_policy, sample_views, take_rows

RANGES = {
    "crop": (0.08, 1.0),
    "jitter": (0.8, 0.4, 1.6, 0.2),
    "blur": (0.1, 2.0),
    "cutout": (0.1, 0.4),
    "noise": (0.0, 0.2),
    "rotate": (0.0, 3.0),
    "rotate-degrees": (-30.0, 90.0),
    "solarise": (0.3, 0.9),
    "channel-jitter": (0.4, 0.1, 0.4),
}
EVERYTHING = tuple(Op(name=name, prob=0.5, range=RANGES.get(name, ())) for name in OPS)


def same(first, second) -> bool:
    pairs = list(zip(first, second, strict=True))
    return all(torch.equal(a.active, b.active) and torch.equal(a.values, b.values) for a, b in pairs)


def test_same_seed_and_step_same_draws_others_differ():
    draws = sample_views(EVERYTHING, 16, seed=1, step=2)
    assert same(draws, sample_views(EVERYTHING, 16, seed=1, step=2))
    for seed, step in ((1, 3), (2, 2), (2, 1), (12, 0)):
        assert not same(draws, sample_views(EVERYTHING, 16, seed=seed, step=step))


def test_drawing_neither_reads_nor_moves_the_global_generator():
    before = torch.get_rng_state()
    draws = sample_views(EVERYTHING, 4, seed=0, step=0)
    assert torch.equal(before, torch.get_rng_state())
    with torch.random.fork_rng():
        torch.manual_seed(5)
        assert same(draws, sample_views(EVERYTHING, 4, seed=0, step=0))


def test_an_op_draws_the_same_whatever_follows_it():
    assert same(sample_views(EVERYTHING[:3], 8, seed=0, step=0), sample_views(EVERYTHING, 8, seed=0, step=0)[:3])


def test_the_two_views_of_an_image_are_drawn_independently():
    for draw in sample_views(EVERYTHING, 2000, seed=0, step=0):
        a, b = draw.values[:2000], draw.values[2000:]
        assert not draw.values.numel() or not torch.equal(a, b)
        for column in range(min(4, a.shape[1])):
            assert torch.corrcoef(torch.stack([a[:, column], b[:, column]]))[0, 1].abs() < 0.12
        both = (draw.active[:2000] & draw.active[2000:]).float().mean()
        assert abs(both - 0.25) < 5 * math.sqrt(0.25 * 0.75 / 2000)


@pytest.mark.parametrize("shards", [1, 2, 3, 8])
def test_shards_concatenate_to_the_whole(shards):
    draws = sample_views(EVERYTHING, 24, seed=0, step=7)
    parts = [take_rows(draws, slice(k * 24 // shards, (k + 1) * 24 // shards)) for k in range(shards)]
    for position, draw in enumerate(draws):
        for whole, name in ((draw.active, "active"), (draw.values, "values")):
            halves = [getattr(part[position], name).chunk(2) for part in parts]
            assert torch.equal(torch.cat([a for a, _ in halves] + [b for _, b in halves]), whole)


def test_rows_may_be_taken_in_any_order():
    draws = sample_views(EVERYTHING, 6, seed=0, step=0)
    taken = take_rows(draws, torch.tensor([4, 1]))
    for draw, part in zip(draws, taken, strict=True):
        assert torch.equal(part.values, draw.values[[4, 1, 10, 7]])
        assert torch.equal(part.active, draw.active[[4, 1, 10, 7]])
    assert same(take_rows(draws, slice(None)), draws)


@pytest.mark.parametrize("prob", [0.0, 0.2, 0.5, 0.8, 1.0])
def test_frequency_is_the_policys_probability(prob):
    m = 20_000
    for position, name in enumerate(OPS):
        policy = (*EVERYTHING[:position], Op(name=name, prob=prob, range=RANGES.get(name, ())))
        share = sample_views(policy, m // 2, seed=4, step=0)[position].active.float().mean().item()
        assert abs(share - prob) <= 4.5 * math.sqrt(prob * (1 - prob) / m), name


def test_parameters_lie_in_their_range_and_fill_it():
    draws = {d.op.name: d.values for d in sample_views(EVERYTHING, 5000, seed=0, step=0)}

    def spans(column, low, high):
        assert low <= column.min() <= low + 0.01 * (high - low)
        assert high - 0.01 * (high - low) <= column.max() <= high
        assert abs(column.mean() - (low + high) / 2) < 0.02 * (high - low)

    for index, (low, high) in enumerate([(0.2, 1.8), (0.6, 1.4), (0.0, 2.6), (-0.2, 0.2)]):
        spans(draws["jitter"][:, index], low, high)
    for name in ("blur", "cutout", "noise", "solarise", "rotate-degrees"):
        spans(draws[name][:, 0], *RANGES[name])
    spans(draws["crop"][:, :10], 0.08, 1.0)
    spans(draws["crop"][:, 10:20], math.log(3 / 4), math.log(4 / 3))
    spans(draws["crop"][:, 20:], 0.0, 1.0)
    spans(draws["noise"][:, 1], 0, 2**24)
    assert draws["rotate"].unique().tolist() == [0, 1, 2, 3]
    assert {name: draws[name].shape[1] for name in ("flip", "grayscale", "sobel")} == {
        "flip": 0,
        "grayscale": 0,
        "sobel": 0,
    }


def test_all_orders_of_the_jitter_are_equally_likely():
    order = sample_views(EVERYTHING[2:3], 12_000, seed=0, step=0)[0].values[:, 4:]
    assert torch.equal(order.sort(dim=1).values, torch.arange(4.0).expand(24_000, 4))
    counts = order.long().mul(torch.tensor([64, 16, 4, 1])).sum(dim=1).unique(return_counts=True)[1]
    assert len(counts) == 24
    assert (counts - 1000).abs().max() < 5 * math.sqrt(1000)


def test_the_named_policies():
    small = build_policy(ViewsRecipe(policy="small", strength=0.5, crop_area=(0.2, 0.9), flip_prob=0.1))
    assert small == (
        Op(name="crop", range=(0.2, 0.9)),
        Op(name="flip", prob=0.1),
        Op(name="jitter", prob=0.8, range=(0.4, 0.4, 0.4, 0.1)),
        Op(name="grayscale", prob=0.2),
    )
    simclr = build_policy(ViewsRecipe(policy="simclr", strength=1.0))
    assert simclr[2].range == (0.8, 0.8, 0.8, 0.2)
    assert simclr[4:] == (Op(name="blur", prob=0.5, range=(0.1, 2.0)),)
    assert build_policy(ViewsRecipe(strength=2.5))[2].range == (2.0, 2.0, 2.0, 0.5)
    wished = ViewsRecipe(
        vertical_flip_prob=0.5, rotate_degrees=90.0, jitter=(0.4, 0.4, 0.4, 0.1), grayscale_prob=0.0, blur_prob=0.25
    )
    assert build_policy(wished) == (
        *simclr[:2],
        Op(name="vertical-flip", prob=0.5),
        Op(name="rotate-degrees", range=(-90.0, 90.0)),
        Op(name="jitter", prob=0.8, range=(0.4, 0.4, 0.4, 0.1)),
        Op(name="blur", prob=0.25, range=(0.1, 2.0)),
    )
    none = ViewsRecipe(jitter=(0.0, 0.0, 0.0, 0.0), grayscale_prob=0.0, blur_prob=0.0)
    assert build_policy(none) == simclr[:2]
    assert build_policy(ViewsRecipe(policy="small", blur_prob=0.5))[-1] == simclr[-1]
    ops = (Op(name="crop", range=(0.5, 1.0)), Op(name="sobel", prob=0.5))
    assert build_policy(ViewsRecipe(ops=ops)) == ops


def test_one_branch_shares_the_first_crop_and_leaves_the_rest_to_view_b():
    ops = tuple(Op(name=name, range=RANGES.get(name, ())) for name in ("crop", "flip", "crop", "blur"))
    policy = build_policy(ViewsRecipe(ops=ops, one_branch=True))
    assert [(op.name, op.branch) for op in policy] == [("crop", "shared"), ("flip", "b"), ("crop", "b"), ("blur", "b")]
    assert [op.range for op in policy] == [op.range for op in ops]
    named = build_policy(ViewsRecipe(one_branch=True))
    assert [op.branch for op in named] == ["shared", "b", "b", "b", "b"]
    stated = (Op(name="crop", range=(0.1, 1.0)), Op(name="flip", branch="shared"))
    assert [op.branch for op in build_policy(ViewsRecipe(ops=stated, one_branch=True))] == ["shared", "shared"]
    assert [op.branch for op in build_policy(ViewsRecipe(ops=ops[3:], one_branch=True))] == ["b"]


@pytest.mark.parametrize("name", OPS)
def test_a_shared_op_is_drawn_once_and_an_op_of_b_never_acts_on_a(name):
    each, shared, b = (
        sample_views((Op(name=name, prob=0.5, range=RANGES.get(name, ()), branch=branch),), 2000, seed=0, step=3)[0]
        for branch in BRANCHES
    )
    assert torch.equal(shared.active, each.active[:2000].repeat(2))
    assert torch.equal(shared.values, each.values[:2000].repeat(2, 1))
    assert not b.active[:2000].any()
    assert torch.equal(b.active[2000:], each.active[2000:])
    assert torch.equal(b.values, each.values)
    assert abs(b.active[2000:].float().mean() - 0.5) < 5 * math.sqrt(0.25 / 2000)


@pytest.mark.parametrize("names", [("flip", "crop"), ("crop", "crop")])
def test_a_crop_that_is_not_first_is_refused(names):
    ops = tuple(Op(name=name, range=RANGES.get(name, ())) for name in names)
    with pytest.raises(TwofoldError, match="crop at position 2"):
        build_policy(ViewsRecipe(ops=ops))
