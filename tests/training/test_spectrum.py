"""The four measures of a spectrum against versions from the definitions, and at their extremes."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from twofold.training.spectrum import alpha_req, effective_rank, lidar, rank_me


def gaussian(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def entropy_rank(values: np.ndarray, epsilon: float = 0.0) -> float:
    shares = [value / sum(values) + epsilon for value in values]
    return math.exp(-sum(share * math.log(share) for share in shares if share > 0))


def rank_me_by_definition(h: np.ndarray) -> float:
    return entropy_rank(np.sqrt(np.linalg.eigvalsh(h.T @ h).clip(0)), 1e-7)


def lidar_by_definition(h: np.ndarray) -> float:
    n, q, d = h.shape
    means = [sum(views) / q for views in h]
    mean = sum(means) / n
    between = sum(np.outer(one - mean, one - mean) for one in means) / n
    within = sum(np.outer(v - one, v - one) for views, one in zip(h, means, strict=True) for v in views) / (n * q)
    values, vectors = np.linalg.eigh(within + 1e-4 * np.eye(d))
    root = vectors @ np.diag(values**-0.5) @ vectors.T
    return entropy_rank(np.linalg.eigvalsh(root @ between @ root).clip(0))


def alpha_by_definition(h: np.ndarray, first: int, last: int) -> float:
    values = np.sort(np.linalg.eigvalsh(np.cov(h.T)))[::-1][first - 1 : last]
    return -float(np.polyfit(np.log(np.arange(first, first + len(values))), np.log(values), 1)[0])


def test_all_are_what_their_papers_define() -> None:
    h = gaussian(200, 60) * torch.linspace(3, 0.1, 60) + 2.0
    views = gaussian(40, 1, 12) * torch.linspace(2, 0.2, 12) + 0.3 * gaussian(40, 5, 12, seed=1)
    x = h.double().numpy()
    assert effective_rank(h) == pytest.approx(entropy_rank(np.linalg.svd(x - x.mean(0), compute_uv=False)))
    assert rank_me(h) == pytest.approx(rank_me_by_definition(x), rel=1e-6)
    assert lidar(views) == pytest.approx(lidar_by_definition(views.double().numpy()), rel=1e-6)
    assert alpha_req(h) == pytest.approx(alpha_by_definition(x, 11, 50), rel=1e-6)
    assert alpha_req(h[:, :8]) == pytest.approx(alpha_by_definition(x[:, :8], 1, 8), rel=1e-6)


def test_centring_is_what_rank_me_and_the_effective_rank_differ_in() -> None:
    """A mean far from 0 is one direction that dwarfs the others, unless it is taken off."""
    far = gaussian(500, 8) + 100.0
    assert effective_rank(far) > 7.5
    assert rank_me(far) < 2.0
    centred = far - far.mean(dim=0)
    assert rank_me(centred) == pytest.approx(effective_rank(centred), rel=1e-4)


def test_lidar_counts_what_tells_images_apart_only() -> None:
    """Three directions differ between images, three others between views of one image."""
    between, within = torch.zeros(6), torch.zeros(6)
    between[:3], within[3:] = 1.0, 1.0
    h = gaussian(2000, 1, 6) * between + gaussian(2000, 10, 6, seed=1) * within
    assert lidar(h) == pytest.approx(3.0, abs=0.05)
    assert effective_rank(h.flatten(0, 1)) == pytest.approx(6.0, abs=0.05)


def test_a_power_law_is_found_again() -> None:
    scales = torch.arange(1, 101, dtype=torch.float64) ** (-1.5 / 2)
    frame = torch.linalg.qr(gaussian(400, 101).double() - gaussian(400, 101).double().mean(dim=0))[0]
    frame = torch.linalg.qr(torch.cat([torch.ones(400, 1, dtype=torch.float64), frame], dim=1))[0][:, 1:101]
    assert alpha_req(frame * scales) == pytest.approx(1.5, rel=1e-6)


@pytest.mark.parametrize("measure", [effective_rank, rank_me])
def test_rows_that_coincide_have_rank_one(measure: Callable[[torch.Tensor], float]) -> None:
    assert measure(torch.ones(50, 6)) == pytest.approx(1.0, abs=1e-3)
    assert measure(torch.zeros(50, 6)) == 1.0


def test_nothing_that_differs_is_no_error() -> None:
    assert lidar(torch.ones(10, 3, 4)) == 1.0
    assert math.isnan(alpha_req(torch.ones(10, 4)))
