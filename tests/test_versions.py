"""What is listed by name is there: the tests that run with other versions, and those that begin first."""

import importlib.util
from pathlib import Path

from conftest import LONGEST

ROOT = Path(__file__).parents[1]


def test_the_files_that_are_named_exist() -> None:
    spec = importlib.util.spec_from_file_location("versions", ROOT / "tools" / "versions.py")
    assert spec is not None
    assert spec.loader is not None
    versions = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(versions)
    listed = [*versions.TESTS, *versions.TESTS_OF_EXTRAS, *(f"tests/{name}" for name in LONGEST)]
    named = [ROOT / name for name in listed]
    assert len(named) > 20
    assert [path for path in named if not path.exists()] == []
