"""The measured figures within the text of README.md and docs/*.md, each computed from a JSON.

A figure stands between `<!-- figure NAME -->` and `<!-- /figure -->`, which a reader of the page does not see. `make
results` writes there what FIGURES[NAME] gives; a test compares. What is not between marks is a setting, a rule, a
prediction or somebody else's figure, and tests/test_figures.py lists it.
"""

import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from twofold.evaluation.prediction_file import as_labels
from twofold.evaluation.protocols import labels_name, way_name
from twofold.evaluation.sentences import signed_interval, signed_points
from twofold.studies.engine.claim import NOT_TESTABLE
from twofold.studies.show.wording import label

HOME = Path(__file__).parent.parent
sys.path.append(str(HOME / "benchmarks"))  # whose results.py names what is known of data sets
MARKED = re.compile(r"(<!-- figure ([\w-]+) -->)(.*?)(<!-- /figure -->)", re.DOTALL)


def pages() -> list[Path]:
    """Those whose figures stand in text that people write."""
    written = {"results.md", "cli.md", "checks.md", "notebook.md"}  # by a tool, or dated
    return [HOME / "README.md", *(page for page in sorted((HOME / "docs").glob("*.md")) if page.name not in written)]


def fill(text: str) -> str:
    """The page with every marked figure as it is measured; one that says the same keeps its line breaks.

    Raises KeyError for a name that FIGURES lacks.
    """

    def filled(found: re.Match[str]) -> str:
        figure = FIGURES[found[2]]()
        return found[0] if figure.split() == found[3].split() else f"{found[1]}{figure}{found[4]}"

    return MARKED.sub(filled, text)


def _results(name: str) -> Any:
    return json.loads((HOME / "docs" / "results" / f"{name}.json").read_text(encoding="utf-8"))


def _printed(name: str) -> Any:
    return _results("printed")[name]


def benchmark(name: str) -> Any:
    """What `benchmarks/NAME.py` wrote down."""
    return json.loads((HOME / "benchmarks" / "results" / f"{name}.json").read_text(encoding="utf-8"))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [" | ".join(cells) for cells in (head, *rows)]
    lines = [f"| {line} |" for line in lines]
    return "\n" + "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:]]) + "\n"


DEMO_ENCODERS = {"trained": "Twofold", "pixels": "raw pixels", "untrained": "untrained encoder"}


def _demo_rows() -> dict[tuple[str, str], dict[str, Any]]:
    """(encoder, labels) -> the linear probe's top-1."""
    rows = _results("demo")["evaluation"]
    probes = (row for row in rows if (row["protocol"], row["metric"]) == ("linear", "top1"))
    return {(row["encoder"], str(row["labels"])): row for row in probes}


def _demo_table() -> str:
    rows, of_all = _demo_rows(), _results("demo")["evaluation_details"]["labels_per_class"]["all"]
    budgets = sorted({labels for _, labels in rows}, key=lambda labels: (labels == "all", labels.zfill(9)))
    lines = [
        [
            f"all ({of_all:,.0f})" if labels == "all" else labels,
            *(_plus_minus(rows[encoder, labels]) for encoder in DEMO_ENCODERS),
        ]
        for labels in budgets
    ]
    return _table(["labels per class", *DEMO_ENCODERS.values()], lines)


def _plus_minus(row: dict[str, Any]) -> str:
    return f"{100 * row['mean']:.1f} ± {100 * max(row['high'] - row['mean'], row['mean'] - row['low']):.1f}"


def _demo_measured() -> str:
    demo, draws = _results("demo"), _demo_rows()["trained", "1"]["seeds"]
    steps = max(int(number) for number in re.findall(r" = (\d+) = ", demo["derived"]["steps"]))
    return (
        f"{demo['evaluation_details']['test']:,} test images, with the 95 % interval; {draws} draws of the labelled "
        f"images; one run of {steps:,} steps"
    )


