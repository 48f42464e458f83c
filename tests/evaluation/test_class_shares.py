import numpy as np
import pytest
import torch

from twofold.evaluation import class_shares
from twofold.evaluation.calibration import softmax
from twofold.evaluation.class_shares import Alignment, estimate_shares

TRUE = np.array([0.7, 0.2, 0.1])


def _calibrated(shares, count=4000, overlap=1.2):
    """Probabilities by the densities of three overlapping clouds, of a classifier that took them for equally many."""
    draw = np.random.default_rng(0)
    ids = draw.choice(3, size=count, p=shares)
    centres = np.eye(3) * 2
    x = centres[ids] + overlap * draw.normal(size=(count, 3))
    return softmax(-((x[:, None] - centres) ** 2).sum(2) / (2 * overlap**2))


def test_shares_of_unbalanced_classes_are_found_and_pulled_to_those_of_the_labels(monkeypatch):
    p, even = _calibrated(TRUE), np.full(3, 1 / 3)
    pulled = estimate_shares(p, even)
    assert pulled.sum() == pytest.approx(1)
    assert np.abs(pulled - TRUE).max() < np.abs(p.mean(0) - TRUE).max() < np.abs(even - TRUE).max()
    monkeypatch.setattr(class_shares, "_PULL", 0.0)
    np.testing.assert_allclose(estimate_shares(p, even), TRUE, atol=0.03)


def test_where_the_labels_have_the_shares_of_the_images_these_are_kept():
    p = _calibrated(np.full(3, 1 / 3))
    np.testing.assert_allclose(estimate_shares(p, np.full(3, 1 / 3)), 1 / 3, atol=0.02)


def test_no_share_is_zero():
    p = np.tile([1.0, 0.0, 0.0], (50, 1))
    assert estimate_shares(p, np.full(3, 1 / 3)).min() == pytest.approx(0.1 / 3.3)


def test_the_mean_of_aligned_answers_has_the_shares():
    align = Alignment(torch.tensor([0.5, 0.3, 0.2]))
    draw = torch.Generator().manual_seed(0)
    before = [(torch.randn(64, 3, generator=draw) + torch.tensor([2.0, 0.0, 0.0])).softmax(1) for _ in range(30)]
    after = torch.stack([align(p) for p in before])
    torch.testing.assert_close(after.sum(2), torch.ones(30, 64))
    wanted = torch.tensor([0.5, 0.3, 0.2])
    assert (
        (after[10:].mean((0, 1)) - wanted).abs().max() < 0.1 < (torch.stack(before).mean((0, 1)) - wanted).abs().max()
    )


def test_without_shares_answers_stay_as_they_are():
    p = torch.rand(4, 3)
    assert Alignment(None)(p) is p
