"""What happened, in two sentences and a few large figures."""

from dataclasses import dataclass
from typing import Any

from twofold.evaluation import protocols
from twofold.evaluation.protocols import METRICS, PROTOCOLS, with_labels
from twofold.report.content import Details, Difference, Measurement, RunContent
from twofold.report.labels import accuracies
from twofold.report.table import find
from twofold.report.wording import (
    clock,
    counted,
    data_name,
    day,
    decimal,
    duration,
    encoder_name,
    hardware_name,
    interval,
    loss_name,
    loss_unit,
    percent,
)
from twofold.training.health import FEWEST_STEPS, collapse_warning, learning_warnings

WATCHED = 512  # images, at most, that `training.monitoring` measures on
BASELINES = {encoder: protocols.encoder_name(encoder) for encoder in (protocols.INITIAL, "untrained", "pixels")}


@dataclass(frozen=True, kw_only=True)
class KeyFigure:
    """A large number with its unit, what it is, and a remark below."""

    value: str
    unit: str
    name: str
    remark: str


def title(run: RunContent) -> str:
    """ "ResNet-50, trained on 12,000 images of photos without labels"."""
    data = run.record.get("data", {})
    encoder = encoder_name(run.record["recipe"]["encoder"])
    pictures = counted(data.get("images", 0), "image")
    return f"{encoder}, trained on {pictures} of {data_name(str(data.get('name', 'unknown')))} without labels"


def lead(run: RunContent) -> str:
    """How long, on what, when."""
    schedule = run.record["recipe"]["schedule"]
    done = _steps_done(run)
    steps = run.record.get("steps") or done
    made = counted(steps, "step") if done in (0, steps) else f"{done:,} of {counted(steps, 'step')}"
    if run.training:
        epochs = round(run.training[-1]["epoch"], 1)
        made += f" ({decimal(epochs)} {'epoch' if epochs == 1 else 'epochs'})"
    words = [f"{made} of {counted(schedule['batch_size'], 'image')} each"]
    if run.training and run.training[-1].get("elapsed_s"):
        words.append(f"in {duration(run.training[-1]['elapsed_s'])}")
    words.append(f"on {hardware_name(run.record.get('hardware', {}))}")
    started = str(run.record.get("started", ""))
    return " ".join(words) + (f", begun on {day(started)}." if started else ".")


def verdict(run: RunContent) -> str | None:
    """The main measurement in a sentence, with every baseline; None where nothing was measured."""
    best = _main(run.measurements, "trained")
    if best is None:
        return None
    on_test = f" {_on_test(run.details)}" if run.details and run.details.test else ""
    how = with_labels(best.labels)
    reader = {
        "linear": "a linear probe on its embeddings",
        "knn": "k-NN on its embeddings",
        "sgd": "a linear probe by SGD on its embeddings",
        "finetune": "the encoder after fine-tuning",
        "self-train": "the encoder after self-training",
    }.get(best.protocol, f"{best.protocol} of the encoder")
    metric = "top-1 accuracy" if best.metric == "top1" else METRICS.get(best.metric, best.metric)
    right = f"reaches {percent(best.mean)} % {metric}{on_test}"
    others = [
        f"{percent(row.mean)} % from {name}"
        for encoder, name in BASELINES.items()
        if (row := find(run.measurements, best.protocol, encoder, best.labels))
    ]
    against = f", against {' and '.join(others)}" if others else ""
    majority = run.details.majority.get(best.metric) if run.details else None
    if majority is not None:
        against += f"; always predicting the most frequent class gets {percent(majority)} %"
    return f"{how[0].upper()}{how[1:]}, {reader} {right}{against}."


def _on_test(details: Details) -> str:
    if details.cross_validated:
        return f"in cross-validation on the {details.test:,} labelled images"
    return f"on the {details.test:,} test images"


