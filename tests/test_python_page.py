"""docs/python.md says what `import twofold` offers, and its examples run."""

import re
from pathlib import Path

import pytest

import twofold
from pictures import write_pictures

PAGE = (Path(__file__).parents[1] / "docs" / "python.md").read_text(encoding="utf-8")


def named(text: str) -> set[str]:
    """The public names that a text mentions, as twofold.NAME."""
    return set(re.findall(r"\btwofold\.([A-Za-z]\w*)", text))


def test_every_public_name_is_on_the_page_and_every_one_on_the_page_is_public() -> None:
    assert named(PAGE) == set(twofold.__all__) - {"__version__"}


def test_a_name_that_is_too_much_is_seen() -> None:
    assert named("`twofold.pretrain(...)`, twofold.embd") - set(twofold.__all__) == {"embd"}


def test_the_examples_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_pictures(tmp_path / "images", per_class=8)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TWOFOLD_CACHE", str(tmp_path / "cache"))
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) >= 4
    exec(compile("\n".join(blocks), "python.md", "exec"), {"__name__": "page"})
    for name in ("run", "own", "sgd"):
        assert (tmp_path / name / "report.html").exists()
