"""Turn measured runs into docs/results.md and its charts; nothing in there is typed by hand.

    python tools/make_results.py collect NAME RUN [--commands FILE]   copies a run's figures to docs/results/NAME.json
    python tools/make_results.py judge                                judges the cells of the studies' records anew
    python tools/make_results.py render                               writes docs/results.md from docs/results/*.json,
                                                                      and the marked figures of README.md and docs/

FILE holds the commands that made the run, one a line. Of a study, its study.json is
copied to docs/results/NAME.json as it is.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from figures import benchmark, copies, fill, pages
from results import known
from study_results import judged_anew, study_section, verdicts_table

from twofold.evaluation import chance_sentences
from twofold.evaluation.sentences import signed_interval, signed_points
from twofold.files import write_json
from twofold.runs.run_directory import Run

DOCS = Path(__file__).parent.parent / "docs"
FOLDER = DOCS / "results"
LEAST = 0.0005  # a half width that would be printed as 0.0
OLD_INTERVALS = (
    "These intervals were measured by an older version: they cover draws of labels and seeds alone, not other test "
    "images, and none is given where no draw changed the figure. Measured again they would be wider."
)
OLD_BASELINES = (
    "Its untrained encoder has residual branches at zero, which makes it weaker than the one of today, and networks "
    "that are trained with labels see views of pretraining's size, are judged on another, and do not choose how long "
    "to train: each of these makes them weaker too."
)
LEAKS = ("that train holds too", "whose pixels occur in train under another label")  # in sentences of an evaluation
PLANTED = (
    "## Planted copies",
    "",
    "600 images of each set changed and added, a hundred in each way, pixels alone (`benchmarks/copies.py`). Pairs "
    "among the images themselves count as wrong; [clean.md](clean.md) says what they are.",
)
WAYS = {  # (protocol, encoder) -> name, colour, line, marker
    ("self-train", "trained"): ("self-trained", "#b3568f", "-", "P"),
    ("finetune", "trained"): ("fine-tuned", "#0b6e4f", "-", "o"),
    ("linear", "trained"): ("linear probe on h", "#2456a6", "-", "s"),
    ("sgd", "trained"): ("linear by SGD on views", "#7b5ea7", "-", "v"),
    ("knn", "trained"): ("k-NN on h", "#5b8bd9", "--", "^"),
    ("supervised", "untrained"): ("supervised from scratch", "#c1440e", "-", "D"),
    ("linear", "pixels"): ("linear on raw pixels", "#777777", ":", "x"),
    ("linear", "untrained"): ("linear, untrained encoder", "#aa9977", ":", "+"),
    ("linear", "head-1"): ("linear probe on head-1", "", "", ""),
    ("linear", "z"): ("linear probe on z", "", "", ""),
}


def collect(name: str, folder: Path, commands: list[str]) -> None:
    """The figures of a run with how they came about; paths of the machine are left out."""
    run = Run(folder)
    record = run.read_recipe()
    metrics = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    elapsed = max(row["elapsed_s"] for row in metrics if "elapsed_s" in row)
    found: dict[str, Any] = {
        "commands": commands,
        "data": Path(record["data"]["name"]).name,
        "recipe": record["recipe"]["name"],
        "derived": record["derived"],
        "hardware": record["hardware"],
        "versions": record["versions"],
        "started": record["started"],
        "pretraining_s": elapsed,
        "epochs": max(row["epoch"] for row in metrics),
        "evaluation": _read(run.evaluation) or [],
        "evaluation_details": _plain(_read(run.evaluation_details)),
        "transfer": [{**row, "data": Path(row["data"]).name} for row in _read(run.transfer) or []],
        "transfer_details": _plain(_read(run.transfer_details)),
    }
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}.json"
    path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    print(f"Written: {path}")


def _read(path: Path) -> Any:
    return json.loads(path.read_text()) if path.is_file() else None


def _plain(details: dict[str, Any] | None) -> dict[str, Any] | None:
    """Without confusion matrices, and with the last part of paths only."""
    if details is None:
        return None
    kept = {key: value for key, value in details.items() if key != "confusion"}
    if "data" in kept:
        kept["data"] = Path(kept["data"]).name
    for part in ("targets", "differences"):
        if isinstance(kept.get(part), list):
            kept[part] = [{**one, "data": Path(one["data"]).name} if "data" in one else one for one in kept[part]]
    return kept


def judge_studies() -> None:
    """Claims, notes and panels of every study in docs/results, from its cells by the rules of now."""
    for path in sorted(FOLDER.glob("*.json")):
        record = json.loads(path.read_text())
        if "study" in record:
            write_json(path, judged_anew(record))


def render() -> str:
    """The text of docs/results.md; a chart for each part of it is written."""
    found = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
    runs = {name: one for name, one in found.items() if "evaluation" in one}
    studies = {name: one for name, one in found.items() if "study" in one}
    written = "Written by `make results` from `docs/results/`."
    data = "The data folders are made by `python tools/make_data.py`; `list` gives sources and licences."
    lines = ["# What was measured", "", f"{written} {data}", ""]
    lines += verdicts_table(studies)
    for name, one in runs.items():
        lines += _run_section(name, one)
    lines += [*_few_labels_section(benchmark("few_labels")), *PLANTED, copies(), ""]
    for name, one in studies.items():
        lines += study_section(name, one, DOCS)
    return "\n".join(lines).rstrip() + "\n"


def _run_section(name: str, found: dict[str, Any]) -> list[str]:
    hardware = found["hardware"]
    lines = [
        f"## {found['data']}: {found['recipe']}",
        "",
        f"{found['pretraining_s'] / 60:.1f} minutes of pretraining ({found['epochs']:.1f} epochs) on "
        f"{hardware['cores']} cores of an {hardware['cpu']} ({hardware['precision']}, no GPU), "
        f"torch {found['versions']['torch']}, {found['started'][:10]}. One run of one seed.",
        "",
        "```sh",
        *found["commands"],
        "```",
        "",
    ]
    if found["evaluation"]:
        lines += _labels_section(name, found)
    if found["transfer"]:
        lines += _transfer_section(name, found)
    return lines


def _labels_section(name: str, found: dict[str, Any]) -> list[str]:
    rows, details = found["evaluation"], found["evaluation_details"]
    budgets = sorted({_key(row) for row in rows}, key=lambda labels: details["labels_per_class"][labels])
    lines = [
        "### Accuracy against the number of labels",
        "",
        f"Top-1 on the {details['test']:,} test images in per cent, mean ± half of the 95 % interval "
        f"(number of draws); measuring took {details['seconds'] / 60:.0f} minutes.{_old_note(rows)}",
        "",
        *_labels_table(rows, details, budgets),
    ]
    draw_labels(rows, details, DOCS / f"{name}-labels.png")
    return [
        *lines,
        "",
        f"![accuracy against labels per class]({name}-labels.png)",
        "",
        "Differences of pairs, in points of top-1:",
        "",
        *_difference_table(details["differences"], details),
        "",
        "How it was measured:",
        "",
        *[f"- {sentence}" for sentence in details["stated"]],
        "",
    ]


def _few_labels_section(found: dict[str, Any]) -> list[str]:
    """All ways of using labels on one encoder, as `benchmarks/few_labels.py` measured them."""
    rows, one = found["rows"], found["machine"]
    budgets = sorted({_key(row) for row in rows}, key=lambda labels: found["labels_per_class"][labels])
    draw_labels(rows, found, DOCS / "few-labels.png")
    return [
        "## cifar10: what few labels are worth",
        "",
        f"One encoder (`{found['recipe']}`, {found['pretrained']}), {found['draws']} draws of the labels, test read "
        f"once: `python benchmarks/few_labels.py`. {found['self_training']} On {one['cores']} cores of an "
        f"{one['cpu']} ({one['precision']}, no GPU), torch {one['torch']}, {one['date']}. Top-1 in per cent, mean ± "
        "half of the 95 % interval (number of draws).",
        "",
        *_labels_table(rows, found, budgets),
        "",
        *(
            f"- {sentence}"
            for sentence in (*found["best"], *(edge[0].upper() + edge[1:] + "." for edge in found["edges"]))
        ),
        "",
        "![accuracy against labels per class](few-labels.png)",
        "",
        "Differences of pairs, in points of top-1:",
        "",
        *_difference_table(found["differences"], found),
        "",
    ]


def _labels_table(rows: Sequence[dict[str, Any]], details: dict[str, Any], budgets: Sequence[str]) -> list[str]:
    lines = [
        "| | " + " | ".join(_budget(labels, details) for labels in budgets) + " |",
        "|---" * (len(budgets) + 1) + "|",
    ]
    for way, (title, *_) in WAYS.items():
        cells = {_key(row): row for row in rows if (row["protocol"], row["encoder"], row["metric"]) == (*way, "top1")}
        if cells:
            lines.append(f"| {title} | " + " | ".join(_cell(cells.get(labels)) for labels in budgets) + " |")
    return lines


def _transfer_section(name: str, found: dict[str, Any]) -> list[str]:
    rows, details = found["transfer"], found["transfer_details"]
    others = [
        name for name in dict.fromkeys(row["encoder"] for row in rows) if name not in ("trained", "untrained", "pixels")
    ]
    ways = [
        ("linear", "trained", "linear, trained on " + found["data"] + " without labels"),
        *[("linear", other, f"linear, {other}") for other in others],
        ("linear", "untrained", "linear, untrained encoder"),
        ("linear", "pixels", "linear, raw pixels"),
        ("finetune", "trained", "fine-tuned from it"),
        *[("finetune", other, f"fine-tuned, {other}") for other in others],
        ("supervised", "untrained", "supervised from scratch"),
    ]
    targets = details["targets"]
    lines = [
        "### Transfer",
        "",
        "Top-1 in per cent, mean ± half of the 95 % interval over the seeds; below it the mean per class, for classes "
        f"that differ in size. Measuring took {details['seconds'] / 60:.0f} minutes.{_old_note(rows)}",
        "",
        "| | " + " | ".join(one["data"] for one in targets) + " |",
        "|---" * (len(targets) + 1) + "|",
        "| train, test, classes | "
        + " | ".join(f"{t['train']:,}, {t['test']:,}, {t['classes']}" for t in targets)
        + " |",
        "| split | " + " | ".join(t["split"] for t in targets) + " |",
    ]
    for metric, suffix in (("top1", ""), ("mean_per_class", ", mean per class")):
        for protocol, encoder, title in ways:
            cells = {
                row["data"]: row
                for row in rows
                if (row["protocol"], row["encoder"], row["metric"]) == (protocol, encoder, metric)
            }
            if cells:
                lines.append(f"| {title}{suffix} | " + " | ".join(_cell(cells.get(t["data"])) for t in targets) + " |")
    draw_transfer(rows, targets, ways, DOCS / f"{name}-transfer.png")
    table = ["| data | pair | points | 95 % interval |", "|---|---|---|---|"]
    table += [
        f"| {one['data']} | {_pair(one)} | {signed_points(one['mean'])} | {_bounds(one)} |"
        for one in details["differences"]
    ]
    caveats = [f"- {one['data']}: {caveat}" for one in targets for caveat in _caveats(one)]
    return [
        *lines,
        "",
        *caveats,
        "",
        f"![transfer]({name}-transfer.png)",
        "",
        *table,
        *_by_chance(details["differences"]),
        "",
    ]


def _caveats(target: dict[str, Any]) -> list[str]:
    """What is known to make figures on a data set too high or too low: by its own files, and by who made it."""
    measured = [one for one in target["stated"] if any(leak in one for leak in LEAKS) and ": none of" not in one]
    return [*measured, *known(target["data"])]


def _old_note(rows: Sequence[dict[str, Any]]) -> str:
    return f" {OLD_INTERVALS} {OLD_BASELINES}" if any("over" not in row for row in rows) else ""


def _key(row: dict[str, Any]) -> str:
    return str(row["labels"])


def _budget(labels: str, details: dict[str, Any]) -> str:
    per_class = details["labels_per_class"][labels]
    if labels == "all":
        return f"all ({per_class:,.0f} a class)"
    return f"{100 * float(labels):g} % ({per_class:,.0f} a class)" if "." in labels else f"{labels} a class"


def _cell(row: dict[str, Any] | None) -> str:
    if row is None:
        return ""
    if row["low"] is None:
        return f"{100 * row['mean']:.1f}"
    half = max(row["high"] - row["mean"], row["mean"] - row["low"])
    if "over" not in row and half < LEAST:  # no draw changed it; other test images would
        return f"{100 * row['mean']:.1f} ({row['seeds']})"
    return f"{100 * row['mean']:.1f} ± {100 * half:.1f} ({row['seeds']})"


def _difference_table(differences: Sequence[dict[str, Any]], details: dict[str, Any]) -> list[str]:
    lines = ["| pair | labels | points | 95 % interval |", "|---|---|---|---|"]
    for one in differences:
        budget = _budget(str(one["labels"]), details)
        lines.append(f"| {_pair(one)} | {budget} | {signed_points(one['mean'])} | {_bounds(one)} |")
    return [*lines, *_by_chance(differences)]


def _by_chance(differences: Sequence[dict[str, Any]]) -> list[str]:
    """How many of a table would look clear by chance, below it."""
    sentences = chance_sentences(sum(one["low"] is not None for one in differences))
    return ["", *sentences] if sentences else []


def _pair(one: dict[str, Any]) -> str:
    first, second = ((one[f"{side}protocol"], one[f"{side}encoder"]) for side in ("", "against_"))
    return " minus ".join(WAYS[way][0] if way in WAYS else f"{way[0]}, {way[1]}" for way in (first, second))


def _bounds(one: dict[str, Any]) -> str:
    if one["low"] is None:
        return "one seed"
    seeds = f"{one['seeds']} seeds"
    over = {"seeds": f"{seeds} alone", "images and draws": f"{seeds} and test images"}.get(one["over"], "test images")
    return f"{signed_interval(one['low'], one['high'])} ({over})"


def draw_labels(rows: Sequence[dict[str, Any]], details: dict[str, Any], path: Path) -> None:
    """A line for each way of measuring, its interval as a band."""
    figure, axis = _figure(7.2, 4.6)
    for way, (title, colour, line, marker) in WAYS.items():
        own = [row for row in rows if (row["protocol"], row["encoder"], row["metric"]) == (*way, "top1")]
        own.sort(key=lambda row: details["labels_per_class"][_key(row)])
        if not own or not colour:
            continue
        x = [details["labels_per_class"][_key(row)] for row in own]
        axis.plot(x, [100 * row["mean"] for row in own], line, color=colour, marker=marker, ms=5, label=title)
        low, high = ([100 * (row["mean"] if row[end] is None else row[end]) for row in own] for end in ("low", "high"))
        axis.fill_between(x, low, high, color=colour, alpha=0.15, lw=0)
    places = sorted(details["labels_per_class"].values())
    axis.set(xscale="log", xlabel="labels per class", ylabel="top-1 on test, %")
    axis.set_xticks(places, [f"{place:,.0f}" for place in places])
    axis.minorticks_off()
    axis.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=120)


def draw_transfer(
    rows: Sequence[dict[str, Any]], targets: Sequence[dict[str, Any]], ways: Sequence[tuple[str, str, str]], path: Path
) -> None:
    """Dots with intervals, a panel a target."""
    from matplotlib import colormaps

    shown = [way for way in ways if any((row["protocol"], row["encoder"]) == way[:2] for row in rows)]
    figure, axes = _figure(3.0 * len(targets) + 1.6, 0.36 * len(shown) + 1.3, len(targets))
    for panel, (axis, target) in enumerate(zip([axes] if len(targets) == 1 else axes, targets, strict=True)):
        for place, (protocol, encoder, _) in enumerate(shown):
            row = next(
                (
                    r
                    for r in rows
                    if (r["data"], r["protocol"], r["encoder"], r["metric"])
                    == (target["data"], protocol, encoder, "top1")
                ),
                None,
            )
            if row is None:
                continue
            low, high = (row["mean"] if row[end] is None else row[end] for end in ("low", "high"))
            colour = colormaps["tab10"](place % 10)
            axis.errorbar(
                100 * row["mean"],
                -place,
                xerr=[[100 * (row["mean"] - low)], [100 * (high - row["mean"])]],
                fmt="o",
                color=colour,
                capsize=3,
            )
        axis.set_yticks([-place for place in range(len(shown))], [way[2] for way in shown] if panel == 0 else [])
        axis.set(title=target["data"], xlabel="top-1, %", ylim=(-len(shown) + 0.5, 0.5))
    figure.savefig(path, dpi=120)


def _figure(wide: float, high: float, panels: int = 1) -> Any:
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, panels, figsize=(wide, high), layout="constrained")
    for axis in [axes] if panels == 1 else axes:
        axis.grid(alpha=0.25)
    return figure, axes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    steps = parser.add_subparsers(dest="step", required=True)
    collecting = steps.add_parser("collect")
    collecting.add_argument("name")
    collecting.add_argument("run", type=Path)
    collecting.add_argument("--commands", type=Path)
    steps.add_parser("judge")
    steps.add_parser("render")
    options = parser.parse_args()
    if options.step == "collect":
        collect(options.name, options.run, options.commands.read_text().splitlines() if options.commands else [])
    elif options.step == "judge":
        judge_studies()
    else:
        (DOCS / "results.md").write_text(render())
        print(f"Written: {DOCS / 'results.md'}")
        for page in pages():
            page.write_text(fill(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