def main_figure(rows: list[Measurement]) -> str:
    """ "65.5 % (linear probe with all labels)": the figure that the verdict would be about; "" where there is none."""
    best = _main(rows, "trained")
    return (
        f"{percent(best.mean)} % ({PROTOCOLS.get(best.protocol, best.protocol)} {with_labels(best.labels)})"
        if best
        else ""
    )


def warning(run: RunContent) -> str | None:
    """What went wrong: the run stopped early on, diverged, collapsed or learnt little. None where all is well."""
    if run.training and run.training[-1]["loss"] is None:
        return "The loss is not a number at the last step: the run diverged. A lower --base-lr usually cures it."
    judged = run.health and run.health[-1]["step"] >= FEWEST_STEPS
    measures = {key: float(value) for key, value in run.health[-1].items() if value is not None} if judged else {}
    if {"z_std", "h_effective_rank"} <= measures.keys() and (collapse := collapse_warning(measures)):
        return _sentence(collapse)
    steps, done = run.record.get("steps") or 0, _steps_done(run)
    if 0 < done < steps:
        return f"This run is not finished: {done:,} of {steps:,} steps are recorded so far."
    if 0 < done < FEWEST_STEPS:
        return f"This run took {counted(done, 'step')}, too few to learn from: train longer."
    return " ".join(map(_sentence, learning_warnings(measures).values())) or None


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def key_figures(run: RunContent) -> list[KeyFigure]:
    """At most four accuracies; without an evaluation, how training ended."""
    return _measured(run) or training_figures(run)


def _measured(run: RunContent) -> list[KeyFigure]:
    rows = run.measurements
    probes = [row for row in accuracies(rows) if (row.protocol, row.encoder) == ("linear", "trained")]
    few = [row for row in probes if isinstance(row.labels, int)]
    middle = min(few, key=lambda row: abs(int(row.labels) - 10), default=None)
    tuned = [row for row in accuracies(rows) if (row.protocol, row.encoder) == ("finetune", "trained")]
    share = min((row for row in tuned if isinstance(row.labels, float)), key=lambda row: row.labels, default=None)
    named = [
        (find(rows, "linear", "trained", "all"), f"{PROTOCOLS['linear']}, all labels"),
        (middle, f"{PROTOCOLS['linear']}, {counted(int(middle.labels), 'label')} per class" if middle else ""),
        (share, f"{PROTOCOLS['finetune']} {with_labels(share.labels)}" if share else ""),
        (find(rows, "knn", "trained", "all"), f"{PROTOCOLS['knn']}, all labels"),
    ]
    return [
        KeyFigure(value=percent(row.mean), unit="%", name=name, remark=_gain(run, row)) for row, name in named if row
    ]


def _gain(run: RunContent, row: Measurement) -> str:
    """Against the better baseline, if compared in pairs, and whether that leaves room for doubt; else its interval."""
    rows = run.measurements
    named = [(row.protocol, encoder, name) for encoder, name in BASELINES.items()]
    if row.protocol == "finetune":
        named = [("supervised", "untrained", PROTOCOLS["supervised"])]
    others = [
        (other, name) for protocol, encoder, name in named if (other := find(rows, protocol, encoder, row.labels))
    ]
    best, name = max(others, key=lambda pair: pair[0].mean, default=(row, ""))
    measured = _difference(run, row, best)
    if measured is None:
        return "no interval" if row.low is None else f"95 % interval {interval(row.low, row.high)}"
    points = 100 * measured.mean
    is_open = measured.low is None or measured.high is None or measured.low <= 0 <= measured.high
    remark = f"{abs(points):.1f} points {'above' if points >= 0 else 'below'} {name}"
    return remark + (" (no clear difference)" if is_open else "")


def _difference(run: RunContent, row: Measurement, other: Measurement) -> Difference | None:
    """Their paired difference, where it was measured: two intervals beside each other do not tell."""
    ways = [(one.protocol, one.encoder, one.labels) for one in (row, other)]
    return next(
        (
            one
            for one in (run.details.differences if run.details else ())
            if one.metric == row.metric
            and [(one.protocol, one.encoder, one.labels), (one.against_protocol, one.against_encoder, one.labels)]
            == ways
        ),
        None,
    )


