"""The tables of measurements: columns are the trained encoder and its baselines."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from twofold.evaluation.labels import Labels
from twofold.evaluation.protocols import (
    ENCODERS,
    MAJORITY,
    METRICS,
    PROTOCOLS,
    capital,
    encoder_name,
    labels_name,
    layer_name,
)
from twofold.report.content import Details, Measurement
from twofold.report.labels import ASIDE, accuracies, main_metric, many_first
from twofold.report.wording import data_name, interval, percent

FROM_SCRATCH = f"untrained: {PROTOCOLS['supervised']}"


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A mean and its 95 % interval as text, in per cent; `best`: clearly above every other of the row."""

    mean: str
    interval: str
    best: bool


@dataclass(frozen=True, kw_only=True)
class TableRow:
    """A line of a table; a cell is None where nothing was measured. Lines of one `group` stand together."""

    group: str
    entry: str
    metric: str
    remark: str
    cells: list[Cell | None]


@dataclass(frozen=True, kw_only=True)
class Table:
    """Lines with a cell for each of `columns`."""

    columns: list[str]
    rows: list[TableRow]


Key = tuple[str, str, Labels, str]  # data, protocol, labels, metric


def build_table(rows: list[Measurement], details: Details | None = None) -> Table:
    """Accuracies: linear probe first, all labels first, then from many labels to few.

    Mean accuracy per class is shown where it differs from top-1: where classes differ in size. Supervised training
    from scratch stands beside fine-tuning, as what an untrained encoder comes to.
    """
    rows = _without_layers(accuracies(rows))
    lines = [_by_protocol(rows, key, details) for key in _keys(rows, details)]
    return Table(columns=_column_names(rows), rows=[*lines, *_majority(rows, lines, details)])


def build_aside(rows: list[Measurement], details: Details | None = None) -> Table:
    """What is no accuracy of all images (top-5, calibration, `imbalance`), for information: none is marked as best."""
    rows = _without_layers(row for row in rows if row.metric in ASIDE)
    lines = [_by_protocol(rows, key, details, mark=False) for key in _keys(rows, details)]
    return Table(columns=_column_names(rows), rows=lines)


def build_transfer_table(rows: list[Measurement]) -> Table:
    """A group a target, a line a protocol; mean accuracy per class in a group of its own where it differs."""
    rows = accuracies(rows)
    targets = list(dict.fromkeys(row.data for row in rows))
    leading = _leading(rows)
    keys = sorted(_keys(rows, None), key=lambda key: (targets.index(key[0]), key[3] != leading[key[0]]))
    return Table(columns=_column_names(rows), rows=[_by_target(rows, key) for key in keys])


def build_layers(rows: list[Measurement]) -> list[tuple[str, Cell]]:
    """(name, cell): the linear probe on h and on each layer of the projection head; empty where only h was measured."""
    probed = [row for row in rows if (row.protocol, row.labels, row.metric) == ("linear", "all", "top1")]
    layers = [row for row in probed if layer_name(row.encoder)]
    layers.sort(key=lambda row: (row.encoder == "z", len(row.encoder), row.encoder))
    shown = [*(row for row in probed if row.encoder == "trained"), *layers] if layers else []
    return [(layer_name(row.encoder) or "h, the encoder's output", _cell(row, mark=False)) for row in shown]


def is_old(rows: list[Measurement]) -> bool:
    """Whether an older version measured them, whose intervals are over draws alone, not over test images."""
    return any(row.over == "seeds" and row.low is not None for row in rows)


def find(rows: list[Measurement], protocol: str, encoder: str, labels: Labels) -> Measurement | None:
    """The first accuracy with these keys."""
    keys = (protocol, encoder, labels)
    return next((row for row in accuracies(rows) if (row.protocol, row.encoder, row.labels) == keys), None)


