"""Fine-tuning that starts as the linear probe: its first answers, what settings are chosen on, and no step at all."""

from functools import partial

import numpy as np
import pytest
import torch

from networks import VIEWS, Tiny, recording
from twofold.evaluation import fine_tuning
from twofold.evaluation.features import FeatureCache, Subject, embed_images
from twofold.evaluation.fine_tuning import NetworkProtocol, held_out_loss
from twofold.evaluation.labels import given_places, measured_rows, read_truth, selection_folds
from twofold.evaluation.linear_probe import predict_by_linear_probe
from twofold.evaluation.logistic_regression import cross_entropy
from twofold.evaluation.predictions import PredictionStore, softmax_confidence
from twofold.evaluation.schedules import Training
from twofold.evaluation.tuning import NO_STEP, STOPS
from twofold.models.head import build_head
from twofold.recipes.recipe import DataRecipe, HeadRecipe

NOTHING = PredictionStore(None, {})
STEPS = Training(base_lr=0.02, taken=0.5)


@pytest.fixture
def tuned(separable, machine):
    """A protocol with the tuned schedule, on one feature cache of the encoder."""
    head = build_head(HeadRecipe(head_layers=2, z_dim=5), dim=Tiny.dim).eval()
    subject = Subject(
        encoder=Tiny(100).eval(), untrained=lambda seed: Tiny(seed).eval(), views=VIEWS, hardware=machine, head=head
    )

    def make(protocol="finetune", images=separable, start="h", **options):
        rows = measured_rows(images)
        return NetworkProtocol(
            protocol=protocol,
            subject=subject,
            images=images,
            rows=rows,
            features=partial(FeatureCache(subject, images, rows).get, "trained" if start == "h" else start),
            folds={seed: selection_folds(images, rows, DataRecipe(), seed) for seed in range(2)},
            start=start,
            **{"epochs": 2.0, **options},
        )

    return make


@pytest.fixture
def watched(monkeypatch):
    """The rows that networks were trained on, and those that they answered for."""
    fitted, asked = [], []
    monkeypatch.setattr(fine_tuning, "fit_network", recording(fine_tuning.fit_network, fitted))
    monkeypatch.setattr(fine_tuning, "embed_images", recording(fine_tuning.embed_images, asked))
    return lambda: ([parts[2] for parts, _ in fitted], [parts[2] for parts, _ in asked])


def _choosing(monkeypatch, training):
    monkeypatch.setattr(NetworkProtocol, "_choose", lambda self, labels: training)


def _linear(one, labels, seed):
    (made,) = predict_by_linear_probe(
        one.features(), one.rows, [(seed, labels)], encoder="trained", weights=None, folds=one.folds
    )
    return made


@pytest.mark.parametrize("labels", ["all", 0.5, 5, 1])
@pytest.mark.parametrize("start", ["h", "head-1"])
def test_before_any_step_the_network_answers_as_the_linear_probe(tuned, labels, start):
    one = tuned(start=start)
    probe = one._probe(labels, 1)
    network = one.network(1, probe).eval()
    logits = embed_images(network, one.images, one.rows.test, views=VIEWS, hardware=one.subject.hardware)
    np.testing.assert_allclose(logits, probe.logits(one.features().test), atol=1e-4, rtol=1e-4)
    expected = _linear(one, labels, 1)
    np.testing.assert_array_equal(logits.argmax(1), expected.predicted)
    np.testing.assert_allclose(softmax_confidence(logits), expected.confidence, atol=1e-3)


def test_a_start_without_the_scaling_folded_in_would_be_seen(tuned, monkeypatch):
    one = tuned()
    expected = _linear(one, 5, 1)
    monkeypatch.setattr("twofold.evaluation.logistic_regression.LinearProbe.unscaled", lambda self, scaling: self)
    network = one.network(1, one._probe(5, 1)).eval()
    logits = embed_images(network, one.images, one.rows.test, views=VIEWS, hardware=one.subject.hardware)
    assert np.abs(softmax_confidence(logits) - expected.confidence).max() > 0.05


@pytest.mark.parametrize("labels", ["all", 5, 1])
def test_no_step_is_the_probe_and_trains_nothing(tuned, labels, monkeypatch, watched):
    _choosing(monkeypatch, NO_STEP)
    one = tuned()
    predictions, expected = one.predict(labels, 1, NOTHING), _linear(one, labels, 1)
    np.testing.assert_array_equal(predictions.predicted, expected.predicted)
    np.testing.assert_allclose(predictions.confidence, expected.confidence, atol=1e-4)
    assert (predictions.base_lr, predictions.training["taken"]) == (0.0, 0.0)
    assert watched() == ([], [])


@pytest.mark.parametrize("labels", [1, 4])
def test_with_too_few_labels_to_hold_any_out_it_is_the_probe(tuned, labels, watched):
    assert tuned().predict(labels, 0, NOTHING).training["taken"] == 0
    assert watched() == ([], [])
    assert tuned("supervised").predict(labels, 0, NOTHING).base_lr == 0.1  # the paper's
    assert len(watched()[0]) == 1


def test_the_steps_that_were_chosen_are_taken_of_the_whole_cosine(tuned, monkeypatch):
    seen = []
    monkeypatch.setattr(fine_tuning, "fit_network", recording(fine_tuning.fit_network, seen))
    _choosing(monkeypatch, STEPS)
    predictions = tuned(epochs=10.0).predict(5, 1, NOTHING)
    schedule = seen[-1][1]["schedule"]
    assert (schedule.steps, schedule.taken) == (10, 5)
    assert predictions.base_lr == 0.02


