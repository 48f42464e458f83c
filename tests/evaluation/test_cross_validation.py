"""Cross-validation: every image is predicted by what was fitted without it, once for each seed."""

import dataclasses
from functools import partial
from importlib import import_module

import numpy as np
import pytest
import torch

from evaluation.conftest import settings_of
from twofold.evaluation import (
    KeptPredictions,
    evaluate_encoder,
    labels,
    write_predictions,
)
from twofold.evaluation.cross_validation import Part, divide, fold_numbers, out_of_fold
from twofold.evaluation.evaluate import predict
from twofold.evaluation.features import FeatureCache, Subject
from twofold.evaluation.fine_tuning import NetworkProtocol
from twofold.evaluation.jobs import _network_jobs
from twofold.evaluation.knn import knn
from twofold.evaluation.labels import MeasuredRows, is_cross_validated, pooled_rows, read_truth
from twofold.evaluation.logistic_regression import fit_linear
from twofold.evaluation.predictions import Predictions, PredictionStore
from twofold.evaluation.scope import Settings, find_scope
from twofold.evaluation.speed import Speed
from twofold.recipes.recipe import DataRecipe

KNN = {"protocols": ("knn",), "seeds": 3, "shots": (2,)}


def cut(images):
    """The same images, their test split cut off by the seed: no one of the person's own."""
    return dataclasses.replace(images, test_from="cut")


@pytest.fixture
def small(separable):
    return cut(separable)


@pytest.fixture
def measure(flat, blind, views, machine):
    subject = Subject(encoder=flat, untrained=blind, views=views, hardware=machine)

    def run(images, say=lambda line: None, **options):
        return evaluate_encoder(subject, images, settings_of(**options), data=DataRecipe(), say=say)

    return run


@pytest.fixture
def memory(make_images):
    """Images unlike each other with labels drawn by lot: only who has seen an image knows its label."""
    draw = np.random.default_rng(3)
    pictures = draw.integers(0, 255, (120, 1, 8, 8)).astype(np.uint8)
    return cut(
        make_images(pictures, [str(label) for label in draw.integers(0, 4, 120)], ["train"] * 96 + ["test"] * 24)
    )


def test_only_few_labelled_images_without_a_test_split_are_cross_validated(separable, monkeypatch):
    assert is_cross_validated(cut(separable))
    assert not is_cross_validated(separable)
    assert not is_cross_validated(dataclasses.replace(separable, test_from="validation"))
    monkeypatch.setattr(labels, "FEW_LABELLED", 90)
    assert not is_cross_validated(cut(separable))


def test_parts_hold_every_image_once_and_spread_the_classes(small):
    rows = pooled_rows(small)
    parts = divide(small, rows, DataRecipe(), seed=4)
    assert sorted(np.concatenate([part.rows.test for part in parts])) == list(range(90))
    for part in parts:
        assert not set(part.rows.test) & set(part.rows.train)
        assert sorted([*part.rows.test, *part.rows.train]) == list(range(90))
        assert np.bincount(rows.train_ids[part.cut]).tolist() == [6, 6, 6]
        assert sorted(np.concatenate([cut for _, cut in part.folds])) == list(range(72))
    assert fold_numbers(parts)[parts[2].cut].tolist() == [2] * 18
    other = divide(small, rows, DataRecipe(), seed=5)
    assert fold_numbers(parts).tolist() != fold_numbers(other).tolist()
    assert fold_numbers(parts).tolist() == fold_numbers(divide(small, rows, DataRecipe(), seed=4)).tolist()


def test_no_group_is_divided_and_a_class_of_one_group_is_left_out(small):
    groups = [f"patient {row // 3}" for row in range(90)]
    labels = ["rare" if row < 3 else label for row, label in enumerate(small.labels)]
    rows = pooled_rows(dataclasses.replace(small, groups=groups, labels=labels))
    assert "rare" not in rows.classes
    assert "the class 'rare' has 1 group, too few to both fit and test on: left out" in rows.notes
    for part in divide(small, rows, DataRecipe(), seed=0):
        assert not set(part.rows.groups) & set(part.rows.test_groups)


