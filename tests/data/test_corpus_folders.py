"""Every folder, table and parquet file of the corpus is understood as a person would, or named."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from data.corpus_folders import CASES, Case
from twofold.data import ImageSet, formats, load_images
from twofold.data.findings import CHECKS
from twofold.errors import TwofoldError
from twofold.recipes.recipe import DataRecipe


@pytest.fixture(autouse=True)
def no_waits_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether files survive a power cut is tested elsewhere; here it would take most of the time."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture(autouse=True)
def without_extras(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """HEIC and RAW are formats that cannot be read, whatever is installed here."""
    monkeypatch.setattr(formats, "is_installed", lambda _: False)
    formats.extensions.cache_clear()
    yield
    formats.extensions.cache_clear()


def load(case: Case, folder: Path, test_fraction: float = 0.0) -> ImageSet:
    (folder / "in").mkdir()
    recipe = DataRecipe(test_fraction=test_fraction, max_unreadable_fraction=0.5, **case.settings)
    return load_images(case.make(folder / "in"), recipe=recipe, store_px=None, cache=folder / "cache")


def test_the_corpus_is_large_and_its_names_are_different() -> None:
    assert len(CASES) >= 70
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", [case for case in CASES if not case.error], ids=lambda case: case.name)
def test_it_means_what_a_person_means(case: Case, tmp_path: Path) -> None:
    images = load(case, tmp_path)
    groups = images.groups or [None] * len(images)
    read = dict(zip(images.paths, zip(images.labels, images.splits, groups, strict=True), strict=True))
    if case.truth:  # else only what is said is compared
        assert read == case.truth
    assert {finding.code for finding in images.findings} == case.codes
    assert all(finding.text and "\n" not in finding.text for finding in images.findings)


@pytest.mark.parametrize("case", [case for case in CASES if case.error], ids=lambda case: case.name)
def test_what_cannot_be_understood_is_one_clear_error(case: Case, tmp_path: Path) -> None:
    with pytest.raises(TwofoldError, match=case.error) as caught:
        load(case, tmp_path)
    assert "\n" not in str(caught.value)


def test_every_code_of_the_corpus_exists() -> None:
    assert {code for case in CASES for code in case.codes} <= set(CHECKS)
