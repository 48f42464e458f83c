"""Health measures at their extremes, and the warning."""

import math

import pytest
import torch

from twofold.training.health import (
    alignment,
    collapse_warning,
    health,
    learning_warnings,
    spread,
    uniformity,
)
from twofold.training.spectrum import effective_rank


def gaussian(n: int, d: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def test_collapsed_rows() -> None:
    z = torch.ones(64, 8)
    assert spread(z) == pytest.approx(0.0, abs=1e-6)
    assert effective_rank(z) == pytest.approx(1.0)
    assert alignment(z, z) == pytest.approx(0.0)
    assert uniformity(z) == pytest.approx(0.0, abs=1e-6)


def test_isotropic_rows() -> None:
    z = gaussian(20_000, 8)
    assert spread(z) == pytest.approx(1.0, abs=0.02)
    assert effective_rank(z) == pytest.approx(8.0, rel=0.01)


def test_rank_of_a_line_is_one_and_of_an_orthogonal_frame_is_its_dimension() -> None:
    line = torch.linspace(-1, 1, 50)[:, None] * torch.tensor([[3.0, 4.0, 0.0]])
    assert effective_rank(line) == pytest.approx(1.0, abs=1e-6)
    frame = torch.cat([torch.eye(4), -torch.eye(4)])
    assert effective_rank(frame) == pytest.approx(4.0, abs=1e-6)


def test_opposite_pairs_are_four_apart() -> None:
    z = gaussian(32, 8)
    assert alignment(z, -z) == pytest.approx(4.0)


def test_uniformity_against_a_double_loop() -> None:
    z = gaussian(20, 5)
    unit = z / z.norm(dim=1, keepdim=True)
    pairs = [math.exp(-2 * float((unit[i] - unit[j]).square().sum())) for i in range(20) for j in range(i)]
    assert uniformity(z) == pytest.approx(math.log(sum(pairs) / len(pairs)), rel=1e-5)


def test_measures_do_not_depend_on_the_length_of_z() -> None:
    z_a, z_b, h = gaussian(40, 8), gaussian(40, 8, 1), gaussian(80, 16, 2)
    small, large = health(h, z_a, z_b), health(h * 7, z_a * 7, z_b * 7)
    for name, value in small.items():
        if name not in ("z_effective_rank", "z_rank_share"):
            assert large[name] == pytest.approx(value, rel=1e-4)


def test_the_warning_comes_on_collapse_only() -> None:
    alive = health(gaussian(64, 8), gaussian(32, 8, 1), gaussian(32, 8, 2))
    dead = health(torch.ones(64, 8), torch.ones(32, 8), torch.ones(32, 8))
    assert collapse_warning(alive) is None
    assert "collapsed" in str(collapse_warning(dead))


@pytest.mark.parametrize(
    ("name", "fine", "bad", "figure"),
    [
        ("loss", {"loss_share": 0.989}, {"loss_share": 0.991}, "99.1%"),
        ("pairs", {"pair_accuracy": 0.051, "pair_chance": 0.01}, {"pair_accuracy": 0.049, "pair_chance": 0.01}, "4.9%"),
        ("rank", {"z_rank_share": 0.051}, {"z_rank_share": 0.049}, "4.9%"),
    ],
)
def test_each_sign_of_little_learning_has_its_bound(
    name: str, fine: dict[str, float], bad: dict[str, float], figure: str
) -> None:
    assert learning_warnings(fine) == {}
    (found,) = learning_warnings(bad).items()
    assert found[0] == name
    assert figure in found[1]


def test_among_few_candidates_half_the_way_to_all_is_enough() -> None:
    """Five times chance would be above 1."""
    assert "pairs" in learning_warnings({"pair_accuracy": 0.62, "pair_chance": 1 / 4})
    assert learning_warnings({"pair_accuracy": 0.63, "pair_chance": 1 / 4}) == {}


def test_the_rank_of_z_is_a_share_of_what_so_many_rows_can_have() -> None:
    few, many = (health(gaussian(8, 4), gaussian(n, 64), gaussian(n, 64, 1)) for n in (4, 2000))
    assert few["z_rank_share"] == pytest.approx(few["z_effective_rank"] / 7)
    assert many["z_rank_share"] == pytest.approx(many["z_effective_rank"] / 64)
