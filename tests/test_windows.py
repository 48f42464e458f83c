"""What a system without POSIX can do: load, train, continue, evaluate, transfer and embed on the CPU."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import twofold
import windows_driver


def test_everything_on_the_cpu_runs_without_what_windows_lacks(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "warn_default_encoding", windows_driver.__file__, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.endswith("all of it\n")


def test_text_is_read_and_written_in_an_encoding_that_is_named() -> None:
    """Without one, Windows takes that of the country."""
    sources = {path: path.read_text(encoding="utf-8") for path in Path(twofold.__file__).parent.rglob("*.py")}
    calls = [(path, node) for path, text in sources.items() for node in ast.walk(ast.parse(text))]
    text = [(path, call) for path, call in calls if isinstance(call, ast.Call) and is_text(call)]
    assert len(text) > 10
    lacking = [
        (path.name, call.lineno) for path, call in text if "encoding" not in {word.arg for word in call.keywords}
    ]
    assert lacking == []


def is_text(call: ast.Call) -> bool:
    """Whether it reads, writes or opens a file as text."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    modes = [one.value for one in call.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    if name == "open":
        return any(mode.strip("+") in ("r", "w", "a", "x") for mode in modes)
    return name in ("read_text", "write_text")


@pytest.mark.parametrize(
    "source", ["p.read_text()", 'p.write_text("a")', 'p.open("a")', 'open(p, "r+")', 'p.open("w")']
)
def test_text_without_an_encoding_is_seen(source: str) -> None:
    (call,) = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    assert is_text(call)
