"""What the programs that measure have in common: what they are asked for, and how they show what they found."""

from typing import NamedTuple

from twofold.console import console, say
from twofold.evaluation import Evaluation, difference_sentence, majority_sentence, results_table, text_curve
from twofold.recipes.kinds import as_kind, as_several

LESS_MEMORY = (
    "Close other programs, compute with --device cpu, or leave finetune and supervised, which take most, out of "
    "--protocol."
)


class Asked(NamedTuple):
    """What both programs that measure are asked for."""

    protocols: tuple[str, ...]
    seeds: int
    epochs: float | None


def as_asked(protocol: object, seeds: object, epochs: object) -> Asked:
    """The same in plain values. Raises TwofoldError for what has another kind."""
    return Asked(
        as_several("protocol", protocol, str),
        as_kind("seeds", seeds, int),
        as_kind("finetune_epochs", epochs, float | None),
    )


def show(evaluation: Evaluation) -> None:
    """The table, how the test split came about, the curve, and the differences in words."""
    details = evaluation.details
    notes = (evaluation.about_test, majority_sentence(details["majority"]))
    console.print(results_table(evaluation.rows, note="\n".join(notes)))
    for line in text_curve(evaluation.rows, details["labels_per_class"]):
        say(line)
    for difference in evaluation.differences:
        say(f"  {difference_sentence(difference)}")


def forget(*evaluations: Evaluation) -> None:
    """Remove what an interruption would have gone on from."""
    for evaluation in evaluations:
        for store in evaluation.stores:
            store.forget()
