"""Runs compared on the test images that all of them were measured on; nothing is measured again."""

import json
from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from twofold.console import obeys_verbose, say
from twofold.errors import TwofoldError
from twofold.evaluation import Difference, KeptPredictions, chance_sentences, difference_sentence
from twofold.evaluation.labels import Labels
from twofold.evaluation.prediction_file import as_labels
from twofold.evaluation.scores import HITS, Sampling, Score, difference
from twofold.recipes.kinds import AnyPath, as_kind, as_path
from twofold.runs.evaluation_folder import PREDICTIONS, kept_measurements
from twofold.runs.run_directory import Run


@obeys_verbose
def compare(*runs: AnyPath, verbose: bool = True) -> list[Difference]:
    """Compare the trained encoders of two or more runs in pairs, from what 'twofold evaluate' has kept.

    Each difference in top-1 accuracy (mean accuracy per class, where that led the first run's evaluation) is paired:
    the same test images and, with few labels, the same labelled images. It has the 95 % interval of `twofold.evaluate`.
    Of each run, the newest evaluation on the same test images counts.
    Raises TwofoldError for fewer than two runs, for a run without predictions, and for runs without common test images.
    """
    verbose = as_kind("verbose", verbose, bool)
    folders = [as_path("run", run) for run in runs]
    different = len({folder.resolve() for folder in folders})
    if different < 2:
        raise TwofoldError(f"{different or 'no'} run is given, but two or more are compared. Give another RUN.")
    if different < len(folders):
        raise TwofoldError(f"{len(folders)} runs are given, of which {different} are different. Give each RUN once.")
    kept = _on_common_images({str(folder): _kept(Run(folder)) for folder in folders})
    differences = [
        one for first, second in combinations(kept, 2) for one in _differences(first, kept[first], second, kept[second])
    ]
    if not differences:
        raise TwofoldError(
            "the runs were measured by no protocol and number of labels in common. Measure them alike with "
            "'twofold evaluate'."
        )
    for sentence in [*map(difference_sentence, differences), *chance_sentences(len(differences))]:
        say(f"  {sentence}")
    return differences


def _kept(run: Run) -> dict[Path, KeptPredictions]:
    """Folder -> predictions, the newest first, those of transfers after those of evaluations."""
    run.read_recipe()
    kept = [*kept_measurements(run.evaluations), *kept_measurements(run.transfers)]
    folders = [folder for folder in kept if (folder / PREDICTIONS).is_file()]
    if not folders:
        raise TwofoldError(
            f"'{run.folder}' has no evaluations/*/{PREDICTIONS} or transfers/*/{PREDICTIONS}, and runs "
            "are compared image by image. Measure it with "
            "'twofold evaluate' first."
        )
    return {folder: KeptPredictions(folder / PREDICTIONS) for folder in folders}


def _on_common_images(
    by_run: Mapping[str, dict[Path, KeptPredictions]],
) -> dict[str, tuple[Path, KeptPredictions]]:
    """Of each run the newest evaluation on the first run's newest set of test images that all of them share."""
    first, *others = by_run
    for folder, own in by_run[first].items():
        chosen = {first: (folder, own)}
        for other in others:
            same = [item for item in by_run[other].items() if _same_images(own, item[1])]
            if same:
                chosen[other] = same[0]
        if len(chosen) == len(by_run):
            return chosen
    raise TwofoldError(
        f"{' and '.join(by_run)} were measured on different test images, but a comparison needs the same ones. Measure "
        "them on one data set with 'twofold evaluate'."
    )


def _same_images(one: KeptPredictions, other: KeptPredictions) -> bool:
    same = one.paths == other.paths and np.array_equal(one.truth, other.truth) and bool(one.folds) == bool(other.folds)
    seeds = one.folds.keys() & other.folds.keys()
    return same and all(np.array_equal(one.folds[seed], other.folds[seed]) for seed in seeds)


def _differences(
    name: str, first: tuple[Path, KeptPredictions], other: str, second: tuple[Path, KeptPredictions]
) -> list[Difference]:
    (folder, own), (_, theirs) = first, second
    ours, against = _by_way(own, name), _by_way(theirs, other)
    details = _details(folder)
    truth = np.unique(own.truth, return_inverse=True)[1]
    sampling = Sampling(truth=truth, groups=own.groups, taken=details.taken, folds=own.folds)
    return [
        difference(scores, against[way], sampling, details.leading) for way, scores in ours.items() if way in against
    ]


def _by_way(kept: KeptPredictions, name: str) -> dict[tuple[str, Labels], list[Score]]:
    """(protocol, labels) -> scores of the trained encoder, which is called by the run's name."""
    ways: dict[tuple[str, Labels], list[Score]] = {}
    for score in kept.scores:
        if score.encoder == "trained":
            ways.setdefault((score.protocol, score.labels), []).append(replace(score, encoder=name))
    return ways


class _Details(NamedTuple):
    """`taken`: the share of the labelled images that a draw takes; `leading`: the metric of the differences."""

    taken: dict[Labels, float]
    leading: str


def _details(folder: Path) -> _Details:
    file = folder / "evaluation_details.json"
    try:
        details = json.loads(file.read_text(encoding="utf-8"))
        differences = details.get("differences") or [{}]
        leading = differences[0].get("metric", "top1")
        if leading not in HITS:
            raise ValueError(f"differences of {leading}")
        return _Details(_taken(details), leading)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TwofoldError(
            f"'{file}' is missing or damaged ({error}), and the interval needs its number of labels. Measure the run "
            "again with 'twofold evaluate'."
        ) from error


def _taken(details: dict[str, Any]) -> dict[Labels, float]:
    """Of files without it: as many a class of as many as there are."""
    if "taken" in details:
        return {as_labels(text): float(share) for text, share in details["taken"].items()}
    counts = {as_labels(text): count for text, count in details["labels_per_class"].items()}
    return {labels: round(count * len(details["classes"])) / details["train"] for labels, count in counts.items()}
