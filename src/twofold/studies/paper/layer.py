"""Which layer holds the representation, and what z has lost (paper, section 4.2 and table 3)."""

from twofold.hardware.randomness import weights_of_seed
from twofold.models import build_encoder
from twofold.studies.engine.cell import Cell
from twofold.studies.engine.claim import Claim, Comparison
from twofold.studies.engine.panel import Panel
from twofold.studies.engine.results import Results
from twofold.studies.engine.scale import Scale
from twofold.studies.engine.study import Study
from twofold.studies.engine.transformed import TRANSFORMATIONS
from twofold.views import build_policy

PAPER = {"colour or grey": (99.3, 97.4), "rotation": (67.6, 25.6), "noise": (99.5, 59.6), "Sobel": (96.6, 56.3)}
CHANCE = {"colour or grey": 0.8, "rotation": 0.25, "noise": 0.5, "Sobel": 0.5}
KNOWN = 0.1  # what h does not tell by so much above chance, z cannot have lost
FIRST = "colour or grey"  # already in the policy; the others are added to it, each in a pretraining of its own


def cells(scale: Scale, seeds: int, results: Results) -> list[Cell]:  # noqa: ARG001
    """One pretraining for each transformation that is told; z is as long as h."""
    base = scale.base
    with weights_of_seed(0):
        dim = build_encoder(base.encoder, channels=base.data.channels, size_px=base.views.size_px).dim
    policy = build_policy(base.views)
    told = [
        Cell(
            name=name,
            settings={"z_dim": dim} | ({} if name == FIRST else {"ops": (*policy, op)}),
            measure="layers",
            options={"tell": name},
        )
        for name, op in TRANSFORMATIONS.items()
    ]
    return scale.repeated(told, seeds, premises=told)


def panels(scale: Scale, results: Results) -> list[Panel]:  # noqa: ARG001
    """Probes along the network, and table 3."""
    layers = (*(f"stage-{stage}" for stage in range(1, scale.base.encoder.stages)), "h", "head-1", "z")
    told = tuple(TRANSFORMATIONS)
    columns = ("h", "z")
    return [
        Panel(
            title="Linear probe on each layer, top-1",
            rows=("linear probe",),
            columns=layers,
            entries={("linear probe", layer): (FIRST, layer) for layer in layers},
            column_title="layer",
        ),
        Panel(
            title="Which transformation was applied: told right by a small network",
            rows=told,
            columns=columns,
            entries={(name, column): (name, f"told from {column}") for name in told for column in columns},
            kind="dots",
            paper={(name, column): PAPER[name][i] for name in told for i, column in enumerate(columns)},
            paper_source="table 3: ResNet-50, ImageNet; chance 80, 25, 50 and 50",
        ),
    ]


def claims(scale: Scale, results: Results) -> list[Claim]:  # noqa: ARG001
    """h beats z; z has lost what augmentation changes."""
    return [
        Claim(
            text="h beats z",
            paper="by more than 10 points (figure 8)",
            comparisons=(Comparison(name="h minus z", weights={(FIRST, "h"): 1.0, (FIRST, "z"): -1.0}),),
            why_not="After few epochs z has not yet become blind to much.",
            settled=True,
        ),
        *(
            Claim(
                text=f"z has lost what the augmentations change: {name}",
                paper=f"told right {PAPER[name][0]:g} % from h, {PAPER[name][1]:g} % from z (table 3)",
                comparisons=(
                    Comparison(
                        name=f"{name}, told from h minus from z",
                        weights={(name, "told from h"): 1.0, (name, "told from z"): -1.0},
                    ),
                ),
                premises=(
                    Comparison(
                        name=f"{name}, told from h, above chance by {100 * KNOWN:g} points",
                        weights={(name, "told from h"): 1.0},
                        above=chance + KNOWN,
                    ),
                ),
                why_not="z becomes blind to an augmentation only with training; after few epochs it still tells some.",
            )
            for name, chance in CHANCE.items()
        ),
    ]


STUDY = Study(
    name="layer",
    asks="Which layer holds the representation, and what has z lost?",
    paper="h beats z by more than 10 points, and z tells hardly which transformation was applied (figure 8, table 3).",
    cells=cells,
    panels=panels,
    claims=claims,
)
