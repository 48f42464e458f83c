"""The protocol, choices, differences and the luck of the test split in sentences, for terminal, JSON and report."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from twofold.evaluation.labels import FOLDS, LEAST_SELECTION, Labels, is_large
from twofold.evaluation.linear_probe import FEW_L2_GRID, FEW_SHOT_L2
from twofold.evaluation.logistic_regression import ITERATIONS
from twofold.evaluation.network_sentences import network_sentences
from twofold.evaluation.predictions import Predictions
from twofold.evaluation.protocols import (
    ENCODERS,
    IMPLIED,
    METRICS,
    PROTOCOLS,
    capital,
    encoder_name,
    layer_name,
    protocol_name,
    with_labels,
)
from twofold.evaluation.schedules import TRAINING_SETTINGS
from twofold.evaluation.scope import Scope
from twofold.evaluation.scores import Difference
from twofold.recipes.recipe import DataRecipe

INTERVALS = (
    "it covers other test images of this kind, with few labels other labelled images, of networks other seeds, of the "
    "untrained encoder other weights; not pretraining again"
)
IN_FOLDS = (
    "it covers other images of this kind to fit and to test on, of networks other seeds, of the untrained encoder "
    "other weights; not pretraining again"
)
_LOWER_IS_BETTER = {"ece"}
_SHOWN = 0.0005  # what is less would be written as 0.0 points


def difference_sentence(difference: Difference, data: str = "") -> str:
    """ "Fine-tuning beats supervised from scratch at 1 % of the labels by 12.3 points (11.0 to 13.6, 5 seeds)."

    `data` names the data set, where there are several. An interval that contains 0 is undecided; where there is none,
    the sentence says so.
    """
    first, second, among = _contenders(difference)
    mean, low, high = difference.mean, difference.low, difference.high
    where = among + _where(difference, data)
    comma = "" if difference.metric == "top1" else ","  # closes what names the metric
    if low is None or high is None:
        side = "above" if mean >= 0 else "below"
        return capital(f"{first} is {_points(abs(mean))} {side} {second}{where}, on one draw: no interval.")
    over = _over(difference)
    if low <= 0 <= high:
        span = f"{signed_interval(low, high)}, {over}"
        if max(-low, high) < _SHOWN:
            return f"No difference between {first} and {second}{where}: less than 0.05 points either way, {over}."
        return f"No clear difference between {first} and {second}{where}: {signed_points(mean)} points ({span})."
    low, high = sorted((abs(low), abs(high)))
    if (mean > 0) == (difference.metric in _LOWER_IS_BETTER):
        first, second = second, first
    verb = "beat" if first == ENCODERS["pixels"] else "beats"
    return capital(
        f"{first} {verb} {second}{where}{comma} by {_points(abs(mean))} ({100 * low:.1f} to {100 * high:.1f}, {over})."
    )


def signed_points(share: float, digits: int = 1) -> str:
    """0.003 -> "+0.3", in points; a minus sign, not a hyphen, before what is below 0, and none before 0.0."""
    shown = f"{100 * abs(share):.{digits}f}"
    return shown if float(shown) == 0 else f"{'+' if share > 0 else chr(0x2212)}{shown}"


def signed_interval(low: float, high: float) -> str:
    """ "+0.3 to +1.2", in points; "less than 0.05 either way" where it would be 0.0 to 0.0.

    A bound that would be 0.0 has two digits: on which side of 0 it lies is what an interval is looked at for.
    """
    if max(-low, high) < _SHOWN and low <= 0 <= high:
        return "less than 0.05 either way"
    return " to ".join(signed_points(bound, 2 if abs(bound) < _SHOWN else 1) for bound in (low, high))


def is_about_head(difference: Difference) -> bool:
    """Whether h is compared with a layer of the projection head."""
    return difference.encoder == "trained" and layer_name(difference.against_encoder) is not None


def protocol_sentences(data: DataRecipe, scope: Scope) -> list[str]:
    """What was fitted on what, what the intervals cover and what they do not."""
    settings = scope.settings
    sentences = ["all of the test split is counted, once, after all fitting"]
    if scope.parts:
        sentences = ["every labelled image is counted, once for each seed, after all fitting"]
    if settings.probes or "sgd" in settings.trained:
        sentences.append("probes: the encoder is frozen, in evaluation mode; a single changed bit would be an error")
    if "knn" in settings.probes:
        sentences.append(
            f"{PROTOCOLS['knn']}: cosine of features as they are, k = min(20, labels per class), votes weigh "
            "exp(similarity / 0.1)"
        )
    if "linear" in settings.probes:
        sentences += _linear_sentences(data, scope)
    sentences += network_sentences(scope) if settings.trained else []
    covers = IN_FOLDS if scope.parts else INTERVALS
    return [
        *sentences,
        f"intervals are at 95 %: {covers}",
        *(_fold_sentences if scope.parts else _draw_sentences)(scope),
    ]


def _linear_sentences(data: DataRecipe, scope: Scope) -> list[str]:
    grid = scope.settings.grid
    how = (
        f"on {data.selection_fraction:.0%} of train"
        if is_large(len(scope.fitted.train), data)
        else f"by {FOLDS}-fold cross-validation on train ({data.selection_fraction:.0%} of it are under "
        f"{LEAST_SELECTION} images)"
    )
    sentences = [
        f"{PROTOCOLS['linear']}: logistic regression by L-BFGS on features scaled by the mean and deviation of all "
        "train images, also for few labels (labels play no part in that)",
        f"all labels: the weight decay is chosen by cross-entropy among {len(grid)} values from {min(grid):g} to "
        f"{max(grid):g} "
        f"{how}, then the probe is fitted again on all of train",
    ]
    if any(labels >= FOLDS if isinstance(labels, int) else True for labels in scope.few):
        sentences.append(
            f"few labels, {FOLDS} and more per class: weight decay by {FOLDS}-fold cross-validation within them"
        )
    if any(labels < FOLDS for labels in scope.few if isinstance(labels, int)):
        sentences.append(f"few labels, under {FOLDS} per class: weight decay fixed at {FEW_SHOT_L2:g}")
    return sentences


def _fold_sentences(scope: Scope) -> list[str]:
    settings = scope.settings
    sentences = ["untrained encoder: fresh weights, no residual branch at zero, where it would be weaker"]
    sentences = sentences if settings.probes and settings.baselines else []
    return [
        *sentences,
        f"cross-validation: {len(settings.seeds)} seeds deal the images to folds anew and, with few labels, draw for "
        "each fold which of the other images are labelled; all choices are made without the fold",
    ]


def _draw_sentences(scope: Scope) -> list[str]:
    settings = scope.settings
    seeds, few_seeds = len(settings.seeds), len(settings.few_seeds)
    sentences = []
    if settings.probes and settings.baselines:
        sentences.append("untrained encoder: fresh weights, no residual branch at zero, where it would be weaker")
    if settings.probes:
        sentences.append(
            f"all labels: {seeds} seeds vary the selection split and the untrained weights; k-NN chooses nothing, so "
            "the trained encoder and pixels are measured once"
        )
    if settings.probes and any(isinstance(labels, int) for labels in scope.few):
        weights = min(seeds, few_seeds)
        sets = "1 set" if weights == 1 else f"{weights} sets"
        sentences += [
            f"few labels: {few_seeds} seeds vary which images are labelled; no other label is used",
            f"few labels, untrained encoder: the {few_seeds} seeds share {sets} of its weights; "
            "the figures on one set are averaged first",
        ]
    if any(isinstance(labels, float) for labels in scope.few):
        sentences.append(
            f"a fraction of the labels: {seeds} seeds vary which images are labelled, each class in its share"
        )
    return sentences


def majority_sentence(majority: Mapping[str, Any]) -> str:
    """What the baseline that looks at no image gets on test."""
    return (
        f"without any image: always predicting the most frequent class, '{majority['class']}', gets "
        f"{100 * majority['top1']:.1f} % top-1 and {100 * majority['mean_per_class']:.1f} % mean per class"
    )


def result_sentences(converged: Sequence[bool]) -> list[str]:
    """How many probes, of which each says so, had not converged; nothing where all had."""
    stopped = sum(not one for one in converged)
    if not stopped:
        return []
    return [
        f"{PROTOCOLS['linear']}: {stopped:,} of {len(converged):,} probes stopped at {ITERATIONS:,} iterations of "
        "L-BFGS, before they had converged"
    ]


def edge_sentences(predictions: Sequence[Predictions], grid: Sequence[float]) -> list[str]:
    """One for the linear probes and one for the networks with such a choice; none where there was none.

    `grid` has the strengths of weight decay that linear probes with all labels chose among. Cross-validated, a draw's
    decay is the middle one of its folds, and how networks are trained that of the first fold.
    """
    kinds = (list(_of_probes(predictions, grid)), list(_of_networks(predictions)))
    return [f"at the edge of what was tried: {'; '.join(kind)}" for kind in kinds if kind]


def _contenders(difference: Difference) -> tuple[str, str, str]:
    """The two names, and what both share."""
    protocol, against = difference.protocol, difference.against_protocol
    if is_about_head(difference) and protocol == against:
        return "h", str(layer_name(difference.against_encoder)), f" under {protocol_name(protocol)}"
    if protocol == against:
        among = {"finetune": " after fine-tuning"}.get(protocol, f" under {protocol_name(protocol)}")
        return encoder_name(difference.encoder), encoder_name(difference.against_encoder), among
    same = difference.encoder == difference.against_encoder == "trained"
    return _way(protocol, difference.encoder, same), _way(against, difference.against_encoder, same), ""


def _over(difference: Difference) -> str:
    """What the interval covers; older files have "seeds" alone, or "images", which are test images."""
    seeds = "1 seed" if difference.seeds == 1 else f"{difference.seeds:,} seeds"
    if difference.over in ("images", "pictures"):
        return "over the test images"
    return f"over {seeds} alone" if difference.over == "seeds" else f"over {seeds} and the test images"


def _way(protocol: str, encoder: str, same: bool) -> str:
    name = protocol_name(protocol)
    return name if same or IMPLIED.get(protocol) == encoder else f"{name} on {encoder_name(encoder)}"


def _where(difference: Difference, data: str) -> str:
    place = f" on {data}" if data else ""
    labels = "" if data and difference.labels == "all" else f" {with_labels(difference.labels)}"
    metric = "" if difference.metric == "top1" else f", in {METRICS.get(difference.metric, difference.metric)}"
    return place + labels + metric


def _points(share: float) -> str:
    shown = f"{100 * share:.1f}"
    return f"{shown} {'point' if shown == '1.0' else 'points'}"


def _of_probes(predictions: Sequence[Predictions], grid: Sequence[float]) -> Iterator[str]:
    drawn: dict[tuple[str, Labels], list[float]] = {}
    for one in predictions:
        if one.protocol == "linear" and one.l2 is not None:
            drawn.setdefault((one.encoder, one.labels), []).append(one.l2)
    for (encoder, labels), chosen in drawn.items():
        tried = grid if labels == "all" else FEW_L2_GRID
        for end in (max(tried), min(tried)) if len(tried) > 1 else ():
            if count := chosen.count(end):
                where = f"{PROTOCOLS['linear']} on {encoder_name(encoder)} {with_labels(labels)}"
                yield f"{where}, weight decay {end:g} in {count} of {len(chosen)} {_draws(len(chosen))}"


def _of_networks(predictions: Sequence[Predictions]) -> Iterator[str]:
    """Each protocol and budget once: its choices are those of all seeds."""
    chosen = {
        (one.protocol, one.encoder, one.labels): one
        for one in predictions
        if one.base_lr is not None and one.protocol in TRAINING_SETTINGS
    }
    for (protocol, encoder, labels), one in chosen.items():
        rates = TRAINING_SETTINGS[protocol].rates
        if one.training is not None:
            edges = list(one.training["edges"])
        else:  # the paper's schedule: the rate alone is chosen
            edges = ["learning rate"] if len(rates) > 1 and one.base_lr in (min(rates), max(rates)) else []
        if edges:
            who = PROTOCOLS[protocol] if encoder in ENCODERS else f"{PROTOCOLS[protocol]} of {encoder}"
            yield f"{who} {with_labels(labels)}, {' and '.join(edges)}"


def _draws(count: int) -> str:
    return "draw" if count == 1 else "draws"
