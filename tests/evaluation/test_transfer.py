"""A target: the subject with its baselines, others without, all on the same splits."""

import dataclasses
import itertools

import pytest
from torch import nn

from twofold.evaluation import Subject, evaluate_target, transfer_settings
from twofold.evaluation import transfer as transfer_module
from twofold.evaluation.selection import FINE_L2_GRID
from twofold.recipe import DataRecipe


class Sized(nn.Module):
    """An encoder with the dim that a network on top needs."""

    def __init__(self, inner, dim):
        super().__init__()
        self.inner, self.dim = inner, dim

    def forward(self, x):
        return self.inner(x)


@pytest.fixture
def measure(flat, blind, views, machine, separable, tmp_path):
    subject = Subject(encoder=flat, untrained=lambda seed: Sized(blind(seed), 5), views=views, hardware=machine)
    other = Subject(name="other", encoder=Sized(blind(7), 5), untrained=None, views=views, hardware=machine)

    def run(protocols, seeds=2, said=lambda line: None):
        settings = transfer_settings(protocols, seeds, 1.0)
        return evaluate_target(
            subject, [other], separable, settings, data=DataRecipe(), keep=tmp_path / "kept", say=said
        )

    return run


def ways(evaluation):
    return {(row.protocol, row.encoder) for row in evaluation.rows}


def test_baselines_are_measured_once_and_others_beside_them(measure):
    evaluation = measure(("linear",))
    assert ways(evaluation) == {("linear", name) for name in ("trained", "untrained", "pixels", "other")}
    assert {row.labels for row in evaluation.rows} == {"all"}
    assert all(row.seeds == 2 for row in evaluation.rows)


def test_l2_is_chosen_among_the_papers_45_values(measure):
    grid = measure(("linear",)).details["l2_grid"]
    assert len(grid) == len(FINE_L2_GRID) == 45
    assert (max(grid), min(grid)) == pytest.approx((1e5, 1e-6))
    ratios = [a / b for a, b in itertools.pairwise(grid)]
    assert ratios == pytest.approx([ratios[0]] * 44)


def test_the_subject_is_compared_with_its_baselines_and_with_the_others(measure):
    evaluation = measure(("linear",))
    truth = {row.encoder: row.mean for row in evaluation.rows if (row.protocol, row.metric) == ("linear", "top1")}
    found = {one.against_encoder: one.mean for one in evaluation.differences if one.protocol == "linear"}
    assert found.keys() == {"untrained", "pixels", "other"}
    assert found == pytest.approx({name: truth["trained"] - truth[name] for name in found})


def test_training_from_scratch_belongs_to_the_subject_alone(measure, monkeypatch):
    asked = []
    real = transfer_module.make_attempts

    def watched(subject, scope, **options):
        asked.append((subject.name, scope.settings.trained))
        return real(subject, _without_networks(scope), **options)

    monkeypatch.setattr(transfer_module, "make_attempts", watched)
    measure(("linear", "finetune", "supervised"))
    assert asked == [("trained", ("finetune", "supervised")), ("other", ("finetune",))]


def _without_networks(scope):
    return dataclasses.replace(scope, settings=dataclasses.replace(scope.settings, protocols=("linear",)))


def test_the_same_call_goes_on_from_what_is_kept(measure):
    first, said = measure(("linear",)), []
    second = measure(("linear",), said=said.append)
    assert first.rows == second.rows
    assert sum("made before an interruption" in line for line in said) == 2  # the subject and the other
    assert not any(line.startswith("[") for line in said)
