"""Turn benchmarks/results/*.json into benchmarks/RESULTS.md and the chart of the loss:  python benchmarks/render.py"""

import json
from pathlib import Path
from typing import Any

import render_gpu
from results import known, load

from twofold.evaluation import chance_sentences
from twofold.evaluation.prediction_file import as_labels
from twofold.evaluation.protocols import PROTOCOLS, TRAINED, labels_name, way_name
from twofold.evaluation.sentences import signed_interval, signed_points

HERE = Path(__file__).parent
MIB = 2**20


def _where(result: dict[str, Any]) -> str:
    one = result["machine"]
    place = f"{one['name']}, {one['cores']} cores, {one['device']}"
    load = f"; {one['load']}" if "load" in one else ""
    return f"{place}, {one['precision']}, torch {one['torch']}, {one['date']}{load}."


def _spread(ratio: dict[str, float], digits: int = 2) -> str:
    return f"{ratio['median']:.{digits}f} ({ratio['low']:.{digits}f} to {ratio['high']:.{digits}f})"


def loss(result: dict[str, Any]) -> list[str]:
    draw(result["curve"])
    lines = [
        "## The loss beside its peers (`benchmarks/loss.py`)",
        "",
        f"Value and gradient at N = 8192, d = {result['dim']}, float32; {result['rounds']} rounds in turn.",
        _where(result),
        "",
        "| | median s | time over twofold's tiled loss (lowest to highest) |",
        "|---|---|---|",
    ]
    for name, taken in result["times_s"].items():
        ratio = result["ratios"].get(name)
        lines.append(f"| {name} | {taken:.2f} | {_spread(ratio, 1) if ratio else '1'} |")
    names = list(dict.fromkeys(row["name"] for row in result["curve"]))
    lines += ["", "One value and gradient in a process of its own: seconds, and MiB beyond the inputs at the peak.", ""]
    lines += [f"| N | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    measured = {(row["n"], row["name"]): row for row in result["curve"]}
    for n in sorted({row["n"] for row in result["curve"]}):
        cells = [_cell(measured.get((n, name))) for name in names]
        lines.append(f"| {n:,} | {' | '.join(cells)} |")
    return [
        *lines,
        "",
        "Empty: its matrices would not fit into 12 GiB, so it was not tried.",
        "",
        "![time and memory](loss.png)",
    ]


def _cell(row: dict[str, Any] | None) -> str:
    return f"{row['seconds']:.3g} s, {row['bytes'] / MIB:,.0f} MiB" if row else ""


def draw(curve: list[dict[str, Any]]) -> None:
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for name in dict.fromkeys(row["name"] for row in curve):
        rows = [row for row in curve if row["name"] == name]
        n = [row["n"] for row in rows]
        axes[0].loglog(n, [row["seconds"] for row in rows], "o-", label=name)
        axes[1].loglog(n, [max(row["bytes"], MIB) / MIB for row in rows], "o-", label=name)
    axes[0].set(xlabel="N images (2N views)", ylabel="s, value and gradient")
    axes[1].set(xlabel="N images (2N views)", ylabel="MiB beyond the inputs")
    axes[0].legend(frameon=False)
    for one in axes:
        one.grid(alpha=0.3)
    figure.savefig(HERE / "loss.png", dpi=110)


def batch(result: dict[str, Any]) -> list[str]:
    lines = [
        "## Large batches in chunks (`benchmarks/batch.py`)",
        "",
        f"ResNet-18, small-image stem, 2N views of 32 x 32, LARS; one step in a process of its own. {_where(result)}",
        "",
        "| batch | chunk | peak of the process, MiB | images/s |",
        "|---|---|---|---|",
    ]
    for row in result["rows"]:
        chunk = "none (direct)" if row["chunk"] >= row["batch_size"] else row["chunk"]
        lines.append(
            f"| {row['batch_size']:,} | {chunk} | {row['peak_bytes'] / MIB:,.0f} | {row['images_per_s']:.0f} |"
        )
    return [
        *lines,
        "",
        "images/s: the first step of a fresh process, which costs small batches most. Warm and in turn, the time per "
        f"image at 8192 in chunks over 256 direct is {_spread(result['price'])}.",
    ]


def processes(result: dict[str, Any]) -> list[str]:
    step = result["step_s"]
    return [
        "## Two processes beside one (`benchmarks/processes.py`)",
        "",
        f"`cifar10-laptop`, global batch {result['batch_size']}, messages through shared memory. {_where(result)}",
        "",
        f"Speed of two processes with a thread each over one with two threads, in turn: {_spread(result['speed'])}. "
        f"Median step {step['two']:.4f} s and {step['one']:.4f} s.",
    ]


def views(result: dict[str, Any]) -> list[str]:
    peers = ", ".join(f"{name} {number}" for name, number in result["versions"].items())
    lines = [
        "## Views beside the peers (`benchmarks/views.py`)",
        "",
        "Views a second and core (one thread), the whole policy, decoded images in memory; "
        f"{result['rounds']} rounds in turn. {peers}. {_where(result)}",
    ]
    for table in result["tables"]:
        lines += ["", f"| {table['title']} | views/s | twofold over it (lowest to highest) |", "|---|---|---|"]
        for row in table["rows"]:
            ratio = "1" if row["name"] == "twofold" else _spread(row["ratio"])
            lines.append(f"| {row['name']} | {row['views_per_s']:,.0f} | {ratio} |")
    return lines


def endtoend(result: dict[str, Any]) -> list[str]:
    lines = [
        "## Training beside lightly (`benchmarks/endtoend.py`)",
        "",
        f"JPEG files to weights, images/s, {result['rounds']} rounds in turn; lightly {result['lightly']} as "
        f"documented and once more with bf16 and channels-last. {_where(result)}",
        "",
        "| | images/s | twofold over it (lowest to highest) |",
        "|---|---|---|",
    ]
    for table in result["tables"]:
        for row in table["rows"]:
            ratio = "1" if row["name"] == "twofold" else _spread(row["ratio"])
            lines.append(f"| {table['title']}: {row['name']} | {row['images_per_s']:,.1f} | {ratio} |")
    lines += ["", "Where twofold's step goes:", ""]
    for table in result["tables"]:
        one = table["profile"]
        lines.append(
            f"- {table['title']}: encoder and head {one['encoder_share']:.1%} of a step, data wait "
            f"{one['wait_share']:.1%}, encoder and head at {one['matrix_share']:.0%} of the matrix rate "
            f"({one['matrix_gflops']:,.0f} GFLOP/s)"
        )
    return lines


def compiled(result: dict[str, Any]) -> list[str]:
    lines = [
        "## The encoder compiled (`benchmarks/compiled.py`)",
        "",
        f"Forward and backward, `--compile True` beside the encoder as it is, in turn. {_where(result)}",
        "",
        "| | step as it is, s | speed of compiled over it (lowest to highest) |",
        "|---|---|---|",
    ]
    lines += [f"| {t['title']} | {t['step_s']:.3f} | {_spread(t['speed'])} |" for t in result["tables"]]
    return lines


def speedrun(result: dict[str, Any]) -> list[str]:
    """lightly tuned, where it was measured, is what Twofold is compared with; as documented it stands beside."""
    flags = " ".join(f"--{name} {value}" for name, value in result["settings"].items())
    lines = [
        "## Fifteen minutes on CIFAR-10 (`benchmarks/speedrun.py`)",
        "",
        f"`{result['recipe']} {flags} --processes 2`; lightly {result['lightly']}. Top-1 on test, all labels, "
        f"per cent. {_where(result)}",
        "",
        "| | seed | minutes | epochs | linear | k-NN | untrained, linear | raw pixels, linear |",
        "|---|---|---|---|---|---|---|---|",
    ]
    sides = {"twofold": "runs", "lightly, tuned": "tuned", "lightly, as documented": "peers"}
    for name, key in sides.items():
        for run in result.get(key, ()):
            shares = ("linear trained", "knn trained", "linear untrained", "linear pixels")
            cells = " | ".join(f"{100 * run[share]:.1f}" for share in shares)
            lines.append(f"| {name} | {run['seed']} | {run['minutes']:.1f} | {run['epochs']:.1f} | {cells} |")
    mean, low, high = (100 * result["linear"][name] for name in ("mean", "low", "high"))
    ours = f"Twofold's mean: {mean:.1f} ({low:.1f} to {high:.1f}, 95 % over seeds)"
    return [*lines, "", f"{ours}{_beside_lightly(result)}"]


def _beside_lightly(result: dict[str, Any]) -> str:
    if "above_tuned" not in result:
        return (
            f", {100 * result['above_lightly']:.1f} points above lightly as documented: another encoder, no momentum, "
            "no schedule, float32. lightly tuned (Twofold's encoder and settings, a rate from the same grid, bf16) has "
            "not been measured, so this says what the documented use gives, not what lightly can."
        )
    mean, low, high = (result["above_tuned"][name] for name in ("mean", "low", "high"))
    rates = "; ".join(
        f"{name} {', '.join(f'{rate} {100 * top1:.1f}' for rate, top1 in tried.items())}"
        for name, tried in result["tried"].items()
    )
    return (
        f", {signed_points(mean)} points beside lightly tuned ({signed_interval(low, high)}, paired by image and seed, "
        "95 % over both): the same encoder, views, batch, momentum, weight decay, cosine, bf16 and seconds. Rates and "
        f"their linear probe on images cut from train: {rates}."
    )


def few_labels(result: dict[str, Any]) -> list[str]:
    on = "images cut from train" if result["selection"] else "test"
    rows = {(row["protocol"], row["encoder"], str(row["labels"])): row for row in result["rows"]}
    ways = list(dict.fromkeys((protocol, encoder) for protocol, encoder, _ in rows))
    lines = [
        "## What few labels are worth on CIFAR-10 (`benchmarks/few_labels.py`)",
        "",
        f"One encoder (`{result['recipe']}`, {result['pretrained']}), {result['draws']} draws of the labels"
        f"{_networks_of_all(result)}. {result['self_training']} Top-1 on {on}, per cent, with 95 % intervals. "
        f"{_where(result)}",
        "",
        f"| labels | {' | '.join(way_name(*way) for way in ways)} |",
        f"|---|{'---|' * len(ways)}",
    ]
    for labels in dict.fromkeys(str(row["labels"]) for row in result["rows"]):
        cells = (_share(rows.get((*way, labels))) for way in ways)
        lines.append(f"| {labels_name(as_labels(labels))} | {' | '.join(cells)} |")
    said = (*result["best"], *result["sentences"], *chance_sentences(len(result["sentences"])))
    return [
        *lines,
        "",
        *(f"- {sentence}" for sentence in (*said, *(edge[0].upper() + edge[1:] + "." for edge in result["edges"]))),
    ]


def _networks_of_all(result: dict[str, Any]) -> str:
    counts = {row["protocol"]: row["seeds"] for row in result["rows"] if row["labels"] == "all"}
    trained = {PROTOCOLS[way]: count for way, count in counts.items() if way in TRAINED}
    return "".join(f"; with all labels {name} of {count} seed{'s' * (count > 1)}" for name, count in trained.items())


def steps_of(result: dict[str, Any], labels: str) -> int:
    """Of self-training at a budget; older files have one number for all of them."""
    steps: int | dict[str, int] = result["steps"]
    return steps if isinstance(steps, int) else steps[labels]


def _images_a_step(result: dict[str, Any]) -> str:
    """Labelled and other images; older files do not name them."""
    labelled, others = result.get("images_a_step", (64, 256))
    return f"{labelled} + {others}"


def few_labels_elsewhere() -> list[str]:
    """Linear probe and self-training on the other sets, and with images of foreign classes: a row for each budget."""
    results = [json.loads(path.read_text()) for path in sorted((HERE / "results").glob("few_labels-*.json"))]
    results = [result for result in results if not result["selection"]]
    if not results:
        return []
    lines = [
        "## What self-training adds on other images (`benchmarks/few_labels.py`)",
        "",
        "An encoder pretrained on each set. On test, per cent, with 95 % intervals; mean per class where classes are "
        "unequal. A step of self-training shows so many labelled and so many other images.",
        "",
        "| images | pretrained for | labels | draws | steps | linear probe | self-training | difference, points |",
        "|---|---|---|---|---|---|---|---|",
    ]
    compared = 0
    for result in results:
        rows = {(row["protocol"], str(row["labels"])): row for row in result["rows"] if row["encoder"] == "trained"}
        name = result["data"] + (f", {result['foreign']} classes foreign" if result["foreign"] else "")
        for one in result["differences"]:
            if (one["protocol"], one["against_protocol"], one["against_encoder"]) != (
                "self-train",
                "linear",
                "trained",
            ):
                continue
            labels = str(one["labels"])
            compared += 1
            lines.append(
                f"| {name} | {result['pretrained']} | {labels_name(as_labels(labels))} | {result['draws']} | "
                f"{steps_of(result, labels):,} of {_images_a_step(result)} | {_share(rows['linear', labels])} | "
                f"{_share(rows['self-train', labels])} | "
                f"{signed_points(one['mean'])} ({signed_interval(one['low'], one['high'])}) |"
            )
    caveats = [
        f"- {result['data']}: {caveat}."
        for result in results
        for caveat in (*result["caveats"], *known(result["data"]))
    ]
    return [
        *lines,
        "",
        *chance_sentences(compared),
        "",
        *caveats,
        "",
        *dict.fromkeys(_where(result) for result in results),
    ]


def _share(row: dict[str, Any] | None) -> str:
    if row is None:
        return "-"
    span = "" if row["low"] is None else f" ({100 * row['low']:.1f} to {100 * row['high']:.1f})"
    return f"{100 * row['mean']:.1f}{span}"


def host(result: dict[str, Any]) -> list[str]:
    lines = [
        "## The host's share of a step on a GPU (`benchmarks/host.py`)",
        "",
        f"Drawing, packing and starting a recorded step of 512 images at 32 px, the device left out; CPU time of one "
        f"thread, median of {result['rounds']} rounds. {_where(result)}",
        "",
        "| policy | ms a step (lowest to highest) |",
        "|---|---|",
    ]
    for name, row in result["policies"].items():
        lines.append(f"| {name} | {row['ms']:.2f} ({row['low']:.2f} to {row['high']:.2f}) |")
    return lines


def opening(result: dict[str, Any]) -> list[str]:
    lines = [
        "## Opening what is in the store (`benchmarks/opening.py`)",
        "",
        "A folder of small files in 100 classes: listed, surveyed, cut into splits, opened; each in a process of its "
        f"own. Memory is that of the whole process, with what importing takes. {_where(result)}",
        "",
        "| images | | s | s of CPU time | MiB at the peak | MiB before |",
        "|---|---|---|---|---|---|",
    ]
    told = {"first": "the first time", "one more": "after one was added", "again": "again"}
    for row in result["rows"]:
        for name, one in row["openings"].items():
            memory = f"{one['peak'] / MIB:,.0f} | {one['before'] / MIB:,.0f}"
            lines.append(f"| {row['images']:,} | {told[name]} | {one['seconds']:.1f} | {one['cpu']:.1f} | {memory} |")
    return lines


def embedding(result: dict[str, Any]) -> list[str]:
    lines = [
        "## Writing embeddings (`benchmarks/embedding.py`)",
        "",
        f"Made-up images of 8 px, a stub for the encoder, {result['dim']} numbers of 16 bits each, to parquet in two "
        f"shards. {_where(result)}",
        "",
        "| images in all | | s | MiB at the peak |",
        "|---|---|---|---|",
    ]
    told = {"first": "the first shard", "again": "the second, called again after a kill", "skipped": "the first again"}
    for row in result["rows"]:
        for name, text in told.items():
            one = row[name]
            lines.append(f"| {row['images']:,} | {text} | {one['seconds']:.1f} | {one['peak'] / MIB:,.0f} |")
    return lines


def gpu(result: dict[str, Any]) -> list[str]:
    return render_gpu.gpu(result, load("gpu-before"))


CURATION_FIGURES = {
    "copies_recall": "planted copies found {:.1%}",
    "labels_precision": "changed among suspect labels {:.1%}",
    "labels_recall": "changed labels found {:.1%}",
    "queries": "queries {:.0f}",
    "recall": "of the 20 nearest found {:.1%}",
    "classes": "classes among 100 picked {:.0f}",
    "shown": "images on the map {:,.0f}",
}


def curation(result: dict[str, Any]) -> list[str]:
    peers = ", ".join(f"{name} {number}" for name, number in result["versions"].items())
    lines = [
        "## What is done with embeddings (`benchmarks/curation.py`)",
        "",
        f"Made-up embeddings of {result['dim']} numbers, a process for each; 5 % of the labels changed, 2 % of the "
        f"images copies. CPU seconds of one thread, on a machine that others used too. {peers}. {_where(result)}",
        "",
        "| | images | CPU s | peak of the process, MiB | |",
        "|---|---|---|---|---|",
    ]
    for row in sorted(result["rows"], key=lambda row: (row["task"], row["images"])):
        told = [text.format(row[name]) for name, text in CURATION_FIGURES.items() if name in row]
        lines.append(
            f"| {row['task']} | {row['images']:,} | {row['cpu_s']:.1f} | {row['peak_bytes'] / MIB:,.0f} | "
            f"{', '.join(told)} |"
        )
    return [
        *lines,
        "",
        "clean compares images and embeddings, suspects is its part on labels alone. imagededup compares the same "
        "vectors, cleanlab the same probabilities (both with the fit that gives them), scikit-activeml picks by "
        "TypiClust. Made-up noise is no measure of quality on real images.",
    ]


def page() -> str:
    """The text of RESULTS.md; the chart of the loss is written."""
    lines = ["# What was measured", "", "Written by `python benchmarks/render.py` from `benchmarks/results/`."]
    for render in (
        loss,
        batch,
        processes,
        views,
        endtoend,
        compiled,
        speedrun,
        few_labels,
        host,
        opening,
        embedding,
        curation,
        gpu,
    ):
        result = load(render.__name__)
        if result:
            lines += ["", *render(result)]
        if render is few_labels and (others := few_labels_elsewhere()):
            lines += ["", *others]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    (HERE / "RESULTS.md").write_text(page(), encoding="utf-8")
