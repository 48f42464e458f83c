"""Length one or not, and which temperature (paper, section 5.1 and table 5)."""

from dataclasses import replace

from twofold.studies.engine.cell import Cell, with_seeds
from twofold.studies.engine.claim import Claim, Comparison, minus
from twofold.studies.engine.panel import Panel
from twofold.studies.engine.results import Results
from twofold.studies.engine.scale import Scale
from twofold.studies.engine.study import Study
from twofold.studies.engine.tuning import TUNING_SEED, Tuning, Values, tune

NORMALISED = (0.05, 0.1, 0.2, 0.5, 1.0)
BETWEEN = [f"normalised, {t:g}" for t in NORMALISED[1:-1]]
PLAIN = (10.0, 100.0)
PAPER = {  # contrastive accuracy, entropy, top-1
    "normalised, 0.05": (90.5, 1.0, 59.7),
    "normalised, 0.1": (87.8, 4.5, 64.4),
    "normalised, 0.5": (68.2, 8.2, 60.7),
    "normalised, 1": (59.1, 8.3, 58.0),
    "plain, 10": (91.7, 0.5, 57.2),
    "plain, 100": (92.1, 0.5, 57.0),
}
_COLUMNS = {"top1": "linear probe, top-1", "contrast_accuracy": "contrastive accuracy", "contrast_entropy": "entropy"}


def _grid() -> list[Cell]:
    ours = [Cell(name=f"normalised, {t:g}", settings={"normalize": True, "temperature": t}) for t in NORMALISED]
    return ours + [Cell(name=f"plain, {t:g}", settings={"normalize": False, "temperature": t}) for t in PLAIN]


def _tuning() -> list[Cell]:
    return [replace(cell, on="selection", seed=TUNING_SEED) for cell in _grid()]


def _rates(scale: Scale, results: Results) -> dict[str, Tuning]:
    """Each temperature's own learning rate, chosen short and on selection; none where all take the base recipe's."""

    def tuning(cell: Cell) -> Tuning:
        def make(values: Values) -> Cell:
            name, settings = f"{cell.name}, rate {values['base_lr']:g}", {**cell.settings, **values}
            settings["epochs"] = scale.short * scale.epochs
            return replace(cell, name=name, settings=settings, on="selection", seed=TUNING_SEED)

        return tune({"base_lr": scale.tuning["base_lr"]}, make, results, seeds=scale.tuning_seeds)

    return {cell.name: tuning(cell) for cell in _grid()} if scale.tuned else {}


def cells(scale: Scale, seeds: int, results: Results) -> list[Cell]:
    """The grid, and what is chosen on selection: the best temperature, and the rate of each where a scale tunes it."""
    rates = _rates(scale, results)
    if not rates:
        return with_seeds(_grid(), seeds) + _tuning()
    tuning = [cell for one in rates.values() for cell in one.cells]
    if not all(one.best for one in rates.values()):
        return tuning
    final = [replace(cell, settings={**cell.settings, **rates[cell.name].chosen}) for cell in _grid()]
    return tuning + scale.repeated(final, seeds)


def notes(scale: Scale, results: Results) -> list[str]:
    """Which rates and which temperature were chosen, and whether that is the last one before an extreme."""
    rates = [
        f"{name}: {tuning.told({'base_lr': 'rate'})}, chosen on selection"
        for name, tuning in _rates(scale, results).items()
        if tuning.best
    ]
    best = _best(scale, results, BETWEEN)
    if best is None:
        return rates
    edge = ", at the edge of these" if best in (BETWEEN[0], BETWEEN[-1]) else ""
    return [*rates, f"{best}: the best of {len(BETWEEN)} temperatures between the extremes{edge}, chosen on selection"]


def _best(scale: Scale, results: Results, names: list[str]) -> str | None:
    """The temperature that is best on selection; None until it is known."""
    rates = _rates(scale, results)
    if not rates:
        return results.best(names, "top1") if results.has(_tuning()) and results.has(_grid()) else None
    chosen = {name: rates[name].best for name in names}
    top1s = {name: results.mean(cell.name, "top1", "selection") for name, cell in chosen.items() if cell is not None}
    return max(top1s, key=lambda name: top1s[name]) if len(top1s) == len(names) else None


