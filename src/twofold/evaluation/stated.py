"""The protocol in sentences, to be read beside the figures."""

from collections.abc import Sequence

from twofold.evaluation.labelled import LEAST_SELECTION, is_large
from twofold.evaluation.linear import ITERATIONS
from twofold.evaluation.scope import Scope
from twofold.evaluation.selection import FEW_SHOT_L2, FOLDS
from twofold.evaluation.table import INTERVALS, Row, luck_of_the_test_split
from twofold.evaluation.tuning import LEAST_STEPS, MANNERS, MOST_TO_CHOOSE_ON
from twofold.recipes.recipe import DataRecipe


def protocol_sentences(data: DataRecipe, scope: Scope) -> list[str]:
    """What was fitted on what, what the intervals cover and what they do not."""
    settings = scope.settings
    sentences = ["all of the test split is counted, once, after all fitting"]
    if settings.probes or "sgd" in settings.trained:
        sentences.append("probes: the encoder is frozen, in evaluation mode; a single changed bit would be an error")
    if "knn" in settings.probes:
        sentences.append(
            "k-NN: cosine of features as they are, k = min(20, labels per class), votes weigh exp(similarity / 0.1)"
        )
    if "linear" in settings.probes:
        sentences += _linear_sentences(data, scope)
    sentences += [_network_sentence(protocol, settings.epochs) for protocol in settings.trained]
    if settings.trained:
        sentences += _choice_sentences(scope)
    sentences.append(f"intervals are 95 % of Student's t over these draws, clipped to 0 and 100 %: {INTERVALS}")
    return [*sentences, *_draw_sentences(scope)]


def _linear_sentences(data: DataRecipe, scope: Scope) -> list[str]:
    grid = scope.settings.grid
    how = (
        f"on {data.selection_fraction:.0%} of train"
        if is_large(len(scope.labelled.train), data)
        else f"by {FOLDS}-fold cross-validation on train ({data.selection_fraction:.0%} of it are under "
        f"{LEAST_SELECTION} pictures)"
    )
    sentences = [
        "linear probe: logistic regression by L-BFGS on features scaled by the mean and deviation of all train "
        "pictures, also for few labels (labels play no part in that)",
        f"all labels: the weight decay is chosen among {len(grid)} values from {min(grid):g} to {max(grid):g} "
        f"{how}, then the probe is fitted again on all of train",
    ]
    if any(labels >= FOLDS if isinstance(labels, int) else True for labels in scope.few):
        sentences.append(
            f"few labels, {FOLDS} and more per class: weight decay by {FOLDS}-fold cross-validation within them"
        )
    if any(labels < FOLDS for labels in scope.few if isinstance(labels, int)):
        sentences.append(f"few labels, under {FOLDS} per class: weight decay fixed at {FEW_SHOT_L2:g}")
    return sentences


def _network_sentence(protocol: str, epochs: float | None) -> str:
    manner = MANNERS[protocol]
    what = {
        "finetune": "fine-tuning: the whole trained network with a new classifier",
        "supervised": "from scratch: the same encoder with fresh weights and a classifier",
        "sgd": "linear by SGD: a classifier on the frozen encoder",
    }[protocol]
    passes = (
        f"{epochs:g} epochs"
        if epochs
        else f"{manner.epochs_of_few:g} epochs (1 % of the labels) or {manner.epochs:g} (10 % and more)"
    )
    return (
        f"{what}, SGD with Nesterov momentum 0.9, weight decay {manner.weight_decay:g}, cosine, {passes}, at least "
        f"{LEAST_STEPS} steps; views by crop and flip alone"
    )


def _choice_sentences(scope: Scope) -> list[str]:
    chosen = [name for name in scope.settings.trained if len(MANNERS[name].rates) > 1]
    rates = "; ".join(f"{name} {', '.join(f'{rate:g}' for rate in sorted(MANNERS[name].rates))}" for name in chosen)
    sentences = [
        f"networks: {len(scope.settings.seeds)} seeds vary which pictures are labelled, the order and the views"
    ]
    if chosen:
        sentences.append(
            f"networks: the learning rate at batch 256 is chosen on a fifth of the labels of seed 0, at most "
            f"{MOST_TO_CHOOSE_ON:,} of them, and serves all seeds ({rates}); with fewer than {FOLDS} labels of a class "
            "it is the paper's"
        )
    return sentences


def _draw_sentences(scope: Scope) -> list[str]:
    settings = scope.settings
    seeds, few_seeds = len(settings.seeds), len(settings.few_seeds)
    sentences = []
    if settings.probes:
        sentences.append(
            f"all labels: {seeds} seeds vary the selection split and the untrained weights; k-NN chooses nothing, so "
            "the trained encoder and pixels have one figure and no interval"
        )
    if settings.probes and any(isinstance(labels, int) for labels in scope.few):
        weights = min(seeds, few_seeds)
        sets = "1 set" if weights == 1 else f"{weights} sets"
        sentences += [
            f"few labels: {few_seeds} seeds vary which pictures are labelled; no other label is used",
            f"few labels, untrained encoder: the {few_seeds} seeds share {sets} of its weights; "
            "the figures on one set are averaged first, and the interval is over these means",
        ]
    if any(isinstance(labels, float) for labels in scope.few):
        sentences.append(
            f"a fraction of the labels: {seeds} seeds vary which pictures are labelled, each class in its share"
        )
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
