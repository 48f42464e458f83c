"""docs/results.md holds what its renderer makes of the figures in docs/results, and no other figure."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

HOME = Path(__file__).parents[1]
PAGE = HOME / "docs" / "results.md"


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """tools/make_results.py, whose charts are left out: they are of the same figures."""
    monkeypatch.syspath_prepend(str(HOME / "tools"))
    spec = importlib.util.spec_from_file_location("make_results", HOME / "tools" / "make_results.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in ("draw_labels", "draw_transfer"):
        monkeypatch.setattr(module, name, lambda *_: None)
    monkeypatch.setattr(module, "DOCS", tmp_path)
    monkeypatch.setattr(sys.modules["study_results"], "draw_study", lambda _: b"")
    return module


def test_the_page_is_what_the_tool_writes(tool: ModuleType) -> None:
    assert PAGE.read_text(encoding="utf-8") == tool.render(), "make results writes it"


def test_a_figure_that_was_typed_by_hand_would_be_seen(tool: ModuleType) -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text.replace("95 % interval", "95.1 % interval", 1) != tool.render()


def test_known_leaks_stand_under_the_table(tool: ModuleType) -> None:
    assert "- sign-digits-64: the same persons" in tool.render()
    assert "- trashnet-128: test" in tool.render()
    assert "- rsscn7-128: " not in tool.render()
