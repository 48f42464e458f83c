"""benchmarks/gpu.py goes through from end to end on a CPU, so that it does on a GPU, where its time is short."""

import importlib
import io
import json
import math
import os
import signal
import subprocess
import sys
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from twofold.training import step

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="the program's limits of time need SIGALRM")
HOME = Path(__file__).parents[1]
BENCHMARKS = HOME / "benchmarks"
SECTIONS = ("env", "syncs", "compile", "cifar", "big", "loss", "memory", "parity", "train", "misc", "two")
WITHOUT_THESE = "import sys\nsys.modules['tyro'] = sys.modules['timm'] = None\n"  # where it is to run they are not

Results = dict[str, dict[str, Any]]
Module = Callable[[str], Any]


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a rehearsal writes."""
    folder = tmp_path_factory.mktemp("gpu")
    (folder / "sitecustomize.py").write_text(WITHOUT_THESE, encoding="utf-8")
    command = [sys.executable, BENCHMARKS / "gpu.py", "--device", "cpu", "--tiny", "--out", folder / "gpu.json"]
    path = os.pathsep.join(map(str, (folder, HOME / "src")))
    environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads((folder / "gpu.json").read_text(encoding="utf-8"))


@pytest.fixture
def results(rehearsal: dict[str, Any]) -> Results:
    return rehearsal["results"]


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Module:
    """A section's module by its name."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return lambda name: importlib.import_module(f"gpu_sections.{name}")


