"""The protocol in sentences, to be read beside the figures."""

from collections.abc import Sequence

from twofold.evaluation.labelled import LEAST_SELECTION, is_large
from twofold.evaluation.linear import ITERATIONS
from twofold.evaluation.selection import FEW_SHOT_L2, FOLDS, L2_GRID
from twofold.evaluation.table import INTERVALS, Row, luck_of_the_test_split
from twofold.recipe import DataRecipe


def protocol_sentences(data: DataRecipe, train: int, seeds: int, few_seeds: int, shots: Sequence[int]) -> list[str]:
    """What was fitted on what, what the intervals cover and what they do not."""
    how = (
        f"on {data.selection_fraction:.0%} of train"
        if is_large(train, data)
        else f"by {FOLDS}-fold cross-validation on train ({data.selection_fraction:.0%} of it are under "
        f"{LEAST_SELECTION} pictures)"
    )
    sentences = [
        "the encoder is frozen, in evaluation mode; all of the test split is counted, once, after all fitting",
        "k-NN: cosine of features as they are, k = min(20, labels per class), votes weigh exp(similarity / 0.1)",
        "linear probe: logistic regression by L-BFGS on features scaled by the mean and deviation of all train "
        "pictures, also for few labels (labels play no part in that)",
        f"all labels: the weight decay is chosen among {len(L2_GRID)} values from {L2_GRID[-1]:g} to {L2_GRID[0]:g} "
        f"{how}, then the probe is fitted again on all of train",
        f"all labels: {seeds} seeds vary the selection split and the untrained weights; k-NN chooses nothing, so the "
        "trained encoder and pixels have one figure and no interval",
        f"intervals are 95 % of Student's t over these draws, clipped to 0 and 100 %: {INTERVALS}",
    ]
    if shots:
        weights = min(seeds, few_seeds)
        sets = "1 set" if weights == 1 else f"{weights} sets"
        sentences += [
            f"few labels: {few_seeds} seeds vary which pictures are labelled; no other label is used",
            f"few labels, untrained encoder: the {few_seeds} seeds share {sets} of its weights; "
            "the figures on one set are averaged first, and the interval is over these means",
        ]
    if any(count >= FOLDS for count in shots):
        sentences.append(f"few labels, {FOLDS} and more: weight decay by {FOLDS}-fold cross-validation within them")
    if any(count < FOLDS for count in shots):
        sentences.append(f"few labels, under {FOLDS}: weight decay fixed at {FEW_SHOT_L2:g}")
    return sentences


def result_sentences(rows: Sequence[Row], test: int, converged: Sequence[bool]) -> list[str]:
    """What the `test` pictures leave to luck, and how many probes, of which each says so, had not converged, if any."""
    sentences = [luck_of_the_test_split(rows, test)]
    stopped = sum(not one for one in converged)
    if stopped:
        sentences.append(
            f"linear probe: {stopped:,} of {len(converged):,} probes stopped at {ITERATIONS:,} iterations of L-BFGS, "
            "before they had converged"
        )
    return sentences
