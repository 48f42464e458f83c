"""The crop's law against torchvision's own sampler; boxes lie in the image whatever its shape."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor
from torchvision.transforms import RandomResizedCrop

from twofold.recipes.recipe import Op
from twofold.views.boxes import central_boxes, crop_boxes
from twofold.views.sample import sample_views

MANY = 6_000


def drawn_boxes(height: int, width: int, area: tuple[float, float], count: int = MANY) -> Tensor:
    """Boxes of 2 * count rows for one size of image."""
    draw = sample_views((Op(name="crop", range=area),), count, seed=3, step=0)[0]
    return crop_boxes(draw.values, torch.tensor([[height, width]]).expand(2 * count, 2))


def torchvision_boxes(height: int, width: int, area: tuple[float, float]) -> np.ndarray:
    picture = torch.empty(1, height, width)
    with torch.random.fork_rng():
        torch.manual_seed(11)
        rows = [RandomResizedCrop.get_params(picture, list(area), [3 / 4, 4 / 3]) for _ in range(MANY)]
    return np.array(rows, dtype=float)


@pytest.mark.parametrize(
    ("height", "width", "area"),
    [(32, 32, (0.08, 1.0)), (375, 500, (0.08, 1.0)), (100, 400, (0.08, 1.0)), (224, 224, (0.2, 0.5))],
)
def test_law_of_area_aspect_and_place_is_torchvisions(height, width, area):
    ours, theirs = drawn_boxes(height, width, area).double().numpy(), torchvision_boxes(height, width, area)
    shift = np.random.default_rng(0)
    for name, measure in {
        "area": lambda b: b[:, 2] * b[:, 3],
        "aspect": lambda b: b[:, 3] / b[:, 2],
        "top": lambda b: b[:, 0],
        "left": lambda b: b[:, 1],
        "bottom": lambda b: b[:, 0] + b[:, 2],
    }.items():
        # ties (whole pixels) are broken by a tiny seeded shift, so that the two-sample test is calibrated
        a, b = (measure(x) + 1e-6 * shift.random(len(x)) for x in (ours, theirs))
        assert stats.ks_2samp(a, b).pvalue > 1e-4, name


def test_the_law_sees_an_aspect_that_is_uniform_instead_of_log_uniform(monkeypatch):
    right = crop_boxes

    def uniform_aspect(values: Tensor, sizes: Tensor) -> Tensor:
        share = (values[:, 10:20] - math.log(3 / 4)) / (math.log(4 / 3) - math.log(3 / 4))
        return right(torch.cat([values[:, :10], (3 / 4 + share * (4 / 3 - 3 / 4)).log(), values[:, 20:]], 1), sizes)

    monkeypatch.setitem(globals(), "crop_boxes", uniform_aspect)
    with pytest.raises(AssertionError, match="aspect"):
        test_law_of_area_aspect_and_place_is_torchvisions(375, 500, (0.08, 1.0))


@pytest.mark.parametrize(
    ("height", "width"), [(1, 1), (1, 7), (7, 1), (2, 3), (1, 4000), (3000, 5), (20_000, 30_000), (33, 32)]
)
def test_boxes_lie_in_the_picture(height, width):
    for boxes in (
        drawn_boxes(height, width, (0.08, 1.0), 500),
        drawn_boxes(height, width, (1.0, 1.0), 50),
        drawn_boxes(height, width, (1e-6, 1e-6), 50),
        central_boxes(torch.tensor([[height, width]]), 0.875),
        central_boxes(torch.tensor([[height, width]]), 1e-3),
    ):
        top, left, box_height, box_width = boxes.unbind(dim=1)
        assert min(top.min(), left.min()) >= 0
        assert min(box_height.min(), box_width.min()) >= 1
        assert (top + box_height).max() <= height
        assert (left + box_width).max() <= width


def test_a_thin_picture_falls_back_to_the_central_box_of_a_fair_aspect():
    assert drawn_boxes(1, 7, (0.9, 1.0), 2).tolist() == [[0, 3, 1, 1]] * 4
    assert drawn_boxes(400, 90, (0.99, 1.0), 2).tolist() == [[140, 0, 120, 90]] * 4
    assert drawn_boxes(90, 400, (0.99, 1.0), 2).tolist() == [[0, 140, 90, 120]] * 4


def test_every_row_has_the_box_of_its_own_picture():
    sizes = torch.tensor([[40, 30], [300, 500], [8, 8], [17, 90]])
    values = sample_views((Op(name="crop", range=(0.1, 0.9)),), 2, seed=0, step=0)[0].values
    together = crop_boxes(values, sizes)
    alone = torch.cat([crop_boxes(values[i : i + 1], sizes[i : i + 1]) for i in range(4)])
    assert torch.equal(together, alone)
