"""An encoder on other data sets: linear probe and fine-tuning, beside its baselines and other encoders."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from twofold.data import ImageSet
from twofold.errors import require_choice
from twofold.evaluation.attempt import Attempt
from twofold.evaluation.comparing import PAIRS, Way
from twofold.evaluation.evaluate import Evaluation, conclude, make_attempts, open_ledger
from twofold.evaluation.ledger import Ledger
from twofold.evaluation.scope import Settings, find_scope
from twofold.evaluation.selection import FINE_L2_GRID
from twofold.evaluation.subject import Subject
from twofold.evaluation.table import PROTOCOLS
from twofold.recipes.kinds import as_kind, as_several
from twofold.recipes.recipe import DataRecipe


def transfer_settings(protocols: str | Sequence[str], seeds: int, epochs: float | None) -> Settings:
    """All labels, and L2 among the paper's 45 values (appendix B.8; reference 5.3). The head's layers are left out."""
    names = as_several("protocol", protocols, str)
    for protocol in names:
        require_choice("protocol", protocol, tuple(PROTOCOLS))
    return Settings(
        protocols=names,
        seeds=tuple(range(as_kind("seeds", seeds, int))),
        few_seeds=(0,),
        shots=(),
        fractions=(1.0,),
        epochs=epochs,
        grid=FINE_L2_GRID,
    )


def evaluate_target(
    subject: Subject,
    others: Sequence[Subject],
    images: ImageSet,
    settings: Settings,
    *,
    data: DataRecipe,
    keep: Path,
    say: Callable[[str], None],
) -> Evaluation:
    """Measure `subject` with its baselines on one data set, and `others` without, on the same splits and seeds.

    `keep` is a folder for what has been measured so far, of any number of data sets and encoders.
    """
    scope = find_scope(images, settings, data)
    for line in scope.stated:
        say(f"  {line}")
    own = tuple(protocol for protocol in settings.protocols if protocol != "supervised")  # a baseline of all encoders
    alone = replace(scope, settings=replace(settings, protocols=own, baselines=False))
    attempts, ledgers = list[Attempt](), list[Ledger]()
    for one, part in ((subject, scope), *((other, alone) for other in others)):
        ledgers.append(open_ledger(one, part, keep))
        attempts += make_attempts(one, part, ledger=ledgers[-1], say=say)
    return conclude(scope, attempts, data, pairs=[*PAIRS, *against(others)], ledgers=tuple(ledgers))


def against(others: Sequence[Subject]) -> list[tuple[Way, Way]]:
    """The subject against each of the other encoders, by the same protocol."""
    return [((protocol, "trained"), (protocol, other.name)) for other in others for protocol in ("linear", "finetune")]
