"""Self-training as a protocol: its rows, its budgets, what is kept, and which images it may see."""

from dataclasses import asdict, replace

import numpy as np
import pytest

from networks import VIEWS, TinyRows
from twofold.evaluation import self_trainer
from twofold.evaluation.evaluate import predict, summarize
from twofold.evaluation.features import FeatureCache, Subject
from twofold.evaluation.jobs import plan_jobs
from twofold.evaluation.labels import measured_rows
from twofold.evaluation.predictions import PredictionStore
from twofold.evaluation.scope import Settings, find_scope, open_store
from twofold.evaluation.self_trainer import WAYS, SelfTrainer, trainings_to_choose
from twofold.evaluation.self_training_protocol import SelfTrainingProtocol
from twofold.recipes.recipe import DataRecipe

NOTHING = PredictionStore(None, {})


@pytest.fixture
def subject(machine):
    return Subject(encoder=TinyRows(100).eval(), untrained=TinyRows, views=VIEWS, hardware=machine)


@pytest.fixture
def protocol(subject):
    def make(images, rows=None):
        rows = rows or measured_rows(images)
        cache = FeatureCache(subject, images, rows)
        return SelfTrainingProtocol(
            subject=subject, images=images, rows=rows, features=lambda: cache.get("trained"), steps=4
        )

    return make


@pytest.fixture
def measure(subject):
    def run(images, protocols=("linear", "self-train"), shots=(5,), keep=None):
        settings = Settings(
            protocols=protocols,
            seeds=(0, 1),
            few_seeds=(0, 1),
            shots=shots,
            grid=(1e-2,),
            baselines=False,
            self_train_steps=4,
        )
        scope = find_scope(images, settings, DataRecipe())
        return summarize(scope, predict(subject, scope, open_store(subject, scope, keep)), DataRecipe())

    return run


def test_it_has_rows_intervals_a_difference_to_the_probe_and_says_what_it_did(measure, separable):
    evaluation = measure(separable)
    rows = [row for row in evaluation.rows if row.protocol == "self-train" and row.metric == "top1"]
    assert [(row.encoder, row.labels, row.seeds, row.over) for row in rows] == [("trained", 5, 2, "images and draws")]
    assert rows[0].low < rows[0].mean <= rows[0].high
    pairs = [(one.protocol, one.against_protocol, one.labels) for one in evaluation.differences]
    assert ("self-train", "linear", 5) in pairs
    assert evaluation.details["chosen_base_lr"]["self-train"].keys() == {"5"}
    said = " ".join(evaluation.details["stated"])
    assert "the 60 images of train without their labels" in said
    assert "none of test is among them" in said
    how = evaluation.details["chosen_training"]["self-train"]["5"]
    told = f"learning rate {how['rate']:g}, threshold {how['threshold']:g}" if how else "no step, the linear probe"
    assert f"self-training with 5 labels per class: {told}" in evaluation.details["stated"]


def test_with_one_label_a_class_it_answers_as_the_linear_probe(measure, separable):
    evaluation = measure(separable, shots=(1,))
    answers = {
        (one.protocol, one.seed): one.predicted
        for one in evaluation.predictions
        if one.labels == 1 and one.encoder == "trained"
    }
    for seed in (0, 1):
        np.testing.assert_array_equal(answers["self-train", seed], answers["linear", seed])
    assert {one.base_lr for one in evaluation.predictions if one.protocol == "self-train"} == {0.0}
    assert "self-training with 1 label per class: no step, the linear probe" in evaluation.details["stated"]


@pytest.fixture
def hidden(separable):
    """A third of train without a label, and a third of the rest of a class that test does not have."""
    labels = list(separable.labels)
    for place, row in enumerate(separable.rows("train").tolist()):
        if place % 3 == 0:
            labels[row] = None if place % 2 else "pear"
    return replace(separable, labels=labels)


def test_all_of_train_and_nothing_of_test_is_among_the_unlabelled(protocol, hidden):
    one = protocol(hidden)
    assert len(one.rows.train) < len(hidden.rows("train"))  # so some are of no class or of one that test has not
    np.testing.assert_array_equal(one.trainer.unlabelled, hidden.rows("train"))
    assert not np.isin(one.trainer.unlabelled, one.rows.test).any()