def panels(scale: Scale, results: Results) -> list[Panel]:  # noqa: ARG001
    """Table 5 in two parts: shares, and the entropy."""
    rows = tuple(cell.name for cell in _grid())
    shares = ("top1", "contrast_accuracy")
    paper = {(row, name): PAPER[row][place] for row in PAPER for name, place in _PLACES.items()}
    source = "table 5: ResNet-50, ImageNet, contrastive batch 4096"
    return [
        Panel(
            title="Length one (normalised) or not (plain), and the temperature",
            rows=rows,
            columns=tuple(_COLUMNS[name] for name in shares),
            entries={(row, _COLUMNS[name]): (row, name) for row in rows for name in shares},
            kind="dots",
            paper={(row, _COLUMNS[name]): value for (row, name), value in paper.items() if name in shares},
            paper_source=source,
        ),
        Panel(
            title="Entropy of the search for the positive",
            rows=rows,
            columns=("entropy",),
            entries={(row, "entropy"): (row, "contrast_entropy") for row in rows},
            kind="dots",
            unit="nats",
            paper={(row, "entropy"): value for (row, name), value in paper.items() if name == "contrast_entropy"},
            paper_source=source,
        ),
    ]


_PLACES = {"contrast_accuracy": 0, "contrast_entropy": 1, "top1": 2}


def claims(scale: Scale, results: Results) -> list[Claim]:
    """Normalised with the right temperature wins; contrastive accuracy does not predict it."""
    coldest, warmest = (f"normalised, {t:g}" for t in (NORMALISED[0], NORMALISED[-1]))
    plain = [f"plain, {t:g}" for t in PLAIN]
    every = (coldest, *BETWEEN, warmest, *plain)
    chosen = _best(scale, results, BETWEEN)
    ready = chosen is not None and all(results.seeds(name, "contrast_accuracy") for name in every)
    best = chosen or "normalised, 0.1"
    surest = results.best(every, "contrast_accuracy", on="test") if ready else "plain, 100"
    return [
        Claim(
            text="Normalised z with the right temperature beats plain inner products",
            paper="64.4 at temperature 0.1, 57.2 at most without normalisation (table 5)",
            comparisons=tuple(minus(best, other) for other in plain),
            why_not="At a batch of 256 plain inner products may not yet overwhelm the loss."
            if scale.tuned
            else "The temperature was chosen with one seed, and the rates were not tuned for each temperature.",
            settled=True,
        ),
        Claim(
            text="The temperature matters: the best in between beats the extremes",
            paper="64.4 at 0.1, 59.7 at 0.05 and 58.0 at 1 (table 5)",
            comparisons=(minus(best, coldest), minus(best, warmest)),
            why_not="At a batch of 256 the best temperature lies higher and flatter than at 4096.",
            settled=True,
        ),
        Claim(
            text="Contrastive accuracy does not predict the probe: where it is highest, the probe is behind the best",
            paper="accuracy 92.1 with top-1 57.0, accuracy 87.8 with top-1 64.4 (table 5)",
            comparisons=(
                minus(best, surest),
                Comparison(
                    name=f"contrastive accuracy of {surest} minus that of {best}",
                    weights={(surest, "contrast_accuracy"): 1.0, (best, "contrast_accuracy"): -1.0},
                ),
            )
            if best != surest
            else (minus(plain[-1], best, "contrast_accuracy"),),
            why_not="At this scale the temperature that is best also finds the positive most often.",
        ),
    ]


STUDY = Study(
    name="temperature",
    asks="Should z have length one, and which temperature is right?",
    paper="Normalised z at temperature 0.1 is best; high contrastive accuracy does not mean good features (table 5).",
    cells=cells,
    panels=panels,
    claims=claims,
    notes=notes,
)
