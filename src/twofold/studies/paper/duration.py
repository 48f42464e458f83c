"""How long, and what the decoupled loss does for small batches (paper, figure 9; DCL: reference 2.3)."""

from twofold.studies.engine.cell import Cell, of_premises, with_seeds
from twofold.studies.engine.claim import Claim, Comparison, mean_of
from twofold.studies.engine.panel import Panel
from twofold.studies.engine.results import Results
from twofold.studies.engine.scale import Scale
from twofold.studies.engine.study import Study


def _rows(scale: Scale) -> dict[str, tuple[str, int]]:
    """Row -> loss and batch size."""
    small, own = scale.batch_sizes[0], scale.base.schedule.batch_size
    return {
        f"NT-Xent, batch {own}": ("nt-xent", own),
        f"NT-Xent, batch {small}": ("nt-xent", small),
        f"DCL, batch {small}": ("dcl", small),
    }


def cells(scale: Scale, seeds: int, results: Results) -> list[Cell]:  # noqa: ARG001
    """Each loss and batch at every length."""
    grid = [
        Cell(
            name=_name(row, length),
            settings={"loss": loss, "batch_size": size, "epochs": length * scale.epochs},
        )
        for length in scale.lengths
        for row, (loss, size) in _rows(scale).items()
    ]
    premises = [cell for cell in grid if cell.settings["loss"] == "nt-xent"]
    return with_seeds(grid, seeds) + (of_premises(premises) if scale.checked else [])


def _name(row: str, length: float) -> str:
    return f"{row}, length {length:g}"


def panels(scale: Scale, results: Results) -> list[Panel]:  # noqa: ARG001
    """Accuracy against epochs."""
    rows = tuple(_rows(scale))
    columns = {f"{length * scale.epochs:g}": length for length in scale.lengths}
    return [
        Panel(
            title="Epochs of pretraining, linear probe, top-1",
            rows=rows,
            columns=tuple(columns),
            entries={(row, column): (_name(row, columns[column]), "top1") for row in rows for column in columns},
            column_title="epochs",
        )
    ]


def claims(scale: Scale, results: Results) -> list[Claim]:  # noqa: ARG001
    """Longer helps; DCL closes part of the gap of small batches."""
    own, small, decoupled = _rows(scale)
    short, long = scale.lengths[0], scale.lengths[-1]
    at = {row: [_name(row, length) for length in scale.lengths] for row in (own, small, decoupled)}
    return [
        Claim(
            text="Longer training helps",
            paper="about 64.5 after 100 epochs (the official README), 69.3 after 1000 (table 6)",
            comparisons=(
                Comparison(
                    name=f"{own}, {long * scale.epochs:g} epochs minus {short * scale.epochs:g}",
                    weights={(_name(own, long), "top1"): 1.0, (_name(own, short), "top1"): -1.0},
                ),
            ),
            why_not="The lengths lie too close together to tell.",
        ),
        Claim(
            text="The decoupled loss closes part of the gap between a small batch and a larger one",
            paper="not in the paper; lightly's benchmark has +1.9 at batch 256 after 100 epochs",
            premises=(
                Comparison(
                    name=f"the gap: {own} minus {small}, mean over the lengths",
                    weights=mean_of(at[own]) | mean_of(at[small], -1.0),
                ),
            ),
            comparisons=(
                Comparison(
                    name=f"{decoupled} minus {small}, mean over the lengths",
                    weights=mean_of(at[decoupled]) | mean_of(at[small], -1.0),
                ),
            ),
            why_not="In few epochs a small batch takes more steps and is not behind, so that there is no gap to close.",
        ),
    ]


STUDY = Study(
    name="duration",
    asks="How long should pretraining be, and does a decoupled loss help small batches?",
    paper="Longer training helps at every batch size (figure 9); DCL is later work (Yeh et al. 2021).",
    cells=cells,
    panels=panels,
    claims=claims,
)
