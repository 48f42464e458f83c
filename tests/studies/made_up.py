"""Made-up results, and the record of a study made of them."""

import random
from typing import Any

from twofold.studies.engine.cell import Cell
from twofold.studies.engine.claim import Claim, Comparison, judge, minus
from twofold.studies.engine.panel import Panel
from twofold.studies.engine.results import Results
from twofold.studies.paper.augmentations import PAPER
from twofold.studies.show.places import panel_record

PAIRS = ("Crop", "Cutout", "Color", "Sobel", "Noise", "Blur", "Rotate")
HEADS = ("none", "linear", "nonlinear")
Z_DIMS = ("32", "128", "512")
LOSSES = ("Margin", "NT-Logistic", "Margin, semi-hard", "NT-Logistic, semi-hard", "NT-Xent")


def fill(found: Results, name: str, seeds: int, spread: float = 0.006, **values: float) -> None:
    """Add a cell for each seed, its values around the given ones."""
    drawn = random.Random(name)
    for seed in range(seeds):
        measured = {metric: value + drawn.gauss(0, spread) for metric, value in values.items()}
        found.add(Cell(name=name, seed=seed), measured, learnt=True)


def heat(found: Results, seeds: int = 1) -> Panel:
    """The 7 x 7 pairs of augmentations."""
    places = {(a, b): PAPER[i][j] for i, a in enumerate(PAIRS) for j, b in enumerate(PAIRS)}
    for (a, b), value in places.items():
        fill(found, f"{a}, {b}", seeds, top1=0.3 + value / 200)
    return Panel(
        title="Pairs of augmentations, linear probe",
        rows=PAIRS,
        columns=PAIRS,
        entries={(a, b): (f"{a}, {b}", "top1") for a, b in places},
        kind="heat",
        row_title="first",
        column_title="second",
        paper=places,
        paper_source="figure 5, ResNet-50 on ImageNet, top-1",
    )


def lines(found: Results, seeds: int = 3) -> Panel:
    """Three heads along the width of z."""
    for row, head in enumerate(HEADS):
        for column, z_dim in enumerate(Z_DIMS):
            fill(found, f"{head}, {z_dim}", seeds, top1=0.5 + 0.04 * row + 0.004 * column)
    return Panel(
        title="Heads by the width of z",
        rows=HEADS,
        columns=Z_DIMS,
        entries={(head, z_dim): (f"{head}, {z_dim}", "top1") for head in HEADS for z_dim in Z_DIMS},
        column_title="width of z",
        paper={
            (head, z_dim): 50.5 + 10 * min(row, 1) + 3 * (row > 1) for row, head in enumerate(HEADS) for z_dim in Z_DIMS
        },
        paper_source="figure 8, ResNet-50 on ImageNet, top-1",
    )


def dots(found: Results, seeds: int = 3) -> Panel:
    """The losses, one column."""
    for row, loss in enumerate(LOSSES):
        fill(found, loss, seeds, top1=0.45 + 0.03 * row)
    return Panel(
        title="Losses, each tuned",
        rows=LOSSES,
        columns=("top-1",),
        entries={(loss, "top-1"): (loss, "top1") for loss in LOSSES},
        kind="dots",
        paper=dict(zip([(loss, "top-1") for loss in LOSSES], (50.9, 51.6, 57.5, 57.9, 63.9), strict=True)),
        paper_source="table 4, ResNet-50 on ImageNet, top-1",
    )


def entropies(found: Results, seeds: int = 3) -> Panel:
    """Nats, and one place that nothing is measured for."""
    fill(found, "0.1", seeds, contrast_entropy=1.5)
    return Panel(
        title="Entropy of the contrast",
        rows=("normalised",),
        columns=("0.1", "0.5"),
        entries={("normalised", t): (t, "contrast_entropy") for t in ("0.1", "0.5")},
        unit="nats",
        column_title="temperature",
        paper={("normalised", "0.1"): 4.5, ("normalised", "0.5"): 8.2},
        paper_source="table 5",
    )


CLAIMS = (
    Claim(
        text="A nonlinear head beats a linear one.",
        paper="+3 points",
        comparisons=tuple(minus(f"nonlinear, {z_dim}", f"linear, {z_dim}") for z_dim in Z_DIMS),
        why_not="",
    ),
    Claim(
        text="The width of z does not matter.",
        paper="flat",
        comparisons=(
            Comparison(
                name="512 minus 32", weights={("linear, 512", "top1"): 1.0, ("linear, 32", "top1"): -1.0}, within=0.001
            ),
        ),
        why_not="Two epochs are few.",
    ),
    Claim(
        text="No head is better than one.",
        paper="-10 points",
        comparisons=(minus("none, 32", "nonlinear, 32"),),
        why_not="It was never claimed.",
    ),
)


def record(found: Results, panels: list[Panel], claims: tuple[Claim, ...] = (), **changed: Any) -> dict[str, Any]:
    """The JSON of a study."""
    cells = [
        {
            "name": name,
            "seed": seed,
            "on": "test",
            "recipe": {"temperature": 0.1, "colour_strength": None},
            "measure": {"top1": 0.5},
            "seconds": 61.5,
        }
        for name in found.names()
        for seed in found.seeds(name, "top1")
    ]
    return {
        "study": "heads",
        "asks": "Which head should follow the encoder?",
        "paper": "A nonlinear head beats a linear one by about 3 points (figure 8).",
        "scale": "laptop",
        "command": "twofold study heads --scale laptop --seeds 3",
        "data": {
            "name": "CIFAR10",
            "train": 50000,
            "test": 10000,
            "fingerprint": "ab12",
            "stated": ["5,000 are held out."],
        },
        "base": {
            "name": "cifar10-laptop",
            "loss": {"loss": "nt-xent", "temperature": 0.5},
            "schedule": {"epochs": 2.0},
        },
        "cells": cells,
        "claims": [judge(claim, found).to_dict() for claim in claims],
        "notes": ["NT-Xent: rate 0.6, chosen on <selection>."],
        "panels": [panel_record(panel, found) for panel in panels],
        "seconds": 3723.0,
        "hardware": {"device": "cpu", "precision": "bf16", "cpu": "AMD EPYC", "cores": 2, "threads": 1},
        "versions": {"twofold": "0.1.0", "torch": "2.14.1"},
        "finished": True,
        "cells_planned": len(cells),
        **changed,
    }
