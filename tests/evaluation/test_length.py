"""How far one figure travels: the files and functions that a linear probe passes through, counted."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import twofold
from evaluation.conftest import settings_of
from twofold.evaluation import Subject, evaluate_encoder
from twofold.recipes.recipe import DataRecipe

pytestmark = pytest.mark.usefixtures("few_decays")
ROOT = Path(twofold.__file__).parent
MOST = 14


@contextmanager
def passed(seen: set[tuple[str, str]]) -> Iterator[None]:
    """(file, function) of the package that was called inside, without what only reads images or runs the encoder."""
    elsewhere = ("data/", "views/", "models/", "hardware/", "files.py", "errors.py", "console.py")

    def note(frame, event, argument) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(str(ROOT)):
            name = Path(frame.f_code.co_filename).relative_to(ROOT).as_posix()
            if not name.startswith(elsewhere):
                seen.add((name, frame.f_code.co_qualname))

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(before)


def _files_of(protocols, separable, flat, blind, views, machine, **options):
    seen: set[tuple[str, str]] = set()
    data, subject = DataRecipe(), Subject(encoder=flat, untrained=blind, views=views, hardware=machine)
    settings = settings_of(protocols=protocols, shots=(5,), **options)
    with passed(seen):
        evaluate_encoder(subject, separable, settings, data=data)
    return {file for file, _ in seen}


@pytest.fixture(scope="module")
def probe(separable, new_flat, blind, views, machine):
    return _files_of(("linear",), separable, new_flat(), blind, views, machine)


def test_one_linear_probe_passes_through_few_files(probe):
    assert {"evaluation/linear_probe.py", "evaluation/logistic_regression.py", "evaluation/scores.py"} <= probe
    assert len(probe) <= MOST, " ".join(sorted(probe))


def test_a_longer_way_would_be_seen(probe, separable, flat, blind, views, machine):
    """The count grows with what is passed: a network adds its files."""
    both = _files_of(("linear", "sgd"), separable, flat, blind, views, machine, epochs=0.01)
    assert "evaluation/fine_tuning.py" in both - probe
    assert len(both) > len(probe)
