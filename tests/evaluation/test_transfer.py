"""A target: the subject with its baselines, others without, all on the same splits."""

import dataclasses
import itertools

import pytest
from torch import nn

from twofold.evaluation import Subject, evaluate_encoder, transfer_settings
from twofold.evaluation import evaluate as evaluate_module
from twofold.evaluation.linear_probe import FINE_L2_GRID
from twofold.recipes.recipe import DataRecipe

GRID = FINE_L2_GRID[20:32:4]


class Sized(nn.Module):
    """An encoder with the dim that a network on top needs."""

    def __init__(self, inner, dim):
        super().__init__()
        self.inner, self.dim = inner, dim

    def forward(self, x):
        return self.inner(x)


@pytest.fixture(scope="module")
def subjects(new_flat, blind, views, machine):
    subject = Subject(encoder=new_flat(), untrained=lambda seed: Sized(blind(seed), 5), views=views, hardware=machine)
    other = Subject(name="other", encoder=Sized(blind(7), 5), untrained=None, views=views, hardware=machine)
    return subject, other


@pytest.fixture(scope="module")
def measure(subjects, separable):
    """On three of the 45 strengths of weight decay, which take most of the time."""

    def run(keep, protocols=("linear",), said=lambda line: None):
        subject, other = subjects
        settings = dataclasses.replace(transfer_settings(protocols, (0, 1), 1.0), grid=GRID)
        return evaluate_encoder(subject, separable, settings, data=DataRecipe(), others=[other], keep=keep, say=said)

    return run


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("transfer") / "kept"


@pytest.fixture(scope="module")
def evaluation(measure, kept):
    """By linear probes, measured once; what was measured is in `kept`."""
    return measure(kept)


def ways(evaluation):
    return {(row.protocol, row.encoder) for row in evaluation.rows}


def test_baselines_are_measured_once_and_others_beside_them(evaluation):
    assert ways(evaluation) == {("linear", name) for name in ("trained", "untrained", "pixels", "other")}
    assert {row.labels for row in evaluation.rows} == {"all"}
    assert all(row.seeds == 2 for row in evaluation.rows)


def test_l2_is_chosen_among_the_papers_45_values(evaluation):
    """What the settings name is what is chosen among."""
    grid = transfer_settings(("linear",), (0, 1), 1.0).grid
    assert grid == FINE_L2_GRID
    assert len(grid) == 45
    assert tuple(evaluation.details["l2_grid"]) == GRID
    assert {l2 for chosen in evaluation.details["chosen_l2"].values() for l2 in chosen} <= set(GRID)
    assert (max(grid), min(grid)) == pytest.approx((1e5, 1e-6))
    ratios = [a / b for a, b in itertools.pairwise(grid)]
    assert ratios == pytest.approx([ratios[0]] * 44)


def test_the_subject_is_compared_with_its_baselines_and_with_the_others(evaluation):
    truth = {row.encoder: row.mean for row in evaluation.rows if (row.protocol, row.metric) == ("linear", "top1")}
    found = {one.against_encoder: one.mean for one in evaluation.differences if one.protocol == "linear"}
    assert found.keys() == {"untrained", "pixels", "other"}
    assert found == pytest.approx({name: truth["trained"] - truth[name] for name in found})


def test_training_from_scratch_belongs_to_the_subject_alone(measure, evaluation, kept, monkeypatch):
    asked = []
    real = evaluate_module.predict

    def watched(subject, scope, store, **options):
        asked.append((subject.name, scope.settings.trained))
        return real(subject, _without_networks(scope), store, **options)

    monkeypatch.setattr(evaluate_module, "predict", watched)
    measure(kept, ("linear", "finetune", "supervised"))
    assert asked == [("trained", ("finetune", "supervised")), ("other", ("finetune",))]
    asked.clear()
    measure(kept, ("supervised",))
    assert asked == [("trained", ("supervised",))]


def _without_networks(scope):
    return dataclasses.replace(scope, settings=dataclasses.replace(scope.settings, protocols=("knn",)))


def test_the_same_call_goes_on_from_what_is_kept(measure, evaluation, kept):
    said = []
    second = measure(kept, said=said.append)
    assert evaluation.rows == second.rows
    assert sum("made before an interruption" in line for line in said) == 2  # the subject and the other
    assert not any(line.startswith("[") for line in said)
