"""Health measures at their extremes, and the warning."""

import math

import pytest
import torch

from twofold.training.health import alignment, collapse_warning, effective_rank, health, spread, uniformity


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
        if name != "z_effective_rank":
            assert large[name] == pytest.approx(value, rel=1e-4)


def test_the_warning_comes_on_collapse_only() -> None:
    alive = health(gaussian(64, 8), gaussian(32, 8, 1), gaussian(32, 8, 2))
    dead = health(torch.ones(64, 8), torch.ones(32, 8), torch.ones(32, 8))
    assert collapse_warning(alive) is None
    assert "collapsed" in str(collapse_warning(dead))