def training_figures(run: RunContent) -> list[KeyFigure]:
    """How training went: positive pairs found, time, loss, effective rank; what was not recorded is left out."""
    figures = [figure] if (figure := _positive_pairs(run)) else []
    loss = _at_the_end(run.training, "loss")
    elapsed_s = run.training[-1].get("elapsed_s") if run.training else None
    if elapsed_s:
        value, unit = clock(elapsed_s)
        speed = _steps_done(run) * run.record["recipe"]["schedule"]["batch_size"] / elapsed_s
        remark = f"{decimal(speed)} images a second, over all"
        figures.append(KeyFigure(value=value, unit=unit, name="of training", remark=remark))
    if loss is not None:
        kind = run.record["recipe"]["loss"]
        remark = f"{loss_name(kind)}, mean of anchors"
        figures.append(KeyFigure(value=f"{loss:.3f}", unit=loss_unit(kind), name="loss at the end", remark=remark))
    if run.health and run.health[-1].get("h_effective_rank") is not None:
        value = decimal(run.health[-1]["h_effective_rank"])
        figures.append(KeyFigure(value=value, unit="", name="effective rank of h", remark="1 would be a collapse"))
    return figures


def _positive_pairs(run: RunContent) -> KeyFigure | None:
    """Without an evaluation the label-free measurement on fixed images, else (and in old runs) the last batches'."""
    watched = [row for row in run.health if row.get("pair_accuracy") is not None]
    if not run.measurements and watched and watched[-1]["step"] > 0:
        before = f", {percent(watched[0]['pair_accuracy'])} % before training" if watched[0]["step"] == 0 else ""
        remark = f"among up to {WATCHED} images{before}"
        return KeyFigure(
            value=percent(watched[-1]["pair_accuracy"]), unit="%", name="of positive pairs found", remark=remark
        )
    found = _at_the_end(run.training, "contrast_accuracy")
    if found is None:
        return None
    remark = f"among {run.record['recipe']['schedule']['batch_size']:,} candidates, in training"
    return KeyFigure(value=percent(found), unit="%", name="positive pairs found at the end", remark=remark)


def _at_the_end(rows: list[dict[str, Any]], key: str) -> int | float | None:
    """The mean over the last twentieth of the rows, ten at most: one step alone is noisy."""
    values = [row[key] for row in rows if row.get(key) is not None]
    last = values[-max(1, min(10, len(values) // 20)) :]
    return sum(last) / len(last) if last else None


def _main(rows: list[Measurement], encoder: str) -> Measurement | None:
    mine = [row for row in accuracies(rows) if row.encoder == encoder]
    order = {"linear": 0, "knn": 1}
    return min(mine, key=lambda row: (row.labels != "all", order.get(row.protocol, 2)), default=None)


def _steps_done(run: RunContent) -> int:
    return int(run.training[-1]["step"]) if run.training else 0


def shown_facts(run: RunContent) -> list[tuple[str, Any]]:
    """Names and values for the small print: data, hardware, versions."""
    data, hardware = run.record.get("data", {}), run.record.get("hardware", {})
    facts = [
        ("data", data.get("name")),
        ("fingerprint", str(data.get("fingerprint", ""))[:16] or None),
        ("training images", f"{data['images']:,}" if "images" in data else None),
        ("begun from the weights of", run.record.get("init", {}).get("from")),
        ("unreadable files", f"{data['quarantined']:,}" if "quarantined" in data else None),
        ("hardware", hardware_name(hardware) if hardware else None),
        *run.record.get("versions", {}).items(),
        ("started", run.record.get("started")),
        ("run", str(run.folder.resolve().name)),
    ]
    return [(name, value) for name, value in facts if value is not None]