def test_images_measured_on_are_left_out_even_where_their_split_is_train(protocol, separable):
    rows = measured_rows(separable)
    rows = replace(rows, train=rows.train[:40], train_ids=rows.train_ids[:40], test=rows.train[40:])
    assert not np.isin(protocol(separable, rows).trainer.unlabelled, rows.test).any()


def test_the_choice_is_made_once_for_all_seeds_and_kept(protocol, separable, tmp_path, monkeypatch):
    store, calls = PredictionStore(tmp_path, {}), []
    real = SelfTrainer.choose

    def watched(self, own, **options):
        calls.append(own.tolist())
        return replace(real(self, own, **options), how=WAYS[1])

    monkeypatch.setattr(SelfTrainer, "choose", watched)
    first = protocol(separable)
    assert {first.predict(5, seed, store).base_lr for seed in (0, 1)} == {WAYS[1].rate}
    assert calls == [first._given(5, 0).tolist()]
    again = protocol(separable)
    assert asdict(again.how(5, store)) == asdict(WAYS[1])
    assert len(calls) == 1


def test_an_interrupted_evaluation_ends_in_the_same_predictions(measure, separable, tmp_path, monkeypatch):
    monkeypatch.setattr(SelfTrainer, "choose", _first_way(SelfTrainer.choose))
    undisturbed = measure(separable, protocols=("self-train",)).predictions
    real, calls = self_trainer.fit_by_self_training, []

    def breaks(*parts, **options):
        calls.append(options["steps"])
        if len(calls) == 7:  # in the second of the two trainings, after the five of the choice
            raise KeyboardInterrupt
        return real(*parts, **options)

    monkeypatch.setattr(self_trainer, "fit_by_self_training", breaks)
    with pytest.raises(KeyboardInterrupt):
        measure(separable, protocols=("self-train",), keep=tmp_path)
    continued = measure(separable, protocols=("self-train",), keep=tmp_path)
    assert len(calls) == 8  # the second training alone
    for one, other in zip(undisturbed, continued.predictions, strict=True):
        np.testing.assert_array_equal(one.ranked, other.ranked)
        np.testing.assert_array_equal(one.confidence, other.confidence)


def _first_way(real):
    return lambda self, own, **options: replace(real(self, own, **options), how=WAYS[0])


@pytest.mark.parametrize(("labels", "trainings"), [(1, 0), (4, 2), (5, 5), (150, 2)])
def test_the_time_that_is_said_counts_the_trainings_that_the_choice_takes(
    protocol, plenty, labels, trainings, monkeypatch
):
    calls = []
    monkeypatch.setattr(SelfTrainer, "_train", lambda self, own, how, *parts: calls.append(how))
    monkeypatch.setattr(SelfTrainer, "logits", lambda self, network, asked: np.zeros((len(asked), 3), np.float32))
    one = protocol(plenty)
    one.trainer.choose(one._given(labels, 0))
    assert len([how for how in calls if how]) == trainings_to_choose(3 * labels, 3) == trainings


def test_jobs_are_named_by_budget_and_seed_and_nothing_is_trained_for_the_guess(subject, separable, monkeypatch):
    monkeypatch.setattr(self_trainer, "fit_by_self_training", None)
    settings = Settings(protocols=("self-train",), seeds=(0, 1), few_seeds=(0,), shots=(1, 5), self_train_steps=7)
    scope = find_scope(separable, settings, DataRecipe())
    planned = plan_jobs(subject, scope, NOTHING)
    assert [job.name for job in planned] == [f"self-train/{labels}/{seed}" for labels in (1, 5) for seed in (0, 1)]
    longer = plan_jobs(subject, replace(scope, settings=replace(settings, self_train_steps=700)), NOTHING)
    assert longer[2].seconds > 5 * planned[2].seconds
    assert planned[2].seconds > planned[3].seconds > planned[1].seconds  # the first of a budget chooses for all


def test_unlabelled_images_of_a_tested_group_are_not_among_the_unlabelled(protocol, separable):
    """In cross-validation images of train are tested: of groups of three here, of which one image has a label."""
    count = len(separable)
    images = replace(
        separable,
        splits=["train"] * count,
        labels=[label if row % 3 == 0 else None for row, label in enumerate(separable.labels)],
        groups=[f"g{row // 3}" for row in range(count)],
    )
    test = np.arange(0, count, 6)
    rows = replace(measured_rows(separable), test=test)
    unlabelled = protocol(images, rows).trainer.unlabelled
    assert unlabelled.tolist() == [row for row in range(count) if row // 3 % 2 == 1]