def _demo_rows_won() -> str:
    clear = [
        (one["low"] is not None and one["low"] > 0, str(one["labels"]))
        for one in _results("demo")["evaluation_details"]["differences"]
        if (one["protocol"], one["encoder"], one["metric"]) == ("linear", "trained", "top1")
        and (one["against_protocol"], one["against_encoder"]) in (("linear", "untrained"), ("linear", "pixels"))
    ]
    rows = {labels for _, labels in clear}
    lost = {labels for is_clear, labels in clear if not is_clear}
    if len(clear) != 2 * len(rows):
        raise ValueError(f"the demo's record compares {len(clear)} times in {len(rows)} rows, not with both others")
    return f"beats both others in {f'{len(rows) - len(lost)} of {len(rows)} rows' if lost else 'every row'}"


def _demo_above_pixels() -> str:
    above = {
        str(one["labels"]): f"{100 * one['mean']:.1f} points ({100 * one['low']:.1f} to {100 * one['high']:.1f})"
        for one in _results("demo")["evaluation_details"]["differences"]
        if (one["protocol"], one["against_encoder"], one["metric"]) == ("linear", "pixels", "top1")
    }
    return f"by {above['all']} over raw pixels with all labels, by {above['1']} with one label a class"


def _few_labels_encoder() -> str:
    found = benchmark("few_labels")
    return f"`{found['recipe']}`, {found['pretrained']}; {found['draws']} draws of the labels"


def _few_labels_now() -> str:
    """A row for each way of measuring, a column for each budget."""
    found = benchmark("few_labels")
    cells = {((row["protocol"], row["encoder"]), str(row["labels"])): row for row in found["rows"]}
    per_class = found["labels_per_class"]
    budgets = sorted(dict.fromkeys(labels for _, labels in cells), key=lambda labels: per_class[labels])
    heads = [labels_name(as_labels(labels)) for labels in budgets]
    lines = [
        [way_name(*way), *(_of_cell(cells.get((way, labels))) for labels in budgets)]
        for way in dict.fromkeys(way for way, _ in cells)
    ]
    return _table(["top-1, %", *heads], lines)


def _few_labels_best() -> str:
    """What is best at shares of the labels."""
    return " ".join(sentence for sentence in benchmark("few_labels")["best"] if sentence.startswith("At "))


def _of_cell(row: dict[str, Any] | None) -> str:
    if row is None:
        return ""
    return f"{100 * row['mean']:.1f}" if row["low"] is None else _interval(row).replace(" %", "")


