"""What was measured before an interruption is read again, unless something that it depends on has changed."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from evaluation.conftest import settings_of
from twofold.evaluation import evaluate_encoder
from twofold.evaluation import scope as scopes
from twofold.evaluation.features import Subject
from twofold.evaluation.jobs import plan_jobs
from twofold.evaluation.scope import Settings, find_scope
from twofold.recipes.recipe import DataRecipe


@pytest.fixture
def measure(flat, blind, views, machine, tmp_path):
    """Evaluate by k-NN, keeping what was measured; the rows, and how many units were made."""

    def run(images, keep: Path | None = tmp_path / "kept", **settings):
        options = settings_of(**{"protocols": ("knn",), "shots": (1,), **settings})
        subject = Subject(encoder=flat, untrained=blind, views=views, hardware=machine)
        said = []
        evaluation = evaluate_encoder(subject, images, options, data=DataRecipe(), keep=keep, say=said.append)
        return [row.to_dict() for row in evaluation.rows], sum(line.startswith("[") for line in said)

    return run


def test_nothing_is_made_twice(separable, measure):
    rows, made = measure(separable)
    assert made == 3
    assert measure(separable) == (rows, 0)


def test_a_changed_label_is_measured_anew(separable, measure):
    """The images are the same ones, and so is their fingerprint."""
    measure(separable)
    labels = list(separable.labels)
    swap = separable.rows("train")
    for row, other in zip(swap, np.roll(swap, 1), strict=True):
        labels[row] = separable.labels[other]
    changed = dataclasses.replace(separable, labels=labels)
    rows, made = measure(changed)
    assert made == 3
    assert rows == measure(changed, keep=None)[0]


def test_other_groups_are_measured_anew(separable, flat, blind, views, machine):
    """Draws of few labels follow groups, also where the folds are the same."""
    scope = find_scope(separable, Settings(), DataRecipe())
    subject = Subject(encoder=flat, untrained=blind, views=views, hardware=machine)

    def key(groups):
        return scopes._key(subject, dataclasses.replace(scope, rows=dataclasses.replace(scope.rows, groups=groups)))

    alone, pairs = (np.arange(len(scope.rows.train)) // size for size in (1, 2))
    assert key(None) != key(alone) != key(pairs) == key(pairs.copy())


def test_another_count_of_seeds_and_other_weights_are_measured_anew(separable, measure, flat):
    measure(separable)
    assert measure(separable, few_seeds=2)[1] == 3
    assert measure(separable, few_seeds=2)[1] == 0
    flat.norm.running_mean += 0.5
    assert measure(separable, few_seeds=2)[1] == 3


def test_what_another_method_began_is_not_gone_on_with(separable, flat, blind, views, machine, monkeypatch):
    """The folder of the key, the names of the jobs and those of their files."""
    monkeypatch.setattr(scopes, "__version__", "0.1.0")
    asked = {"seeds": (0, 1), "few_seeds": (0,), "shots": (1,), "fractions": (0.5,)}
    settings = Settings(protocols=("knn", "linear", "finetune"), **asked)
    scope = find_scope(separable, settings, DataRecipe())
    subject = Subject(encoder=flat, untrained=blind, views=views, hardware=machine)
    store = scopes.open_store(subject, scope, Path("kept"))
    path = store._path("trained/None/linear/all", "npz")
    assert path == Path("kept/aa621ea21dd9a4ad6ba92b77dd67a733/750cc5a607311e8dbfa5.npz")
    assert path.parent.name != "4060af27c0fecb1da5d7edbf74f412c8", "networks that were not tuned"
    assert path.parent.name != "9dd47d8d296442fee968bb050a4e5339", "self-training that showed all images"
    trained = find_scope(separable, dataclasses.replace(settings, protocols=("self-train",)), DataRecipe())
    place = scopes.open_store(subject, trained, Path("kept"))._path("self-train/1/0", "npz").parent.name
    assert place == "70d9d0a8beb89ce2d6be05e5b0213870"
    assert place != "612e8884ac1b4adec64618c6d3053f74", "self-training by larger steps"
    short = dataclasses.replace(settings, protocols=("self-train",), self_train_steps=1000)
    assert scopes._method(short) != scopes._method(trained.settings), "trials are longer than a fourth of it, now"
    names = {job.name for job in plan_jobs(subject, scope, store)}
    probes = {"knn", "linear/all", "linear/1", "linear/0.5"}
    networks = {
        f"{name}/h/{labels}/{seed}" for name in ("finetune", "supervised") for labels in (1, 0.5) for seed in (0, 1)
    }
    expected = {f"{source}/{probe}" for source in ("trained/None", "untrained/0", "pixels/None") for probe in probes}
    assert names == expected | networks | {f"untrained/1/{probe}" for probe in probes - {"linear/1"}}