@pytest.fixture
def bench(module: Module, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    for limit in ("_SHORTEST_SECTION_S", "_SPARE_S"):
        monkeypatch.setattr(module("bench"), limit, 0.0)
    return bench_of(module, tmp_path)


def bench_of(module: Module, folder: Path, budget_s: float = 60.0) -> Any:
    return module("bench").Bench(
        folder / "x.json", device="cpu", tiny=True, budget_s=budget_s, work=folder, data=None, train_s=1.0
    )


def nested(values: Any) -> Iterator[tuple[str, Any]]:
    """Every name with its value, at any depth."""
    pairs = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for name, value in pairs:
        yield str(name), value
        yield from nested(value)


def numbers(values: Any) -> list[float]:
    return [value for _, value in nested([values]) if isinstance(value, float)]


def test_every_section_leaves_results_and_nothing_fails(rehearsal: dict[str, Any], results: Results) -> None:
    assert rehearsal["finished"] is True
    assert tuple(results) == SECTIONS
    names = {name for name, _ in nested(results)}
    assert names.isdisjoint({"error", "failed", "stopped"})
    assert {section for section, found in results.items() if "left out" in dict(nested(found))} == {"syncs"}
    assert min(len(found) for section, found in results.items() if section != "syncs") >= 2
    assert all(map(math.isfinite, numbers(results)))


def test_it_runs_without_what_the_command_line_and_the_report_need(results: Results) -> None:
    assert [results["env"]["machine"]["packages"][name] for name in ("tyro", "timm")] == [False, False]


def test_a_device_that_is_the_cpu_does_what_the_cpu_does(results: Results) -> None:
    found = results["parity"]
    views = [value["largest"] for name, value in found.items() if name.startswith("views ")]
    assert views == [0.0] * len(views)
    assert len(views) > 10
    steps = [value for name, value in found.items() if name.startswith("steps ")]
    assert {one["device fp32"]["change of the weights"] for one in steps} == {0.0}
    assert min(one["device bf16"]["change of the weights"] for one in steps) > 1e-4  # the figure can be something else
    losses = [value for name, value in found.items() if name.startswith("loss ") and isinstance(value, dict)]
    assert set(numbers([one["cpu float64"] for one in losses])) == {0.0}
    assert 0 < max(numbers([one["cpu float32"] for one in losses])) < 1e-4
    assert 0 < max(numbers(found["tiled N=64 beside float64 in blocks"])) < 1e-5
    dropout = [value for name, value in found.items() if name.startswith("dropout")]
    assert len(dropout) == 2
    assert max(dropout) < 1e-6
    assert results["two"]["two processes beside one"]["worst weight"] < 1e-4
    assert results["misc"]["checkpoint"]["a step after loading differs by"] == 0.0


def test_the_page_can_show_a_rehearsal(rehearsal: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    page = "\n".join(importlib.import_module("render_gpu").gpu(rehearsal))
    shown = ("training loop", "it goes", "both views", "NT-Xent", "large batches", "by `pretrain`", "beside one")
    assert [name for name in shown if name not in page] == []
    assert "Went wrong" not in page


def test_views_that_differ_on_the_device_are_seen(bench: Any, module: Module, monkeypatch: pytest.MonkeyPatch) -> None:
    parity, calls = module("parity"), []

    def make_views(*arguments: Any) -> torch.Tensor:
        calls.append(1)
        return torch.full((2, 3, 8, 8), 0.25 * len(calls))

    monkeypatch.setattr(parity, "make_views", make_views)
    found = parity._views(bench, 32, size_px=32)
    assert (found["largest"], found["mean"], found["share above 1/255"]) == (0.25, 0.25, 1.0)


@pytest.mark.parametrize("weighted", [False, True])
def test_dropout_that_does_not_repeat_is_seen(
    bench: Any, module: Module, monkeypatch: pytest.MonkeyPatch, weighted: bool
) -> None:
    dropout_in_chunks = module("parity_training").dropout_in_chunks
    assert dropout_in_chunks(bench, weighted=weighted) < 1e-6
    monkeypatch.setattr("twofold.training.chunks.seed_random", lambda *_, **__: None)
    assert dropout_in_chunks(bench, weighted=weighted) > 0.1


def test_waits_are_told_by_the_line_that_asks(bench: Any, module: Module, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer, modes = module("trainer"), []

    def build_loss(recipe: Any) -> Any:
        for _ in range(3 if modes == ["warn"] else 0):
            warnings.warn("called a synchronizing CUDA operation", UserWarning, stacklevel=1)
        return real(recipe)

    real = step.build_loss
    monkeypatch.setattr(step, "build_loss", build_loss)
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", modes.append)
    recipe = trainer.recipe_of(4, **trainer.SMALL, size_px=8)
    found = module("machine")._waits(bench, recipe, module("pictures").batch_of(4, 8))
    assert modes == ["warn", "default"]
    assert found["a step"] == 3
    (place,) = found["by line"]
    file, line = place.split(":")
    assert file == "training/step.py"
    assert "build_loss(" in Path(str(step.__file__)).read_text(encoding="utf-8").splitlines()[int(line) - 1]


def test_a_fault_is_a_result_and_the_next_measurement_is_taken(bench: Any) -> None:
    def section(bench: Any) -> None:
        bench.measure("first", lambda: 1 / 0)
        bench.measure("second", lambda: 2)
        assert json.loads(bench._out.read_text())["results"]["one"]["second"] == 2  # on disk at once
        bench.measure("third", lambda: 3, needs_s=1e6)
        raise ValueError("outside of a measurement")

    bench.run("one", section, limit_s=10)
    bench.run("two", lambda bench: bench.put("name", "value"), limit_s=10)
    one = bench.results["one"]
    assert one["first"]["error"].startswith("ZeroDivisionError")
    assert "left out" in one["third"]
    assert one["failed"]["error"] == "ValueError: outside of a measurement"
    assert bench.results["two"]["name"] == "value"


def test_a_section_ends_after_its_time(bench: Any) -> None:
    start = time.monotonic()
    bench.run("long", lambda bench: bench.measure("sleep", lambda: time.sleep(20)), limit_s=0.1)
    assert time.monotonic() - start < 10
    assert bench.results["long"]["stopped"].startswith("after its")
    time.sleep(0.15)  # no alarm is left that rings outside


def test_a_section_is_left_out_where_the_budget_is_used_up(module: Module, tmp_path: Path) -> None:
    bench = bench_of(module, tmp_path, budget_s=5.0)
    bench.run("late", lambda bench: bench.put("name", "value"), limit_s=60)
    assert bench.results == {"late": {"left out": "no time left"}}


def test_a_section_leaves_the_rounding_of_products_as_it_was(bench: Any, module: Module) -> None:
    rounding = module("bench")
    before = rounding.float32_products()
    turned = tuple(not value for value in before)
    bench.run("parity", lambda _: rounding.set_float32_products(*turned), limit_s=10)
    assert rounding.float32_products() == before


def test_cifar10_is_the_same_from_a_zip_and_packed(module: Module, tmp_path: Path) -> None:
    pictures, source, packed = module("pictures"), tmp_path / "c.zip", tmp_path / "c.npz"
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(source, "w") as file:
        for number, place in enumerate(("train/cat", "train/dog", "test/cat", "train/cat")):
            content = io.BytesIO()
            Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(content, "PNG")
            file.writestr(f"data/{place}/{number}.png", content.getvalue())
    pictures.pack(source, packed)
    zipped, unpacked = (pictures.cifar10(path, tmp_path) for path in (source, packed))
    rows = np.arange(4)
    assert torch.equal(zipped.read(rows).images, unpacked.read(rows).images)
    assert zipped.splits == unpacked.splits == ["test", "train", "train", "train"]
    assert zipped.labels == unpacked.labels == ["0", "0", "0", "1"]
    with zipfile.ZipFile(source) as file, file.open("data/test/cat/2.png") as content:
        oracle = np.asarray(Image.open(content)).transpose(2, 0, 1)
    assert np.array_equal(zipped.read(rows[:1]).images[0].numpy(), oracle)
