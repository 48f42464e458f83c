"""What the programs that measure have in common: what they are asked for, what they measure beside the run's encoder,
and how they show the figures."""

import os
from collections.abc import Sequence
from typing import NamedTuple

from twofold.console import console, say
from twofold.errors import require
from twofold.evaluation import (
    Evaluation,
    Subject,
    chance_sentence,
    difference_sentence,
    majority_sentence,
    results_table,
    text_curve,
)
from twofold.evaluation.protocols import ENCODERS, INITIAL, layer_name
from twofold.recipes.kinds import as_data, as_kind, as_several
from twofold.runs.foreign_encoders import Beside, load_beside
from twofold.runs.loaded import Loaded

LESS_MEMORY = (
    "Close other programs, compute with --device cpu, or leave finetune and supervised, which take most, out of "
    "--protocol."
)


class Asked(NamedTuple):
    """What both programs that measure are asked for."""

    protocols: tuple[str, ...]
    seeds: int
    schedule: str
    epochs: float | None


def as_asked(protocol: object, seeds: object, schedule: object, epochs: object) -> Asked:
    """The same in plain values. Raises TwofoldError for what has another kind."""
    return Asked(
        as_several("protocol", protocol, str),
        as_kind("seeds", seeds, int),
        as_kind("finetune_schedule", schedule, str),
        as_kind("finetune_epochs", epochs, float | None),
    )


def as_places(name: str, values: object) -> list[str]:
    """Paths or names, one or several. Raises TwofoldError for anything else."""
    return [as_data(one, name) for one in as_several(name, values, os.PathLike)]


def load_others(places: Sequence[str], like: Loaded, *, size_px: int | None = None) -> list[Beside]:
    """The encoders to measure beside that of a run. Raises TwofoldError where two would have one name in the table."""
    others = [load_beside(place, like, size_px=size_px) for place in places]
    taken = [*(other.name for other in others), *ENCODERS, INITIAL]
    for other in others:
        rule = "a name that no other encoder of the table has, and no layer of a head (z, head-1)"
        require(taken.count(other.name) == 1 and layer_name(other.name) is None, "beside", other.name, rule)
    return others


def as_subject(other: Beside, loaded: Loaded) -> Subject:
    """What an evaluation measures of it, on the hardware of the run's encoder."""
    return Subject(name=other.name, encoder=other.encoder, untrained=None, views=other.views, hardware=loaded.hardware)


def show(evaluation: Evaluation) -> None:
    """The table, how the test split came about, the curve, and the differences in words."""
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
    for line in text_curve(evaluation.rows, details["labels_per_class"]):
        say(line)
    for difference in evaluation.differences:
        say(f"  {difference_sentence(difference)}")
    if len(evaluation.differences) > 1:
        say(f"  {chance_sentence(len(evaluation.differences))}")


def forget(*evaluations: Evaluation) -> None:
    """Remove what an interruption would have gone on from."""
    for evaluation in evaluations:
        for store in evaluation.stores:
            store.forget()
