"""What the programs that measure have in common: what they are asked for, what they compare the run's encoder with,
and how they show the figures."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int64
from torch import nn

from twofold.console import console, say
from twofold.data import ImageSet
from twofold.data.leak import find_leak
from twofold.data.survey import said_of_finding
from twofold.errors import require
from twofold.evaluation import (
    Evaluation,
    Subject,
    chance_sentences,
    difference_sentence,
    embed_images,
    majority_sentence,
    results_table,
    text_curve,
    write_predictions,
)
from twofold.evaluation.labels import is_cross_validated
from twofold.evaluation.protocols import ENCODERS, INITIAL, layer_name
from twofold.recipes.kinds import as_data, as_kind, as_several
from twofold.runs.encoder_file import build_untrained
from twofold.runs.evaluation_folder import PREDICTIONS
from twofold.runs.loaded import Loaded
from twofold.runs.other_encoders import OtherEncoder, load_other

_AMONG = 4000  # train images that are embedded once more, to see whether the test split leaks
LESS_MEMORY = (
    "Close other programs, compute with --device cpu, or leave finetune and supervised, which take most, out of "
    "--protocol."
)


class Asked(NamedTuple):
    """What both programs that measure are asked for."""

    protocols: tuple[str, ...]
    seeds: tuple[int, ...]
    schedule: str
    epochs: float | None


def as_asked(protocol: object, seeds: object, schedule: object, epochs: object) -> Asked:
    """The same in plain values. Raises TwofoldError for what has another kind."""
    return Asked(
        as_several("protocol", protocol, str),
        tuple(range(as_kind("seeds", seeds, int))),
        as_kind("finetune_schedule", schedule, str),
        as_kind("finetune_epochs", epochs, float | None),
    )


def as_places(name: str, values: object) -> list[str]:
    """Paths or names, one or several. Raises TwofoldError for anything else."""
    return [as_data(one, name) for one in as_several(name, values, os.PathLike)]


def load_others(places: Sequence[str], like: Loaded, *, size_px: int | None = None) -> list[OtherEncoder]:
    """The encoders to compare that of a run with. Raises TwofoldError where two would have one name in the table."""
    others = [load_other(place, like, size_px=size_px) for place in places]
    taken = [*(other.name for other in others), *ENCODERS, INITIAL]
    for other in others:
        rule = "a name that no other encoder of the table has, and no layer of a head (z, head-1)"
        require(taken.count(other.name) == 1 and layer_name(other.name) is None, "beside", other.name, rule)
    return others


def run_subject(loaded: Loaded, head: nn.Sequential | None = None) -> Subject:
    """The encoder of a run, with its baseline."""
    return Subject(
        encoder=loaded.encoder,
        untrained=lambda seed: build_untrained(loaded.recipe, seed, loaded.hardware),
        views=loaded.recipe.views,
        hardware=loaded.hardware,
        head=head,
    )


def as_subject(other: OtherEncoder, loaded: Loaded) -> Subject:
    """What an evaluation measures of it, on the hardware of the run's encoder."""
    return Subject(name=other.name, encoder=other.encoder, untrained=None, views=other.views, hardware=loaded.hardware)


def seen_in_pretraining(images: ImageSet, own: str) -> list[str]:
    """Whether pretraining, on images of the fingerprint `own`, may have read what is tested on: a sentence, or none."""
    if images.fingerprint != own:
        return [
            "pretraining read other images or other splits than these: some of the test images may have been among its "
            "unlabelled ones"
        ]
    labelled = len(images.labelled_rows("train"))
    if labelled and is_cross_validated(images):
        return [f"pretraining read {labelled:,} of these images, without their labels"]
    return []


def add_caveats(evaluation: Evaluation, images: ImageSet, loaded: Loaded, seen: Sequence[str]) -> None:
    """To the caveats of an evaluation what was `seen` in pretraining, and whether the test split leaks."""

    def embed(rows: Int64[np.ndarray, " n"]) -> Float32[np.ndarray, "n d"]:
        return embed_images(loaded.encoder, images, rows, views=loaded.recipe.views, hardware=loaded.hardware)

    leak = find_leak(images, embed, most=_AMONG)
    for finding in leak:
        say(f"  {said_of_finding(finding)}")
    for part in ("stated", "caveats"):
        evaluation.details[part] += [*seen, *(finding.text for finding in leak)]


def show(evaluation: Evaluation) -> None:
    """The table, how the test split came about, caveats, choices at an edge, the curve, differences in words."""
    details = evaluation.details
    notes = (evaluation.about_test, majority_sentence(details["majority"]))
    table = results_table(
        evaluation.rows,
        note="\n".join(notes),
        cross_validated=details["cross_validated"],
        per_class=details["labels_per_class"],
        majority=details["majority"],
    )
    console.print(table)
    for caveat in details["caveats"]:
        say(f"  Caveat: {caveat}")
    for edge in details["edges"]:
        say(f"  Chosen {edge}")
    for line in text_curve(evaluation.rows, details["labels_per_class"]):
        say(line)
    for difference in evaluation.differences:
        say(f"  {difference_sentence(difference)}")


def keep_predictions(folder: Path, images: ImageSet, evaluation: Evaluation) -> None:
    """What was predicted for every test image, in a folder of kept figures, unless it is there."""
    if not (folder / PREDICTIONS).exists():
        write_predictions(
            folder / PREDICTIONS,
            evaluation.predictions,
            paths=[images.paths[row] for row in evaluation.answers.rows],
            truth=evaluation.answers.truth,
            classes=evaluation.details["classes"],
            groups=evaluation.groups,
            folds=evaluation.folds,
        )


def say_chance(*evaluations: Evaluation) -> None:
    """How many of all their differences would look clear by chance."""
    for sentence in chance_sentences(sum(len(evaluation.differences) for evaluation in evaluations)):
        say(f"  {sentence}")


def forget(*evaluations: Evaluation) -> None:
    """Remove what an interruption would have gone on from."""
    for evaluation in evaluations:
        for store in evaluation.stores:
            store.forget()