def _self_training_elsewhere() -> str:
    gains = []
    for path in sorted((HOME / "benchmarks" / "results").glob("few_labels-*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        for one in found["differences"]:
            if _pair(one) == (("self-train", "trained"), ("linear", "trained")) and one["labels"] == 20:
                name = path.stem.removeprefix("few_labels-")
                gains.append(f"{name} {signed_points(one['mean'])} points ({signed_interval(one['low'], one['high'])})")
    return ", ".join(gains)


def _pair(one: dict[str, Any]) -> tuple[tuple[str, str], tuple[str, str]]:
    return (one["protocol"], one["encoder"]), (one["against_protocol"], one["against_encoder"])


def _interval(row: dict[str, Any]) -> str:
    return f"{100 * row['mean']:.1f} % ({100 * row['low']:.1f} to {100 * row['high']:.1f})"


def _claims() -> str:
    records = (json.loads(path.read_text(encoding="utf-8")) for path in (HOME / "docs" / "results").glob("*.json"))
    labels = [label(claim) for record in records if record.get("finished") for claim in record["claims"]]
    count = labels.count
    text = f"Of {len(labels)} claims {count('reproduced')} are reproduced, {count('contradicted')} contradicted and "
    text += f"{count('undecided')} undecided after so few epochs; {count('not asked')} are not asked"
    testable = count(NOT_TESTABLE)
    return f"{text}, {testable} not testable here" if testable else text


def _h200_training() -> str:
    rate = benchmark("gpu")["results"]["compile"]["resnet18 small, 512: compiled"]["compiled"]["images/s"]
    return f"{round(rate, -2):,.0f}"


def _h200_views() -> str:
    rate = benchmark("gpu")["results"]["big"]["resnet50 224 from 256 px, 256: the loop"]["images/s"]
    return f"{2 * rate:,.0f}"


def _h200_activations() -> str:
    gpu = benchmark("gpu")["results"]
    less = gpu["big"]["resnet50 224 from 256 px, 256: the loop"]["peak GiB"]
    more = gpu["memory"]["resnet50 224, batch 512 at once"]["peak allocated GiB"]
    view = (more - less) * 2**30 / (2 * 256)
    return f"{view / 1e6:.0f} MB (batch 256 and 512 at once, {less:.1f} and {more:.1f} GiB)"


def _h200_copies() -> str:
    machine = benchmark("gpu-before")["results"]["env"]
    pinned, ordinary = (machine[f"host to device GB/s, {kind}"] for kind in ("pinned", "ordinary memory"))
    return f"{pinned:.0f} GB/s on an H200, beside {ordinary:.1f}"


def _ratio(ratio: dict[str, float]) -> str:
    return f"{ratio['median']:.2f} times ({ratio['low']:.2f} to {ratio['high']:.2f})"


def _study_hours() -> str:
    records = (json.loads(path.read_text(encoding="utf-8")) for path in (HOME / "docs" / "results").glob("*.json"))
    return f"{sum(record['seconds'] for record in records if 'study' in record) / 3600:.1f} hours"


def _branches() -> str:
    one = _printed("residual_branches")
    return f"{one['at_zero']} % with zeros, {one['at_one']} % without"


def _choice_of_l2() -> str:
    few, ten, fifty = (_printed("choice_of_l2")[labels] for labels in ("5", "10", "50"))
    return (
        f"{few[0]} by cross-entropy and {few[1]} by counts at 5 labels a class, {ten[0]} and {ten[1]} at "
        f"10, {fifty[0]} by both at 50; a fixed 0.1 gets {few[2]}, {ten[2]} and {fifty[2]}"
    )


def _coverage() -> str:
    split, folds, networks = (_printed("coverage")[name] for name in ("split", "cross_validated", "networks"))
    return (
        f"the interval holds the truth in {_span(split['holds'])} % of data sets and a winner is named in "
        f"{_span(split['names'])} % (cross-validated {_span(folds['holds'])} % and {_span(folds['names'])} %; networks "
        f"of three seeds and more {_span(networks['holds'])} % and {_span(networks['names'])} %)"
    )


def _draws_alone() -> str:
    one = _printed("coverage")["draws_alone"]
    return f"held it in {_span(one['holds'])} % and named a winner in {_span(one['names'])} %"


def _span(ends: Sequence[float]) -> str:
    return f"{ends[0]} to {ends[1]}"


def copies() -> str:
    """The table of planted copies by kind; recall and precision by what was planted."""
    rows = benchmark("copies")["rows"]
    lines = [
        [
            f"{row['set']}, {row['images']:,}",
            _percent(row["recall"]),
            _percent(row["recall"] * row["copies"] / (row["recall"] * row["copies"] + row["pairs_among_the_images"])),
            *(_percent(share) for share in row["kinds"].values()),
            f"{row['cpu_s']:.0f}",
        ]
        for row in rows
    ]
    return _table(["images", "recall", "precision, at least", *rows[0]["kinds"], "CPU s"], lines)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %".replace(".0 %", " %")


def _copies_among_many() -> str:
    row = max(benchmark("copies")["rows"], key=lambda row: row["images"])
    looked = _printed("copies_looked_at")
    return (
        f"of {row['pairs_among_the_images']:,} such pairs in CIFAR-10's {row['images']:,} images {looked['shown']} "
        f"drawn at random were looked at, and {looked['copies']} of these show one photograph twice"
    )


def _abstention() -> str:
    found = _printed("abstention")
    rows = [
        [
            f"{row['abstain']:g}",
            f"{row['draws']} of {found['draws']}",
            f"{row['answered']:.1f} %",
            "" if row["wrong"] is None else f"{row['wrong']:.1f} %",
        ]
        for row in found["rows"]
    ]
    return _table(["`--abstain`", "draws with answers", "images answered", "wrong among them"], rows)


def _expected_accuracy() -> str:
    found = _printed("abstention")
    return f"{found['expected']:.1f} % were expected to be right, and {found['right']:.1f} % were"


def _abstention_by_mean() -> str:
    found = _printed("abstention")
    one = found["by_the_mean_alone"]
    return f"{one['draws']} of {found['draws']} draws, {one['wrong']:.1f} % of them wrong"


def _suspects() -> str:
    one = _printed("suspects")
    first, changed = one["among_the_first"], one["changed"]
    return f"{first} % were changed labels: {first / changed:.0f} times chance"


def _search_million() -> str:
    result = benchmark("curation")
    row = next(row for row in result["rows"] if (row["task"], row["images"]) == ("search", 1_000_000))
    embeddings = 4 * row["images"] * result["dim"] / 2**30
    return (
        f"{row['cpu_s']:.1f} s of one CPU core and {row['peak_bytes'] / 2**30:.1f} GiB, {embeddings:.1f} of them the "
        "embeddings"
    )


def _map_frames() -> str:
    one = _printed("map_frames")
    low, high = one["frame_ms"]
    return (
        f"{one['frames_a_second']} frames a second in Chromium at 1,280 x 900 without a GPU (a busy machine of two "
        f"cores); one frame is {low} to {high} ms of work, {one['all_selected_ms']} ms with all images selected"
    )


def _picking() -> str:
    head = ["labels a class", "picked", "random", "difference, points (95 % interval)", "as many random labels"]
    rows = []
    for row in _results("picking")["rows"]:
        shares = [f"{100 * row[name]:.1f} %" for name in ("picked", "random")]
        worth = f"{row['worth']:.0f}" if row["worth"] else "more than were tried"
        cells = [
            str(row["per_class"]),
            *shares,
            f"{signed_points(row['difference'])} ({signed_interval(row['low'], row['high'])})",
        ]
        rows.append([*cells, f"{worth} for {row['labels']}"])
    return _table(head, rows)


FIGURES: dict[str, Callable[[], str]] = {
    "demo-time": lambda: _printed("demo_time")["make_demo"],
    "demo-measured": _demo_measured,
    "demo-table": _demo_table,
    "demo-rows": _demo_rows_won,
    "demo-above-pixels": _demo_above_pixels,
    "few-labels-encoder": _few_labels_encoder,
    "few-labels-now": _few_labels_now,
    "few-labels-best": _few_labels_best,
    "few-labels-steps": lambda: benchmark("few_labels")["self_training"],
    "self-training-elsewhere": _self_training_elsewhere,
    "claims": _claims,
    "h200-training": _h200_training,
    "h200-views": _h200_views,
    "h200-activations": _h200_activations,
    "h200-copies": _h200_copies,
    "h200-context": lambda: f"{_printed('h200_context_gib')} GiB",
    "chunks": lambda: _ratio(benchmark("batch")["price"]),
    "two-processes": lambda: f"{benchmark('processes')['speed']['median']:.2f} times",
    "study-hours": _study_hours,
    "residual-branches": _branches,
    "choice-of-l2": _choice_of_l2,
    "coverage": _coverage,
    "draws-alone": _draws_alone,
    "folds-as-independent": lambda: f"{_printed('coverage')['folds_as_independent_names']} %",
    "copies": copies,
    "copies-among-many": _copies_among_many,
    "abstention": _abstention,
    "expected-accuracy": _expected_accuracy,
    "abstention-by-mean": _abstention_by_mean,
    "suspects": _suspects,
    "suspects-called": lambda: f"{_printed('suspects')['among_confident_learning']} %",
    "picking": _picking,
    "search-million": _search_million,
    "map-frames": _map_frames,
}
