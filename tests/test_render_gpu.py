"""What benchmarks/render_gpu.py says of a GPU is what benchmarks/gpu.py measured there."""

import copy
import importlib
import json
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"

Run = dict[str, Any]


def stored(name: str) -> Run:
    return json.loads((BENCHMARKS / "results" / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture
def render(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("render_gpu").gpu


@pytest.fixture
def newer() -> Run:
    """The first run again, at another time, with fewer waits and faster steps."""
    run = copy.deepcopy(stored("gpu-before"))
    run["began"] = "2026-12-01 09:00:00"
    run["results"]["syncs"]["cifar 512"]["a step"] = 0
    run["results"]["cifar"]["resnet18 small, 512: the loop"] |= {"step ms": 12.34, "images/s": 41491.0}
    return run


def test_the_page_holds_what_is_stored(render: Any) -> None:
    page = (BENCHMARKS / "RESULTS.md").read_text(encoding="utf-8")
    assert "\n".join(render(stored("gpu"), stored("gpu-before"))) in page, "run python benchmarks/render.py"


def test_one_run_fills_one_column_and_two_fill_two(render: Any, newer: Run) -> None:
    first = stored("gpu-before")
    alone, both = render(first, first), render(newer, first)
    assert "| cifar 512 | 56 |" in alone
    assert "| cifar 512 | 0 | 56 |" in both
    row = "| resnet18 small, 512 | 12.3 ms, 41,491 images/s, 2.5 GiB | 30.2 ms, 16,958 images/s, 2.5 GiB |"
    assert row in both
    assert any(line.startswith("The newest run: NVIDIA H200, torch 2.11.0") and "2026-12-01" in line for line in both)
    assert any(line.startswith("The first run") and "2026-11-26" in line for line in both)
    assert not any(line.startswith("The first run") for line in alone)


def test_of_a_kind_the_largest_difference_is_shown(render: Any, newer: Run) -> None:
    parity = newer["results"]["parity"]
    parity["views noise"]["largest"] = 0.5
    parity["loss dcl"]["cuda float32"]["gradient"] = 0.25
    lines = render(newer)
    assert "| views, largest difference of a value in [0, 1] | 5.0e-01 |" in lines
    assert any(line.startswith("| the same in float32, beside float64") and "| 2.5e-01 (" in line for line in lines)
    parity["loss dcl"]["cuda float32"]["gradient"] = float("nan")
    assert any(line.startswith("| the same in float32, beside float64") and "| inf (" in line for line in render(newer))


def test_all_tables_have_as_many_cells_in_every_line(render: Any, newer: Run) -> None:
    widths: list[int] = []
    for line in [*render(newer, stored("gpu-before")), ""]:
        if line.startswith("|"):
            widths.append(line.count("|"))
        elif widths:
            assert len(set(widths)) == 1
            widths = []


@pytest.mark.parametrize("section", ["env", "syncs", "cifar", "loss", "big", "parity"])
def test_a_section_that_was_not_run_is_not_shown(render: Any, newer: Run, section: str) -> None:
    whole = render(newer)
    del newer["results"][section]
    assert len(render(newer)) < len(whole) or section == "env"
    newer["results"][section] = {"left out": "no time left"}
    assert len(render(newer)) < len(whole) or section == "env"


def test_a_run_of_nothing_has_no_table(render: Any) -> None:
    assert not any(line.startswith("|") for line in render({"began": "2026-12-01", "results": {}}))


def test_what_went_wrong_is_said_and_no_figure_stands_in_its_place(render: Any, newer: Run) -> None:
    newer["results"]["cifar"]["resnet18 small, 512: the loop"] = {"error": "OutOfMemoryError: 3 GiB", "at": []}
    newer["results"]["big"]["stopped"] = "after its 55 s"
    lines = render(newer, stored("gpu-before"))
    assert "| resnet18 small, 512 |  | 30.2 ms, 16,958 images/s, 2.5 GiB |" in lines
    assert "- cifar, resnet18 small, 512: the loop: OutOfMemoryError: 3 GiB" in lines
    assert "- big stopped after its 55 s" in lines
