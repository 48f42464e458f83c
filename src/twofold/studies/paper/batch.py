"""How large a batch, for how long, with which scaling of the learning rate (paper, section 5.2, figure 9, B.1)."""

from math import sqrt

from twofold.optim import peak_lr
from twofold.studies.engine.cell import Cell, of_premises, with_seeds
from twofold.studies.engine.claim import Claim, Comparison, minus
from twofold.studies.engine.panel import Panel
from twofold.studies.engine.results import Results
from twofold.studies.engine.scale import Scale
from twofold.studies.engine.study import Study
from twofold.studies.engine.tuning import TUNING_SEED, Tuning, Values, tune

SCALINGS = {"linear": "linear scaling", "sqrt": "sqrt scaling"}
TUNED = {"tuned": "a rate of its own"}
OPTIMIZERS = {"SGD": "sgd", "LARS": "lars"}


def _lengths(scale: Scale) -> tuple[float, float]:
    return scale.lengths[0], scale.lengths[-1]


def _name(size: int, scaling: str, length: float) -> str:
    return f"batch {size}, {scaling}, length {length:g}"


def _ways(scale: Scale) -> dict[str, str]:
    """How a batch gets its rate: by scaling that of the base recipe, or by a choice of its own."""
    return TUNED if scale.tuned else SCALINGS


def _grid(scale: Scale, results: Results) -> list[Cell]:
    optim, own = scale.base.optim, scale.base.schedule.batch_size
    rates = {"linear": optim.base_lr, "sqrt": peak_lr(optim, own) / sqrt(own)}  # equal at the base's own batch
    chosen = {size: one.chosen for size, one in _rates(scale, results).items()}
    return [
        Cell(
            name=_name(size, way, length),
            settings={
                "batch_size": size,
                "lr_scaling": "linear" if way == "tuned" else way,
                "base_lr": chosen[size]["base_lr"] if way == "tuned" else rates[way],
                "epochs": length * scale.epochs,
            },
        )
        for length in _lengths(scale)
        for way in _ways(scale)
        for size in scale.batch_sizes
        if way != "tuned" or chosen[size]
    ]


def _rates(scale: Scale, results: Results) -> dict[int, Tuning]:
    """The rate of each batch, chosen short and on selection; none where rates are scaled."""

    def tuning(size: int) -> Tuning:
        def make(values: Values) -> Cell:
            settings = {"batch_size": size, "epochs": scale.short * scale.epochs, **values}
            name = f"batch {size}, rate {values['base_lr']:g}"
            return Cell(name=name, settings=settings, on="selection", seed=TUNING_SEED)

        return tune({"base_lr": scale.tuning["base_lr"]}, make, results, seeds=scale.tuning_seeds)

    return {size: tuning(size) for size in scale.batch_sizes} if scale.tuned else {}


