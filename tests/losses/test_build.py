"""A recipe's loss is the function of that name with the recipe's numbers."""

import math

import pytest
import torch
from torch import Tensor

from twofold.losses import build_loss, dcl, loss_version, nt_logistic, nt_xent, triplet
from twofold.recipes.loss import LOSSES, LossRecipe

N = 6


@pytest.fixture
def z() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, N, 4, generator=generator).unbind()
    return a, a + b


def test_the_default_is_nt_xent_to_the_last_bit(z: tuple[Tensor, Tensor]) -> None:
    assert torch.equal(build_loss(LossRecipe())(*z, (1, 4)), nt_xent(*z, temperature=0.1, anchors=(1, 4)))


@pytest.mark.parametrize("normalize", [True, False])
def test_every_name_is_its_function(z: tuple[Tensor, Tensor], normalize: bool) -> None:
    numbers = {"temperature": 0.3, "margin": 0.5, "normalize": normalize}
    shared = {"normalize": normalize, "anchors": (1, 4)}
    expected = {
        ("nt-xent", False): nt_xent(*z, temperature=0.3, **shared),
        ("dcl", False): dcl(*z, temperature=0.3, **shared),
        ("nt-logistic", False): nt_logistic(*z, temperature=0.3, **shared),
        ("nt-logistic", True): nt_logistic(*z, temperature=0.3, semi_hard=True, margin=0.5, **shared),
        ("triplet", False): triplet(*z, margin=0.5, **shared),
        ("triplet", True): triplet(*z, margin=0.5, semi_hard=True, **shared),
    }
    assert {name for name, _ in expected} == set(LOSSES)
    for (name, semi_hard), value in expected.items():
        built = build_loss(LossRecipe(loss=name, semi_hard=semi_hard, **numbers))
        assert torch.equal(built(*z, (1, 4)), value)
    assert len({value.item() for value in expected.values()}) == len(expected)


@pytest.mark.parametrize("name", LOSSES)
def test_chance_is_the_value_where_all_similarities_are_equal(name: str) -> None:
    recipe = LossRecipe(loss=name)
    values = [build_loss(recipe)(one, other, (0, N)).item() for one, other in _equally_similar()]
    if (chance := recipe.chance(N)) is not None:
        assert values == pytest.approx([chance, chance], abs=1e-5)
    assert (chance is None) is (name in ("nt-logistic", "triplet"))


def _equally_similar() -> list[tuple[Tensor, Tensor]]:
    """All views alike, and all at right angles."""
    return [(torch.ones(N, 3), torch.ones(N, 3)), tuple(torch.eye(2 * N).chunk(2))]  # type: ignore[list-item]


def test_versions_follow_the_loss_and_the_size() -> None:
    assert [loss_version(LossRecipe(), n, n) for n in (256, 4096)] == ["dense", "tiled"]
    off_cpu = torch.device("cuda")
    assert [loss_version(LossRecipe(), n, n, off_cpu) for n in (256, 2048, 4096)] == ["dense", "dense", "tiled"]
    for name in LOSSES[1:]:
        assert [loss_version(LossRecipe(loss=name), n, n) for n in (256, 4096)] == ["dense", "blocks"]
    assert math.isclose(LossRecipe(loss="dcl").chance(512) or 0, math.log(1022))