def test_figures_are_those_of_a_loop_over_the_folds(small, measure):
    evaluation = measure(small, **KNN)
    rows = pooled_rows(small)
    h = torch.from_numpy(np.stack([small.read(np.array([row])).images.numpy().ravel() for row in range(90)]) / 255.0)
    y = torch.from_numpy(rows.train_ids)
    expected = []
    for seed in range(3):
        for part in divide(small, rows, DataRecipe(), seed):
            said = knn(h[part.kept], y[part.kept], h[part.cut], k=20)
            expected += (said == y[part.cut]).tolist()
    own = next(row for row in evaluation.rows if (row.encoder, row.labels, row.metric) == ("trained", "all", "top1"))
    assert own.mean == pytest.approx(np.mean(expected))
    assert (own.seeds, own.over) == (3, "images and draws")


def test_what_was_not_seen_is_not_known(memory, measure):
    evaluation = measure(memory, protocols=("knn",), seeds=2, shots=(5,))
    for row in evaluation.rows:
        if row.metric == "top1":
            assert row.mean < 0.45, row
            assert row.low < 0.25 < row.high or row.labels != "all", row


def test_a_fold_that_is_fitted_on_would_be_seen(memory, measure, monkeypatch):
    def leaking(parts, predict):
        seen = [
            dataclasses.replace(
                part,
                rows=dataclasses.replace(part.rows, train=whole.train, train_ids=whole.train_ids),
                kept=np.arange(len(whole.train)),
            )
            for part in parts
        ]
        return out_of_fold(seen, predict)

    whole = pooled_rows(memory)
    monkeypatch.setattr("twofold.evaluation.jobs.out_of_fold", leaking)
    evaluation = measure(memory, protocols=("knn",), seeds=2, shots=(5,))
    assert next(row for row in evaluation.rows if row.labels == "all").mean > 0.8


def test_it_is_said_and_the_cut_is_not(small, measure):
    said = []
    details = measure(small, say=said.append, **KNN).details
    how = "no test split and 90 labelled images, under 1,000: 5-fold cross-validation on all of them, 3 times"
    assert any(line.strip().startswith(how) for line in said)
    assert any(line.startswith(how) for line in details["stated"])
    assert not any("cut off as test" in line for line in details["stated"])
    assert (details["train"], details["test"], details["cross_validated"]) == (72, 90, True)
    assert details["taken"] == {"all": 0.8, "2": pytest.approx(6 / 90)}


def test_the_linear_probe_and_its_choice_stay_within_the_other_folds(small, flat, views, machine, monkeypatch):
    settings = Settings(protocols=("linear",), seeds=(0,), shots=(2,), baselines=False, grid=(1e-1, 1e-2))
    scope = find_scope(small, settings, DataRecipe())
    subject = Subject(encoder=flat, untrained=None, views=views, hardware=machine)
    fitted = []
    real = fit_linear

    def watched(x, y, *args, **options):
        fitted.append(len(x))
        return real(x, y, *args, **options)

    # by its module: the package has a function of that name
    monkeypatch.setattr(import_module("twofold.evaluation.linear_probe"), "fit_linear", watched)
    few, whole = sorted(predict(subject, scope, PredictionStore(None, {})), key=lambda one: one.labels == "all")
    truth = read_truth(small, scope.rows)
    assert (whole.predicted == truth).mean() > 0.9
    assert (few.predicted == truth).mean() > 0.6
    assert max(fitted) == 72  # of 90: never more than four folds


def test_networks_are_trained_for_every_fold_and_continue_in_the_middle(
    small, new_flat, flat, views, machine, tmp_path, monkeypatch
):
    settings = Settings(protocols=("supervised",), seeds=(0, 1), shots=(2,), epochs=0.5)
    scope = find_scope(small, settings, DataRecipe())
    subject = Subject(encoder=flat, untrained=lambda _: new_flat(), views=views, hardware=machine)
    network = _network("supervised", subject, scope)
    trained = []

    def stopped(_network, _images, rows, *_args, **_options):
        if len(trained) == 7:
            raise KeyboardInterrupt
        trained.append(set(rows.tolist()))

    monkeypatch.setattr("twofold.evaluation.fine_tuning.fit_network", stopped)
    store = PredictionStore(tmp_path, {})
    jobs = list(_network_jobs(network, scope, store, Speed(call_s=0.0, image_s=0.0, product_s=0.0, dim=64)))
    jobs[0].predict()
    with pytest.raises(KeyboardInterrupt):
        jobs[1].predict()
    begun, trained[:] = list(trained), []
    [joined] = jobs[1].predict()
    assert (len(begun), len(trained)) == (7, 3)  # two of the second seed's five were kept
    assert joined.ranked.shape == (90, 3)
    for fold, own in zip(scope.parts[0], begun, strict=False):
        assert own <= set(fold.rows.train.tolist())


