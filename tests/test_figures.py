"""A figure in README.md or docs is computed from what was measured, or is listed here as what else it is."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

HOME = Path(__file__).parents[1]
FIGURE = re.compile(r"(?<![-\w.,])[\d.,]*\d ?%|±|(?<![-\w.,])[\d.,]*\d (?:points|images(?: a second|/s))")
COST = re.compile(r"(?<![-\w.,])[\d.,]*\d (?:ms|s|minutes?|hours?|[MG]i?B|frames a second)\b")  # time and memory

SETTINGS = "a rule or setting of the method"
PAPER = "the paper's or the official code's"
LIMIT = "the most that is taken"
PREDICTED = "predicted or assumed, which the page says"
OUTSIDE = {  # page -> reason -> texts
    "README.md": {SETTINGS: ["20 minutes"]},
    "architecture.md": {LIMIT: ["1 GiB"]},
    "clean.md": {
        "how the encoder of the picture was made": ["46 minutes"],
        SETTINGS: ["15 %", "80 %"],
        "how the example was made: the columns and the share of labels that were changed": ["90 %", "5 %"],
    },
    "distill.md": {"the level of intervals": ["95 %"]},
    "data.md": {SETTINGS: ["5 %"], LIMIT: ["256 MiB"]},
    "export.md": {SETTINGS: ["2 %", "99 %"]},
    "guide.md": {"the level of intervals": ["95 %"], PREDICTED: ["8 hours"], "arithmetic": ["1 MB"]},
    "init.md": {SETTINGS: ["1 %"]},
    "predict.md": {SETTINGS: ["95 %", "90 %", "1 %"]},
    "protocol.md": {
        SETTINGS: ["20 %", "10 %", "1 %", "60 %", "99 %"],
        "the level of intervals, and their formula": ["95 %", "±"],
        LIMIT: ["256 MiB"],
    },
    "reference.md": {PAPER: ["8 %", "100 %", "10 %", "1 %"], SETTINGS: ["30 %"]},
    "scale.md": {
        PREDICTED: [f"{share} %" for share in (13, 80, 35, 98, 87, 55, 68, 91, 67, 46, 60)],
        SETTINGS: ["40 %", "90 %", "10 %"],
        "what NVIDIA publishes": ["2,470 images/s"],
    },
}


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("figures", HOME / "tools" / "figures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def outside(tool: ModuleType, text: str, *patterns: re.Pattern[str]) -> set[str]:
    """The figures of a page that are not marked, without those in code."""
    text = re.sub(r"```.*?```", "", tool.MARKED.sub("", text), flags=re.DOTALL)
    text = re.sub(r"`[^`]*`", "", text)
    return {found for pattern in patterns or (FIGURE, COST) for found in pattern.findall(text)}


def test_marked_figures_are_what_was_measured(tool: ModuleType) -> None:
    for page in tool.pages():
        text = page.read_text(encoding="utf-8")
        assert tool.fill(text) == text, f"{page.name}: make results writes it"
        assert text.count("<!-- figure ") == text.count("<!-- /figure -->") == len(tool.MARKED.findall(text))


def test_every_figure_has_its_place(tool: ModuleType) -> None:
    marked = [found[1] for page in tool.pages() for found in tool.MARKED.findall(page.read_text(encoding="utf-8"))]
    assert sorted(marked) == sorted(tool.FIGURES)


def test_what_is_not_marked_is_listed(tool: ModuleType) -> None:
    for page in tool.pages():
        listed = {text for texts in OUTSIDE.get(page.name, {}).values() for text in texts}
        kinds = (FIGURE,) if page.name == "scale.md" else (FIGURE, COST)  # which predicts what its tables hold
        assert outside(tool, page.read_text(encoding="utf-8"), *kinds) == listed, page.name


def test_marks_do_not_break_the_paragraph(tool: ModuleType) -> None:
    """A comment at the start of a line begins a block of HTML: only a table may follow there."""
    for page in tool.pages():
        for line in page.read_text(encoding="utf-8").splitlines():
            assert not line.startswith("<!-- figure") or line.endswith(" -->"), line


def test_a_figure_that_was_typed_by_hand_would_be_seen(tool: ModuleType) -> None:
    text = (HOME / "README.md").read_text(encoding="utf-8")
    changed = text.replace("+10.9 points", "+19.9 points")
    assert changed != text
    assert tool.fill(changed) != changed
    assert "61.2 %" in outside(tool, f"{text}\nIt reaches 61.2 % on birds.")
    assert "4.2 s" in outside(tool, f"{text}\nIt takes 4.2 s a bird.")


def test_a_figure_keeps_the_line_breaks_of_its_page(tool: ModuleType) -> None:
    text = "<!-- figure two-processes -->1.17\ntimes<!-- /figure -->"
    assert tool.fill(text) == text
    assert tool.fill(text.replace("1.17", "1.71")) == text.replace("\n", " ")
