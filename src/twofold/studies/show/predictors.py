"""Do measures that need no labels predict the probe? Rank correlations over the cells of each study."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from scipy.stats import spearmanr

from twofold.evaluation.intervals import Interval
from twofold.studies.engine.grid import results_in
from twofold.studies.engine.results import Results
from twofold.studies.engine.scale import get_scale

PREDICTORS = {
    "effective_rank": "effective rank",
    "rank_me": "RankMe",
    "lidar": "LiDAR",
    "alpha_req": "alpha-ReQ",
    "contrast_accuracy": "contrastive accuracy",
}
NOT_RECORDED = "not recorded"
_FEWEST = 5  # cells
_Z = 1.959964


def rank_correlation(x: Sequence[float], y: Sequence[float]) -> Interval:
    """(rho, low, high): Spearman's rank correlation with its 95 % interval; none with fewer than five pairs.

    tanh(atanh(rho) -+ 1.96 sqrt((1 + rho^2 / 2) / (n - 3))), where the rho of a perfect order counts as that of one
    with a single pair of neighbours swapped: the interval is never a point (Bonett and Wright 2000). All nan where x or
    y does not vary.
    """
    n = len(x)
    rho = float(spearmanr(x, y).statistic) if len(set(x)) > 1 and len(set(y)) > 1 else math.nan
    if n < _FEWEST or math.isnan(rho):
        return rho, None, None
    swapped = 1 - 12 / (n**3 - n)
    centre = math.atanh(max(-swapped, min(swapped, rho)))
    half = _Z * math.sqrt((1 + rho**2 / 2) / (n - 3))
    return rho, min(rho, math.tanh(centre - half)), max(rho, math.tanh(centre + half))


def correlations(record: dict[str, Any]) -> dict[str, tuple[int, Interval]]:
    """Predictor -> (number of cells, its rank correlation with top1), over the means of the cells of a study."""
    results = results_in(record["cells"], get_scale(record["scale"]))
    points = {metric: _points(results, metric) for metric in PREDICTORS}
    return {
        metric: (len(pairs), rank_correlation([x for x, _ in pairs], [y for _, y in pairs]))
        for metric, pairs in points.items()
        if len(pairs) >= _FEWEST
    }


def answer(results: Iterable[dict[str, tuple[int, Interval]]]) -> list[str]:
    """Of each predictor in how many studies its correlation is clear, by its whole interval."""
    studies = list(results)
    sentences = []
    for metric, name in PREDICTORS.items():
        ends = [one[metric][1][1:] for one in studies if metric in one]
        known = [(low, high) for low, high in ends if low is not None and high is not None]
        if not known:
            sentences.append(f"{name}: {NOT_RECORDED}.")
            continue
        up, down = sum(low > 0 for low, _ in known), sum(high < 0 for _, high in known)
        counted = "1 study" if len(known) == 1 else f"{len(known)} studies"
        sentences.append(f"{name}: of {counted} the probe rises with it in {up}, falls in {down}; elsewhere not clear.")
    return sentences


def shown(correlation: tuple[int, Interval] | None) -> str:
    """ "+0.85 (+0.60 to +0.95; 12 cells)"; "not recorded" where there are too few cells with the measure."""
    if correlation is None:
        return NOT_RECORDED
    cells, (rho, low, high) = correlation
    if low is None or high is None:
        return f"does not vary ({cells} cells)"
    return f"{rho:+.2f} ({low:+.2f} to {high:+.2f}; {cells} cells)"


def _points(results: Results, metric: str) -> list[tuple[float, float]]:
    names = [name for name in results.names() if results.seeds(name, metric) and results.seeds(name, "top1")]
    return [(results.mean(name, metric), results.mean(name, "top1")) for name in names]
