"""docs/cli.md says what the command line says."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from twofold.cli.main import COMMANDS
from twofold.recipes.flags import Settings

HOME = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_cli", HOME / "tools" / "make_cli.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_tool_writes(tool: ModuleType) -> None:
    assert (HOME / "docs" / "cli.md").read_text(encoding="utf-8") == tool.page(), "python tools/make_cli.py writes it"


def test_every_command_and_every_flag_is_there(tool: ModuleType) -> None:
    page = tool.page()
    for command in COMMANDS:
        assert f"## twofold {command}\n" in page
    for name in Settings.__annotations__:
        assert f"`--{name.replace('_', '-')} " in page
    assert "`--max-unreadable-fraction`" in page, "of evaluate"
    assert "`--checkpoint-minutes FLOAT`" in page
