"""Do measures without labels predict the probe? The correlation, its interval, and what is said of studies."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from twofold.studies.show.predictors import NOT_RECORDED, PREDICTORS, answer, correlations, rank_correlation, shown


def test_the_interval_holds_the_true_correlation() -> None:
    random, truth, held = np.random.default_rng(0), 0.6, 0
    rho = 6 / np.pi * np.arcsin(truth / 2)  # Spearman's of a normal pair with this correlation
    for _ in range(400):
        x = random.normal(size=20)
        y = truth * x + np.sqrt(1 - truth**2) * random.normal(size=20)
        mean, low, high = rank_correlation(x.tolist(), y.tolist())
        assert low is not None
        assert high is not None
        assert mean == pytest.approx(spearmanr(x, y).statistic)
        held += low <= rho <= high
    assert 0.92 <= held / 400 <= 0.98


def test_a_perfect_order_is_not_certain() -> None:
    order = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    mean, low, high = rank_correlation(order, order)
    assert (mean, high) == (pytest.approx(1.0), pytest.approx(1.0))
    assert low is not None
    assert 0 < low < 0.9
    assert rank_correlation(order[:3], order[:3])[1:] == (None, None)
    assert rank_correlation([1.0] * 6, order)[1:] == (None, None)


def record(**measures: list[float]) -> dict[str, object]:
    count = len(measures["top1"])
    cells = [
        {
            "name": f"cell {place}",
            "seed": seed,
            "on": "test",
            "recipe": {},
            "measure": {name: values[place] + 0.001 * seed for name, values in measures.items()},
            "learnt": place != count - 1,  # the last failed
        }
        for place in range(count)
        for seed in (0, 1)
    ]
    return {"scale": "laptop", "cells": cells}


def test_cells_count_once_and_failed_ones_never() -> None:
    found = correlations(record(top1=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 9.0], lidar=[1.0, 2, 3, 4, 5, 6, 0]))
    count, (rho, _, _) = found["lidar"]
    assert (count, rho) == (6, pytest.approx(1.0))
    assert shown(found["lidar"]).startswith("+1.00 (")
    assert shown(found.get("rank_me")) == NOT_RECORDED


def test_the_answer_counts_studies_whose_interval_is_clear() -> None:
    rises = correlations(record(top1=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7], lidar=[1.0, 2, 3, 4, 5, 6, 7]))
    unclear = correlations(record(top1=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7], lidar=[3.0, 1, 4, 1.5, 5, 2, 7]))
    sentences = answer([rises, unclear])
    assert len(sentences) == len(PREDICTORS)
    assert "LiDAR: of 2 studies the probe rises with it in 1, falls in 0; elsewhere not clear." in sentences
    assert f"RankMe: {NOT_RECORDED}." in sentences