@pytest.mark.parametrize("protocol", ["finetune", "supervised"])
@pytest.mark.parametrize("labels", [0.5, 5])
def test_everything_is_chosen_on_labels_of_seed_0_held_out_from_training(tuned, watched, protocol, labels):
    one = tuned(protocol)
    one.training(labels, NOTHING)
    first = set(one.rows.train[given_places(one.rows.train_ids, labels, 0)].tolist())
    fitted, asked = watched()
    assert len(fitted) >= 5
    held_out = {tuple(rows.tolist()) for rows in asked}
    for rows in fitted:
        assert set(rows.tolist()) < first
        assert tuple(sorted(first - set(rows.tolist()))) in {tuple(sorted(rows)) for rows in held_out}
    assert not {row for rows in (*fitted, *asked) for row in rows.tolist()} & set(one.rows.test.tolist())


def test_choosing_on_test_would_be_seen(tuned, watched, monkeypatch):
    """The fault: what is held out is the test split."""

    one = tuned()
    answers = NetworkProtocol._answers
    monkeypatch.setattr(
        NetworkProtocol,
        "_answers",
        lambda self, network, asked, rate: answers(self, network, self.rows.test[: len(asked)], rate),
    )
    one.training(5, NOTHING)
    _, asked = watched()
    assert {row for rows in asked for row in rows.tolist()} & set(one.rows.test.tolist())


@pytest.mark.parametrize("protocol", ["finetune", "supervised"])
def test_the_choice_is_the_same_whatever_test_looks_like(tuned, separable, make_images, protocol):
    pictures = separable.read(np.arange(90)).images.numpy().copy()
    test = separable.rows("test")
    pictures[test] = np.random.default_rng(1).integers(0, 256, pictures[test].shape)
    other = make_images(pictures, separable.labels, separable.splits)
    assert tuned(protocol).training(5, NOTHING) == tuned(protocol, other).training(5, NOTHING)


def test_the_choice_is_made_once_and_kept(tuned, tmp_path, watched):
    first = tuned().training(5, PredictionStore(tmp_path, {}))
    count = len(watched()[0])
    assert tuned().training(5, PredictionStore(tmp_path, {})) == first
    assert len(watched()[0]) == count > 0


def test_a_trial_measures_where_training_would_stop(tuned):
    """The losses on the way are those of networks that stop there, batch norm's statistics included."""
    one = tuned(epochs=4.0)
    own = given_places(one.rows.train_ids, "all", 0)
    kept, cut = own[:48], own[48:]
    for statistics in ("batch", "pretrained"):
        training = Training(base_lr=0.05, statistics=statistics)
        held = one._held(kept, cut)
        on_the_way = one._trial(training, held, stops=STOPS)
        for stop, loss in zip(STOPS, on_the_way, strict=True):
            stopping = Training(base_lr=0.05, statistics=statistics, taken=stop)
            assert one._trial(stopping, held, stops=(stop,))[0] == pytest.approx(loss, rel=1e-5)
            logits = one._logits(kept, one.rows.train[cut], stopping, 0, held.probe)
            assert held_out_loss(logits, one.rows.train_ids[cut]) == pytest.approx(loss, rel=1e-5)


def test_a_training_that_diverges_is_infinitely_bad(tuned):
    one = tuned()
    held = one._held(np.arange(0, 48), np.arange(48, 60))
    assert one._trial(Training(base_lr=1e30), held, stops=STOPS)[-1] == np.inf


def test_a_network_left_in_training_mode_is_caught_when_it_predicts(tuned, monkeypatch):
    _choosing(monkeypatch, STEPS)
    monkeypatch.setattr(fine_tuning.Network, "eval", lambda self: self.train())  # the fault
    with pytest.raises(RuntimeError, match=r"norm\.\w+' changed"):
        tuned().predict(5, 0, NOTHING)


def test_a_network_that_is_sure_and_right_is_no_worse_for_being_sure():
    y = np.arange(40) % 4
    logits = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32) + 2 * np.eye(4, dtype=np.float32)[y]
    assert held_out_loss(8 * logits, y) == pytest.approx(held_out_loss(logits, y), rel=1e-3)
    assert held_out_loss(8 * logits, y) < cross_entropy(8 * logits, y)


def test_it_is_not_behind_the_probe_where_training_does_harm(tuned, separable, monkeypatch):
    """Every step forgets what was known; the choice sees that, and so the answers are the probe's."""
    real = fine_tuning.fit_network

    def harmful(network, *parts, **options):
        def spoil(step):
            with torch.no_grad():
                network.classifier.weight.zero_()
            each_step(step)

        each_step = options.pop("each_step", lambda step: None)
        real(network, *parts, each_step=spoil, **options)

    monkeypatch.setattr(fine_tuning, "fit_network", harmful)
    one, truth = tuned(), read_truth(separable, measured_rows(separable))
    predictions = one.predict(0.5, 0, NOTHING)
    assert (predictions.predicted == truth).mean() == (_linear(one, 0.5, 0).predicted == truth).mean()
    assert predictions.training["taken"] == 0
    _choosing(monkeypatch, STEPS)  # without the choice it would be far behind
    assert (tuned().predict(0.5, 0, NOTHING).predicted == truth).mean() < 0.8


def test_from_scratch_the_lengths_end_where_too_many_images_are_shown(tuned, monkeypatch):
    one = tuned("supervised", epochs=None)
    assert one.lengths(60) == [30.0, 300.0]  # at batch 16 all lengths but the last are the least number of steps
    assert one.lengths(5_000) == [30.0, 100.0]
    assert one.lengths(1_000) == [30.0, 100.0, 300.0]
    assert one.lengths(50_000) == [30.0]
    assert tuned("supervised", epochs=3.0).lengths(5_000) == [None]