def _network(protocol, subject, scope):
    features = partial(FeatureCache(subject, scope.images, scope.rows).get, "trained")
    return NetworkProtocol(
        protocol=protocol, subject=subject, images=scope.images, rows=scope.rows, features=features, epochs=0.5
    )


def test_every_protocol_is_kept_apart_and_starts_from_features_of_the_other_folds(
    small, new_flat, flat, views, machine, tmp_path, monkeypatch
):
    scope = find_scope(small, Settings(protocols=("finetune",), seeds=(0,), shots=(2,)), DataRecipe())
    subject = Subject(encoder=flat, untrained=lambda _: new_flat(), views=views, hardware=machine)
    monkeypatch.setattr("twofold.evaluation.fine_tuning.fit_network", lambda *_, **__: None)
    store, seen = PredictionStore(tmp_path, {}), []
    real = NetworkProtocol.predict

    def watched(network, labels, seed, kept):
        seen.append((len(network.rows.train), len(network.features().train), sorted(network.folds)))
        return real(network, labels, seed, kept)

    monkeypatch.setattr(NetworkProtocol, "predict", watched)
    speed = Speed(call_s=0.0, image_s=0.0, product_s=0.0, dim=64)
    for protocol in ("finetune", "supervised"):
        [job] = _network_jobs(_network(protocol, subject, scope), scope, store, speed)
        assert [one.protocol for one in job.predict()] == [protocol]
    assert seen == [(72, 72, [0])] * 10


def test_self_training_sees_the_other_folds_alone(small, flat, blind, views, machine, monkeypatch):
    seen = []

    def answer(protocol, labels, seed, _store):
        seen.append((protocol.rows, protocol.features()))
        ranked = np.zeros((len(protocol.rows.test), 3), np.int64)
        confidence = np.ones(len(ranked), np.float32)
        return Predictions(
            protocol="self-train", encoder="trained", labels=labels, seed=seed, ranked=ranked, confidence=confidence
        )

    monkeypatch.setattr("twofold.evaluation.self_training_protocol.SelfTrainingProtocol.predict", answer)
    scope = find_scope(small, Settings(protocols=("self-train",), seeds=(3,), shots=(2,)), DataRecipe())
    subject = Subject(encoder=flat, untrained=blind, views=views, hardware=machine)
    [joined] = predict(subject, scope, PredictionStore(None, {}))
    assert len(joined.ranked) == 90
    for part, (rows, features) in zip(scope.parts[3], seen, strict=True):
        assert (rows.train.tolist(), rows.test.tolist()) == (part.rows.train.tolist(), part.rows.test.tolist())
        assert (len(features.train), len(features.test)) == (72, 18)


def test_kept_predictions_know_their_folds(small, measure, tmp_path):
    evaluation = measure(small, **KNN)
    write_predictions(
        tmp_path / "predictions.parquet",
        evaluation.predictions,
        paths=[small.paths[row] for row in evaluation.answers.rows],
        truth=evaluation.answers.truth,
        classes=evaluation.details["classes"],
        folds=evaluation.folds,
    )
    kept = KeptPredictions(tmp_path / "predictions.parquet")
    assert {seed: folds.tolist() for seed, folds in kept.folds.items()} == {
        seed: fold_numbers(divide(small, pooled_rows(small), DataRecipe(), seed)).tolist() for seed in range(3)
    }


def test_predictions_of_parts_come_in_the_order_of_the_images():
    def predict(part: Part) -> Predictions:
        return Predictions(
            protocol="linear",
            encoder="trained",
            labels="all",
            seed=0,
            ranked=part.cut[:, None],
            confidence=part.cut.astype(np.float32),
            l2=float(part.cut[0]),
            converged=bool(part.cut[0] > 0),
        )

    cuts = [np.array([1, 4]), np.array([0, 3]), np.array([2, 5])]
    rows = MeasuredRows(["a", "b"], np.arange(4), np.array([0, 1, 0, 1]), np.arange(4, 6), [])
    joined = out_of_fold([Part(rows=rows, kept=rows.train, cut=cut, folds=[]) for cut in cuts], predict)
    assert joined.predicted.tolist() == [0, 1, 2, 3, 4, 5]
    assert (joined.l2, joined.converged) == (1.0, False)
