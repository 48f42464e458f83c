"""Transfer to other images: dots with intervals, a row a target, a marker a way of measuring."""

from itertools import cycle

from twofold.evaluation.protocols import METRICS, way_name
from twofold.report.charts import short
from twofold.report.content import Measurement, Target, Transfer
from twofold.report.figure import Axis, Figure, FigureTable, Series, linear_axis
from twofold.report.labels import main_metric
from twofold.report.styles import OTHERS, STYLES, Style
from twofold.report.wording import counted, data_name, in_per_cent, with_interval

STEP_PX, BETWEEN_PX, AROUND_PX = 17, 22, 52  # a marker's line, the room between targets, the axis


def transfer_dots(rows: list[Measurement]) -> Figure | None:
    """Accuracy (%) on each target. None without rows.

    Where mean accuracy per class differs from top-1, that is where classes differ in size, the target has a row of it.
    """
    lanes = _lanes(rows)
    present = {(row.protocol, row.encoder) for lane in lanes.values() for row in lane}
    order = [key for key in STYLES if key in present]
    order += [key for row in rows if (key := (row.protocol, row.encoder)) in present and key not in STYLES]
    keys = list(dict.fromkeys(order))
    if not keys:
        return None
    lane_px = STEP_PX * len(keys) + BETWEEN_PX
    tops = {name: place * lane_px for place, name in enumerate(lanes)}
    at = {key: BETWEEN_PX / 2 + STEP_PX * (place + 0.5) for place, key in enumerate(keys)}
    drawn = [(tops[name] + at[row.protocol, row.encoder], row) for name, lane in lanes.items() for row in lane]
    others = cycle(OTHERS)
    series = [
        _series([(y, row) for y, row in drawn if (row.protocol, row.encoder) == key], STYLES.get(key) or next(others))
        for key in keys
    ]
    bounds = [100 * bound for _, row in drawn for bound in row.bounds]
    ticks = [(top + lane_px / 2, _lane_text(*name)) for name, top in tops.items()]
    return Figure(
        x=linear_axis(bounds, "correct, %", count=8),
        y=Axis(low=lane_px * len(lanes), high=0, ticks=ticks, has_grid=False),
        series=series,
        intervals="whiskers",
        rules=[*tops.values()][1:],
        table=_table([row for _, row in drawn]),
        width=1036,
        height=AROUND_PX + lane_px * len(lanes),
    )


def _table(rows: list[Measurement]) -> FigureTable:
    lines = [
        (
            data_name(row.data),
            way_name(row.protocol, row.encoder),
            METRICS.get(row.metric, row.metric),
            *in_per_cent(row),
        )
        for row in rows
    ]
    return FigureTable(columns=("images", "measured by", "metric", "%", "from", "to"), rows=lines)


def target_facts(transfer: Transfer) -> list[str]:
    """A sentence a target: how many images, which split, and whether test images are also in train."""
    return [_target_fact(target) for target in transfer.targets]


def _lanes(rows: list[Measurement]) -> dict[tuple[str, str], list[Measurement]]:
    """(data, metric) -> its rows, targets as they come."""
    main = main_metric(rows)
    lanes: dict[tuple[str, str], list[Measurement]] = {}
    for data in dict.fromkeys(row.data for row in rows):
        mine = [row for row in rows if row.data == data]
        top = {(row.protocol, row.encoder): row.mean for row in mine if row.metric == main}
        lanes[data, main] = [row for row in mine if row.metric == main]
        fair = [row for row in mine if row.metric == "mean_per_class" != main]
        if any(abs(row.mean - top.get((row.protocol, row.encoder), -1.0)) >= 1e-3 for row in fair):
            lanes[data, "mean_per_class"] = fair
    return {name: lane for name, lane in lanes.items() if lane}


def _series(points: list[tuple[float, Measurement]], style: Style) -> Series:
    name = way_name(points[0][1].protocol, points[0][1].encoder)
    return Series(
        name=name,
        x=[100 * row.mean for _, row in points],
        y=[y for y, _ in points],
        low=[None if row.low is None else 100 * row.low for _, row in points],
        high=[None if row.high is None else 100 * row.high for _, row in points],
        tips=[f"{name}, {data_name(r.data)}: {with_interval(r.mean, r.low, r.high)}" for _, r in points],
        colour=style.colour,
        symbol=style.symbol,
        size=10,
    )


def _lane_text(data: str, metric: str) -> str:
    return short(data_name(data)) + ("" if metric == "top1" else f"\n{METRICS.get(metric, metric)}")


def _target_fact(target: Target) -> str:
    split = {
        "own": "its own split",
        "validation": "its validation images as the test split",
        "by seed": "a test split cut off by seed",
        "cross-validation": "each image tested on in turn, by cross-validation",
    }.get(target.split, target.split)
    also = f"; {target.test_also_in_train:,} of the test images are in train too" if target.test_also_in_train else ""
    return (
        f"{data_name(target.data)}: {counted(target.train, 'image')} to train on and {target.test:,} to test, "
        f"{target.classes:,} classes, {split}{also}"
    )