def _columns_of(rows: list[Measurement]) -> list[str]:
    """The encoders of the rows: trained, untrained, pixels, then others as they come."""
    present = {row.encoder for row in rows}
    return [name for name in dict.fromkeys([*ENCODERS, *(row.encoder for row in rows)]) if name in present]


def _column_names(rows: list[Measurement]) -> list[str]:
    return [capital(encoder_name(name).removeprefix("the ")) for name in _columns_of(rows)]


def _without_layers(rows: Iterable[Measurement]) -> list[Measurement]:
    return [row for row in rows if layer_name(row.encoder) is None]


def _keys(rows: list[Measurement], details: Details | None) -> list[Key]:
    protocols = list(dict.fromkeys([*PROTOCOLS, *(row.protocol for row in rows)]))
    leading = _leading(rows)
    keys = sorted(
        {_key(row, rows) for row in rows},
        key=lambda key: (protocols.index(key[1]), many_first(key[2], details), key[3] != leading[key[0]], key[3]),
    )
    return [key for key in keys if not _repeats_top1(rows, key)]


def _leading(rows: list[Measurement]) -> dict[str, str]:
    """The metric that comes first for each data set: mean accuracy per class where classes differ in size."""
    return {data: main_metric([row for row in rows if row.data == data]) for data in {row.data for row in rows}}


def _key(row: Measurement, rows: list[Measurement]) -> Key:
    protocol = row.protocol
    if protocol == "supervised" and row.encoder == "untrained" and any(other.protocol == "finetune" for other in rows):
        protocol = "finetune"
    return (row.data, protocol, row.labels, row.metric)


def _repeats_top1(rows: list[Measurement], key: Key) -> bool:
    """Whether a line of mean accuracy per class would show the figures of top-1 again."""
    means = {(row.metric, row.encoder): row.mean for row in rows if _key(row, rows)[:3] == key[:3]}
    return key[3] not in ("top1", *ASIDE) and all(
        abs(mean - means.get(("top1", encoder), -1.0)) < 1e-3
        for (name, encoder), mean in means.items()
        if name == key[3]
    )


def _by_protocol(rows: list[Measurement], key: Key, details: Details | None, *, mark: bool = True) -> TableRow:
    entry = labels_name(key[2], details.labels_per_class.get(str(key[2])) if details else None)
    return TableRow(group=capital(PROTOCOLS.get(key[1], key[1])), entry=entry, **_line(rows, key, mark=mark))


def _majority(rows: list[Measurement], lines: list[TableRow], details: Details | None) -> list[TableRow]:
    """What always predicting the most frequent class gets, which is the same beside every encoder."""
    shown = {line.metric for line in lines}
    return [
        TableRow(
            group=capital(MAJORITY),
            entry="no image is looked at",
            metric=METRICS[metric],
            remark="",
            cells=[Cell(mean=percent(share), interval="", best=False) for _ in _columns_of(rows)],
        )
        for metric, share in (details.majority if details else {}).items()
        if METRICS[metric] in shown
    ]


def _by_target(rows: list[Measurement], key: Key) -> TableRow:
    line, name = _line(rows, key), data_name(key[0])
    group = name if line["metric"] == METRICS["top1"] else f"{name}, {line['metric']}"
    return TableRow(group=group, entry=capital(PROTOCOLS.get(key[1], key[1])), **line | {"metric": METRICS["top1"]})


def _line(rows: list[Measurement], key: Key, *, mark: bool = True) -> dict[str, Any]:
    line = {row.encoder: row for row in rows if _key(row, rows) == key}
    mixed = key[1] == "finetune" and any(row.protocol == "supervised" for row in line.values())
    return {
        "metric": METRICS.get(key[3], key[3]),
        "remark": FROM_SCRATCH if mixed else "",
        "cells": [_cell(row, mark=mark) if (row := line.get(encoder)) else None for encoder in _columns_of(rows)],
    }


def _cell(row: Measurement, *, mark: bool) -> Cell:
    return Cell(mean=percent(row.mean), interval=interval(row.low, row.high), best=mark and row.best)
