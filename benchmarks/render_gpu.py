"""The section of benchmarks/RESULTS.md on a GPU, from what benchmarks/gpu.py left in benchmarks/results/.

`gpu` is the newest run, `gpu-before` the first one, from when the views made the host wait for the device.
A run need not hold every section: what no run holds is not shown.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

Run = dict[str, Any]
Values = dict[str, Any]
_NOTES = ("left out", "stopped", "failed", "seconds")  # of a section, beside its measurements


def gpu(newest: Run, first: Run | None = None) -> list[str]:
    """The lines. Where both are the same run it is shown once."""
    runs = {"newest": newest}
    if first and first["began"] != newest["began"]:
        runs["first"] = first
    lines = ["## On a GPU (`benchmarks/gpu.py`)", "", "Each figure is one run on one machine of that day."]
    lines += [f"{_where(name, run)}" for name, run in runs.items()]
    results = {name: run["results"] for name, run in runs.items()}
    for table in (_waits, _parity, _steps, _parts, _views, _loss, _memory, _training):
        lines += table(results)
    return [*lines, *_faults(newest["results"])]


def _where(name: str, run: Run) -> str:
    machine = _at(run["results"], "env", "machine") or {}
    gpu = machine.get("gpu", "an unnamed device")
    versions = {"torch": "torch", "CUDA": "cuda", "cuDNN": "cudnn", "Python": "python"}
    known = [f"{title} {machine[key]}" for title, key in versions.items() if key in machine]
    when = f"The {name} run" + (", from before the views were rewritten" if name == "first" else "")
    return f"{when}: {', '.join([gpu, *known, run['began']])}."


def _at(results: Values, *path: str) -> Any:
    """The value at the end of a path, or None where there is none, or a fault in its place."""
    value: Any = results
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return None if isinstance(value, dict) and ("error" in value or "left out" in value) else value


def _measured(results: Values, section: str) -> Values:
    """The measurements of a section that went well, by name."""
    names = [name for name in results.get(section, {}) if name not in _NOTES]
    return {name: value for name in names if (value := _at(results, section, name)) is not None}


def _table(title: str, results: dict[str, Values], rows: Iterable[tuple[str, Callable[[Values], str]]]) -> list[str]:
    """A column for each run, without rows and without columns that say nothing."""
    filled = [(name, [cell(one) for one in results.values()]) for name, cell in rows]
    filled = [(name, cells) for name, cells in filled if any(cells)]
    if not filled:
        return []
    lines = ["", f"| {title} | {' | '.join(results)} |", "|---" * (len(results) + 1) + "|"]
    return [*lines, *(f"| {name} | {' | '.join(cells)} |" for name, cells in filled)]


def _names(results: dict[str, Values], *sections: str, like: Callable[[str, Any], bool]) -> list[tuple[str, str]]:
    """(section, name) of the measurements of any run that are alike, once each."""
    found = [
        (section, name)
        for section in sections
        for one in results.values()
        for name, value in _measured(one, section).items()
        if like(name, value)
    ]
    return list(dict.fromkeys(found))


def _waits(results: dict[str, Values]) -> list[str]:
    def cell(one: Values, name: str) -> str:
        waits = _at(one, "syncs", name, "a step")
        return "" if waits is None else str(waits)

    names = _names(results, "syncs", like=lambda _, value: isinstance(value, dict) and "a step" in value)
    rows = [(name, lambda one, name=name: cell(one, name)) for _, name in names]
    return _table("the host waits for the device, times a step", results, rows)


def _parity(results: dict[str, Values]) -> list[str]:
    """The largest differences of their kind."""

    def of(choose: Callable[[str], bool], *path: str, beside: str = "") -> Callable[[Values], str]:
        def cell(one: Values) -> str:
            values = [value for name, value in _measured(one, "parity").items() if choose(name)]
            own = _largest(_at({"": value}, "", *path) for value in values)
            other = _largest(_at({"": value}, "", beside, *path[1:]) for value in values) if beside else None
            return _figure(own) + (f" ({_figure(other)})" if other is not None else "")

        return cell

    def named(start: str, without: str = "nothing") -> Callable[[str], bool]:
        return lambda name: name.startswith(start) and without not in name

    fp32, bf16, change = "device fp32", "device bf16", "change of the weights"
    rows = [
        ("views, largest difference of a value in [0, 1]", of(named("views", "8 bits"), "largest")),
        ("the same, bilinear (the CPU computes in 8 bits)", of(named("views simclr 224 bilinear"), "largest")),
        ("losses: value and gradient, in float64", of(named("loss"), "cuda float64")),
        ("the same in float32, beside float64 (the CPU's)", of(named("loss"), "cuda float32", beside="cpu float32")),
        ("tiled loss, N = 8,192, beside float64", of(named("tiled N=8192"), "gradient")),
    ]
    for _, name in _names(results, "parity", like=lambda name, _: name.startswith("model")):
        model, own = name.removeprefix("model ").removesuffix(" beside CPU float64"), named(name)
        rows += [
            (f"{model}: gradient in fp32, beside float64 (the CPU's)", of(own, fp32, "gradient", beside="cpu fp32")),
            (f"{model}: the same with cuDNN's TF32", of(own, f"{fp32}, cudnn TF32", "gradient")),
            (f"{model}: the same in bf16 (the CPU's)", of(own, bf16, "gradient", beside="cpu bf16")),
        ]
    rows += [
        ("three steps: change of the weights, in fp32", of(named("steps"), fp32, change)),
        ("the same in bf16, beside fp32 (the CPU's)", of(named("steps"), bf16, change, beside="cpu bf16")),
        ("three steps of LARS alone, in float64", of(named("LARS"))),
    ]
    for _, name in _names(results, "parity", like=lambda name, _: name.startswith("dropout")):
        rows.append((name.replace("gradient error", "gradient"), of(named(name))))
    rows += [
        ("two runs of five steps in bf16, largest difference", of(named("two runs"))),
        ("two processes beside one, three steps: a weight", lambda one: _figure(_at(one, "two", *_TWO))),
    ]
    return _table("the GPU beside the CPU: relative differences, the largest of each kind", results, rows)


_TWO = ("two processes beside one", "worst weight")


def _largest(values: Iterable[Any]) -> float | None:
    """The largest of all numbers in nested values; what is not a number counts as infinite."""
    found = [number for value in values for number in _numbers(value)]
    return max(found, default=None)


def _numbers(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [number for one in value.values() for number in _numbers(one)]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return []
    return [math.inf if math.isnan(value) else float(value)]


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.1e}" if value else "0"


def _steps(results: dict[str, Values]) -> list[str]:
    def cell(one: Values, section: str, name: str) -> str:
        row = _at(one, section, name)
        if not row:
            return ""
        peak = f", {row['peak GiB']:.1f} GiB" if row.get("peak GiB") else ""
        return f"{row['step ms']:.1f} ms, {row['images/s']:,.0f} images/s{peak}"

    names = _names(results, "cifar", "big", like=lambda _, value: isinstance(value, dict) and "step ms" in value)
    rows = [(_loop_title(name), lambda one, s=section, name=name: cell(one, s, name)) for section, name in names]
    for _, name in _names(results, "compile", like=lambda name, _: name.endswith(": compiled")):
        rows.append(
            (f"{name.removesuffix(': compiled')}, `--compile True`", lambda one, name=name: _compiled(one, name))
        )
    return _table("a step of the training loop", results, rows)


def _compiled(one: Values, name: str) -> str:
    """Beside the step as the host queues it, both measured in turn, and what the encoder alone takes as a graph."""
    row, queued = _at(one, "compile", name, "compiled"), _at(one, "compile", name, "as it is")
    if not row:
        return ""
    text = f"{row['step ms']:.1f} ms, {row['images/s']:,.0f} images/s"
    if queued:
        text += f", {queued['step ms'] / row['step ms']:.2f} times as fast as without"
    alone = row.get("ms of encoder and head alone, as a graph")
    return text + (f"; encoder and head alone {alone:.1f} ms, {alone / row['step ms']:.0%}" if alone else "")


def _loop_title(name: str) -> str:
    return name.removesuffix(": the loop").replace("loop ", "resnet18 small: ")


def _parts(results: dict[str, Values]) -> list[str]:
    """Where a step goes, and how fast the encoder is for itself."""

    def share(one: Values, section: str, name: str) -> str:
        row = _at(one, section, name)
        if not row:
            return ""
        parts = ", ".join(f"{part} {ms:.1f}" for part, ms in row["ms"].items())
        return f"{row['encoder share']:.0%} of {row['step ms, waiting after each part']:.1f} ms ({parts})"

    def alone(one: Values, section: str, name: str) -> str:
        row = _at(one, section, name)
        if not row:
            return ""
        return f"{row['ms']:.1f} ms, {row['TFLOP/s']:.0f} TFLOP/s: {row['share of the matrix rate']:.0%} of a product's"

    rows = []
    for ending, cell in (("parts", share), ("encoder and head alone", alone)):
        title = "encoder and head, share of a step" if ending == "parts" else ending
        for section, name in _names(results, "cifar", "big", like=lambda name, _, e=ending: name.endswith(f": {e}")):
            label = f"{name.removesuffix(f': {ending}')}: {title}"
            rows.append((label, lambda one, s=section, name=name, cell=cell: cell(one, s, name)))
    return _table("where it goes, the device waited for after each part", results, rows)


def _views(results: dict[str, Values]) -> list[str]:
    def cell(one: Values, section: str, name: str) -> str:
        ms, profiled = _at(one, section, name), _at(one, section, name.replace("views ms", "views profiled"))
        if ms is None:
            return ""
        if profiled is None:
            return f"{ms:.2f} ms"
        count, device_ms = profiled["device activities"], 1e3 * profiled["device s"]
        return f"{ms:.2f} ms: {count:,} kernels and copies of {device_ms:.2f} ms in all"

    names = _names(results, "cifar", "big", like=lambda name, _: name.endswith(": views ms"))
    rows = [
        (name.removesuffix(": views ms"), lambda one, s=section, name=name: cell(one, s, name))
        for section, name in names
    ]
    return _table("both views of a batch", results, rows)


def _loss(results: dict[str, Values]) -> list[str]:
    """A column for each way to compute it, from the newest run that holds it."""
    sizes: Values = next(filter(None, (_measured(one, "loss") for one in results.values())), {})
    if not sizes:
        return []
    ways = list(dict.fromkeys(way for row in sizes.values() for way in row if way != "contrast_measures"))
    ways.sort(key=lambda way: (not way.startswith("as"), not way.startswith("dense"), len(way), way))
    lines = ["", f"| NT-Xent, value and gradient, N | {' | '.join(ways)} |", "|---" * (len(ways) + 1) + "|"]
    for name, row in sorted(sizes.items(), key=lambda item: int(item[0].removeprefix("N="))):
        cells = [_loss_cell(row.get(way)) for way in ways]
        lines.append(f"| {int(name.removeprefix('N=')):,} | {' | '.join(cells)} |")
    return lines


def _loss_cell(row: Values | None) -> str:
    if not row:
        return ""
    digits = 0 if row["ms"] >= 100 else 1 if row["ms"] >= 10 else 2
    return f"{row['ms']:,.{digits}f} ms" + ("" if row["MiB"] is None else f", {row['MiB']:,.0f} MiB")


def _memory(results: dict[str, Values]) -> list[str]:
    def cell(one: Values, name: str) -> str:
        row = _at(one, "memory", name)
        if not row:
            return ""
        peak = f", {row['peak allocated GiB']:.1f} GiB" if "peak allocated GiB" in row else ""
        return f"{row['s of the second step']:.2f} s, {row['images/s']:,.0f} images/s{peak}"

    names = _names(results, "memory", like=lambda _, value: isinstance(value, dict) and "s of the second step" in value)
    rows = [(name, lambda one, name=name: cell(one, name)) for _, name in names]
    return _table("large batches: a step, and the peak that it allocates", results, rows)


def _training(results: dict[str, Values]) -> list[str]:
    def cell(one: Values, name: str) -> str:
        run, knn = _at(one, "train", name), _at(one, "train", name.replace(": run", ": k-NN on test, all labels"))
        if not run:
            return ""
        trained = f"{run['steps']:,} steps ({run['epochs']:.1f} epochs) in {run['s of training']:.0f} s"
        return trained + (f", k-NN on test {100 * knn['top1']:.1f} %" if knn else "")

    names = _names(results, "train", like=lambda name, _: name.endswith(": run"))
    rows = [(name.removesuffix(": run"), lambda one, name=name: cell(one, name)) for _, name in names]
    return _table("ResNet-18 trained by `pretrain`", results, rows)


def _faults(results: Values) -> list[str]:
    """What went wrong in the newest run."""
    found = []
    for section, values in results.items():
        for name, value in values.items():
            if isinstance(value, dict) and "error" in value:
                found.append(f"- {section}, {name}: {value['error'].splitlines()[0][:160]}")
            elif name == "stopped":
                found.append(f"- {section} stopped {value}")
    return ["", "Went wrong in the newest run:", "", *found] if found else []
