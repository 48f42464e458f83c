"""How large a batch, for how long, with which scaling of the learning rate (paper, section 5.2, figure 9, B.1)."""

from math import sqrt

from twofold.optim import peak_lr
from twofold.studies.engine.cell import Cell, with_seeds
from twofold.studies.engine.claim import Claim, Comparison, minus
from twofold.studies.engine.found import Found
from twofold.studies.engine.panel import Panel
from twofold.studies.engine.scale import Scale
from twofold.studies.engine.study import Study
from twofold.studies.engine.tuning import TUNING_SEED, Tuning, Values, tune

SCALINGS = ("linear", "sqrt")
OPTIMIZERS = {"SGD": "sgd", "LARS": "lars"}


def _lengths(scale: Scale) -> tuple[float, float]:
    return scale.lengths[0], scale.lengths[-1]


def _name(size: int, scaling: str, length: float) -> str:
    return f"batch {size}, {scaling}, length {length:g}"


def _grid(scale: Scale) -> list[Cell]:
    optim, own = scale.base.optim, scale.base.schedule.batch_size
    rates = {"linear": optim.base_lr, "sqrt": peak_lr(optim, own) / sqrt(own)}  # equal at the base's own batch
    return [
        Cell(
            name=_name(size, scaling, length),
            settings={
                "batch_size": size,
                "lr_scaling": scaling,
                "base_lr": rates[scaling],
                "epochs": length * scale.epochs,
            },
        )
        for length in _lengths(scale)
        for scaling in SCALINGS
        for size in scale.batch_sizes
    ]


def _tuning(scale: Scale, optimizer: str, found: Found) -> Tuning:
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
    return tune({"base_lr": rates}, make, found)


def _tuned(scale: Scale, optimizer: str, best: Cell) -> list[Cell]:
    """The optimizer with its best rate at the middle batch, and with that scaled linearly at the largest."""
    largest = {**best.settings, "batch_size": scale.batch_sizes[-1]}
    return [
        Cell(name=f"{optimizer}, middle batch", settings=best.settings),
        Cell(name=f"{optimizer}, largest batch", settings=largest, may_fail=True),  # that it does is the claim
    ]


def cells(scale: Scale, seeds: int, found: Found) -> list[Cell]:
    """The grid of batch and length; both optimizers tuned at the middle batch, then at middle and largest."""
    tunings = {optimizer: _tuning(scale, optimizer, found) for optimizer in OPTIMIZERS}
    known = [cell for one in tunings.values() for cell in one.cells] + with_seeds(_grid(scale), seeds)
    tuned = [cell for name, one in tunings.items() if one.best for cell in _tuned(scale, name, one.best)]
    return known + (with_seeds(tuned, seeds) if len(tuned) == 2 * len(tunings) else [])


def notes(scale: Scale, found: Found) -> list[str]:
    """Which learning rates were chosen, and whether better may lie further out."""
    return [
        f"{optimizer}: {tuning.told({'base_lr': 'rate'})}, chosen on selection at the middle batch"
        for optimizer in OPTIMIZERS
        if (tuning := _tuning(scale, optimizer, found)).best
    ]


def panels(scale: Scale, found: Found) -> list[Panel]:  # noqa: ARG001
    """Figure 9, once a scaling."""
    sizes = tuple(str(size) for size in scale.batch_sizes)
    rows = {f"epochs: {length * scale.epochs:g}": length for length in _lengths(scale)}
    grids = [
        Panel(
            title=f"Batch size, learning rate by {'square root' if scaling == 'sqrt' else 'linear'} scaling, top-1",
            rows=tuple(rows),
            columns=sizes,
            entries={
                (row, str(size)): (_name(size, scaling, length), "top1")
                for row, length in rows.items()
                for size in scale.batch_sizes
            },
            column_title="batch size",
        )
        for scaling in SCALINGS
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


def claims(scale: Scale, found: Found) -> list[Claim]:  # noqa: ARG001
    """Larger batches win at few epochs; the gap closes; LARS holds at the largest."""
    small, large = scale.batch_sizes[0], scale.batch_sizes[-1]
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
                Comparison(name=f"batch {large} minus {small}, {scaling} scaling", weights=gap(scaling, short))
                for scaling in SCALINGS
            ),
            why_not=few,
        ),
        Claim(
            text="The gap closes with epochs",
            paper="the differences between batch sizes fade with longer training (figure 9)",
            comparisons=tuple(
                Comparison(
                    name=f"gap at {short:g} minus gap at {long:g} of the epochs, {scaling} scaling",
                    weights=gap(scaling, short) | gap(scaling, long, -1.0),
                )
                for scaling in SCALINGS
            ),
            why_not=few,
            premises=tuple(
                Comparison(name=f"the gap at {short:g} of the epochs, {scaling} scaling", weights=gap(scaling, short))
                for scaling in SCALINGS
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
            why_not=f"A batch of {large} may not be large enough for SGD to become unstable.",
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
