"""benchmarks/RESULTS.md holds what its renderer makes of the figures in benchmarks/results, and no other figure."""

import importlib
import re
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
PAGE = BENCHMARKS / "RESULTS.md"


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """benchmarks/render.py, whose chart is left out: it is of the same figures."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    module = importlib.import_module("render")
    monkeypatch.setattr(module, "draw", lambda _: None)
    return module


def test_the_page_is_what_the_tool_writes(tool: ModuleType) -> None:
    assert PAGE.read_text(encoding="utf-8") == tool.page(), "python benchmarks/render.py writes it"


def test_a_figure_that_was_typed_by_hand_would_be_seen(tool: ModuleType) -> None:
    text = PAGE.read_text(encoding="utf-8")
    changed = re.sub(r"(\d)\.(\d)", r"\2.\1", text, count=1)
    assert changed != text, "the first figure has other digits when they are turned around"
    assert changed != tool.page()


def test_what_makes_figures_too_high_stands_below_them(tool: ModuleType) -> None:
    told = "\n".join(tool.few_labels_elsewhere())
    assert "- sign-digits-64: the same persons" in told
    assert "- trashnet-128: test images that train holds too" in told
    assert "- rsscn7-128: " not in told
