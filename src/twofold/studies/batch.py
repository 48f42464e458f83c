"""How large a batch, for how long, with which scaling of the learning rate (paper, section 5.2, figure 9, B.1)."""

from math import sqrt
from typing import Any

from twofold.optim import peak_lr
from twofold.studies.cell import Cell, with_seeds
from twofold.studies.claim import Claim, Comparison, minus
from twofold.studies.found import Found
from twofold.studies.panel import Panel
from twofold.studies.scale import Scale
from twofold.studies.study import Study

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


def _tuning(scale: Scale, optimizer: str) -> list[Cell]:
    """Learning rates of an optimizer at the middle batch, short, on selection."""
    return [
        Cell(name=f"{optimizer}, rate {rate:g}", settings=_optimizer(scale, optimizer, rate), on="selection")
        for rate in scale.tuning["lars_lr" if optimizer == "LARS" else "base_lr"]
    ]


def _optimizer(scale: Scale, optimizer: str, rate: float) -> dict[str, Any]:
    epochs = scale.short * scale.epochs
    middle = scale.batch_sizes[(len(scale.batch_sizes) - 1) // 2]
    return {
        "optimizer": OPTIMIZERS[optimizer],
        "base_lr": rate,
        "lr_scaling": "linear",
        "epochs": epochs,
        "batch_size": middle,
    }


def _tuned(scale: Scale, found: Found, optimizer: str) -> list[Cell]:
    """The optimizer with its best rate at the middle batch, and with that scaled linearly at the largest."""
    tuned = {cell.name: cell for cell in _tuning(scale, optimizer)}
    settings = tuned[found.best(tuned, "top1")].settings
    largest = {**settings, "batch_size": scale.batch_sizes[-1]}
    return [
        Cell(name=f"{optimizer}, middle batch", settings=settings),
        Cell(name=f"{optimizer}, largest batch", settings=largest),
    ]


def cells(scale: Scale, seeds: int, found: Found) -> list[Cell]:
    """The grid of batch and length; both optimizers tuned at the middle batch, then at middle and largest."""
    tuning = [cell for optimizer in OPTIMIZERS for cell in _tuning(scale, optimizer)]
    known = tuning + with_seeds(_grid(scale), seeds)
    if not found.has(tuning):
        return known
    return known + with_seeds([cell for optimizer in OPTIMIZERS for cell in _tuned(scale, found, optimizer)], seeds)


def notes(scale: Scale, found: Found) -> list[str]:
    """Which learning rates were chosen, and whether they lie at the edge of what was tried."""
    sentences = []
    for optimizer in OPTIMIZERS:
        tuned = {cell.name: cell.settings["base_lr"] for cell in _tuning(scale, optimizer)}
        if not found.has(_tuning(scale, optimizer)):
            continue
        rate = tuned[found.best(tuned, "top1")]
        edge = " (at the edge of what was tried)" if rate in (min(tuned.values()), max(tuned.values())) else ""
        sentences.append(f"{optimizer}: rate {rate:g}{edge}, chosen on selection at the middle batch")
    return sentences


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
