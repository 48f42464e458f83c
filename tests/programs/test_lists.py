"""The programs that only list or write what the package holds."""

from pathlib import Path

import pytest

import twofold
from twofold.programs import sample as module
from twofold.recipes.named import NAMES


def test_recipes_are_printed_and_returned(capsys: pytest.CaptureFixture[str]) -> None:
    texts = twofold.list_recipes()
    printed = capsys.readouterr().out
    assert tuple(texts) == NAMES
    assert all(line.strip() in printed for text in texts.values() for line in text.splitlines())
    assert twofold.list_recipes(verbose=False) == texts
    assert capsys.readouterr().out == ""


def test_the_sample_goes_to_the_folder_that_is_returned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "write_sample", lambda folder: folder)  # 14,000 files: see tests/data/test_sample.py
    assert twofold.sample(str(tmp_path)) == tmp_path
    assert str(tmp_path) in capsys.readouterr().out.replace("\n", "")