def _tuning(scale: Scale, optimizer: str, results: Results) -> Tuning:
    """Learning rates of an optimizer at the middle batch, short, on selection."""
    settings = {
        "optimizer": OPTIMIZERS[optimizer],
        "lr_scaling": "linear",
        "epochs": scale.short * scale.epochs,
        "batch_size": scale.batch_sizes[(len(scale.batch_sizes) - 1) // 2],
    }

    def make(values: Values) -> Cell:
        name = f"{optimizer}, rate {values['base_lr']:g}"
        return Cell(name=name, settings={**settings, **values}, on="selection", seed=TUNING_SEED)

    rates = scale.tuning["lars_lr" if optimizer == "LARS" else "base_lr"]
    return tune({"base_lr": rates}, make, results, seeds=scale.tuning_seeds)


def _tuned(scale: Scale, optimizer: str, best: Cell) -> list[Cell]:
    """The optimizer with its best rate at the middle batch, and with that scaled linearly at the largest."""
    largest = {**best.settings, "batch_size": scale.largest_batch or scale.batch_sizes[-1]}
    return [
        Cell(name=f"{optimizer}, middle batch", settings=best.settings),
        Cell(name=f"{optimizer}, largest batch", settings=largest, may_fail=True),  # that it does is the claim
    ]


def cells(scale: Scale, seeds: int, results: Results) -> list[Cell]:
    """The grid of batch and length; both optimizers tuned at the middle batch, then at middle and largest."""
    tunings = {optimizer: _tuning(scale, optimizer, results) for optimizer in OPTIMIZERS}
    rates, grid = _rates(scale, results), _grid(scale, results)
    known = [cell for one in (*tunings.values(), *rates.values()) for cell in one.cells] + with_seeds(grid, seeds)
    if scale.checked:
        known += of_premises([cell for cell in grid if cell.settings["epochs"] == _lengths(scale)[0] * scale.epochs])
    tuned = [cell for name, one in tunings.items() if one.best for cell in _tuned(scale, name, one.best)]
    return known + (with_seeds(tuned, seeds) if len(tuned) == 2 * len(tunings) else [])


def notes(scale: Scale, results: Results) -> list[str]:
    """Which learning rates were chosen, and whether better may lie further out."""
    optimizers = [
        f"{optimizer}: {tuning.told({'base_lr': 'rate'})}, chosen on selection at the middle batch"
        for optimizer in OPTIMIZERS
        if (tuning := _tuning(scale, optimizer, results)).best
    ]
    return optimizers + [
        f"Batch {size}: {tuning.told({'base_lr': 'rate'})}, chosen on selection"
        for size, tuning in _rates(scale, results).items()
        if tuning.best
    ]


def _title(way: str) -> str:
    if way == "tuned":
        return "Batch size, each with a learning rate of its own, top-1"
    return f"Batch size, learning rate by {'square root' if way == 'sqrt' else 'linear'} scaling, top-1"


def panels(scale: Scale, results: Results) -> list[Panel]:  # noqa: ARG001
    """Figure 9, once a scaling."""
    sizes = tuple(str(size) for size in scale.batch_sizes)
    rows = {f"epochs: {length * scale.epochs:g}": length for length in _lengths(scale)}
    grids = [
        Panel(
            title=_title(scaling),
            rows=tuple(rows),
            columns=sizes,
            entries={
                (row, str(size)): (_name(size, scaling, length), "top1")
                for row, length in rows.items()
                for size in scale.batch_sizes
            },
            column_title="batch size",
        )
        for scaling in _ways(scale)
    ]
    columns = ("middle batch", "largest batch")
    return [
        *grids,
        Panel(
            title="Optimizers with rates tuned at the middle batch and scaled linearly to the largest, top-1",
            rows=tuple(OPTIMIZERS),
            columns=columns,
            entries={(name, column): (f"{name}, {column}", "top1") for name in OPTIMIZERS for column in columns},
            kind="dots",
        ),
    ]


def claims(scale: Scale, results: Results) -> list[Claim]:  # noqa: ARG001
    """Larger batches win at few epochs; the gap closes; LARS holds at the largest."""
    small, large = scale.batch_sizes[0], scale.batch_sizes[-1]
    largest = scale.largest_batch or large
    short, long = _lengths(scale)

    def gap(scaling: str, length: float, sign: float = 1.0) -> dict[tuple[str, str], float]:
        return {
            (_name(large, scaling, length), "top1"): sign,
            (_name(small, scaling, length), "top1"): -sign,
        }

    few = "In epochs this few a small batch takes many more steps, and the number of steps decides."
    return [
        Claim(
            text="Larger batches win at few epochs",
            paper="with few epochs larger batches are clearly better (figure 9)",
            comparisons=tuple(
                Comparison(name=f"batch {large} minus {small}, {text}", weights=gap(scaling, short))
                for scaling, text in _ways(scale).items()
            ),
            why_not=few,
        ),
        Claim(
            text="The gap closes with epochs",
            paper="the differences between batch sizes fade with longer training (figure 9)",
            comparisons=tuple(
                Comparison(
                    name=f"gap at {short:g} minus gap at {long:g} of the epochs, {text}",
                    weights=gap(scaling, short) | gap(scaling, long, -1.0),
                )
                for scaling, text in _ways(scale).items()
            ),
            why_not=few,
            premises=tuple(
                Comparison(name=f"the gap at {short:g} of the epochs, {text}", weights=gap(scaling, short))
                for scaling, text in _ways(scale).items()
            ),
        ),
        Claim(
            text="At the largest batch LARS holds where SGD with a linearly scaled rate does not",
            paper="SGD with momentum and linear scaling may be unstable at large batches (section 2.2)",
            comparisons=(
                minus("LARS, largest batch", "SGD, largest batch"),
                Comparison(
                    name="what SGD loses from the middle to the largest batch minus what LARS loses",
                    weights={
                        ("SGD, middle batch", "top1"): 1.0,
                        ("SGD, largest batch", "top1"): -1.0,
                        ("LARS, middle batch", "top1"): -1.0,
                        ("LARS, largest batch", "top1"): 1.0,
                    },
                ),
            ),
            why_not=f"A batch of {largest} may not be large enough for SGD to become unstable.",
        ),
    ]


STUDY = Study(
    name="batch",
    asks="How large a batch, for how long, with which learning rate?",
    paper="Larger batches win at few epochs, and the gap closes with more (figure 9).",
    cells=cells,
    panels=panels,
    claims=claims,
    notes=notes,
)
