"""Self-training from the probe: what it starts from, what is chosen on what, and what plays no part."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from networks import VIEWS, TinyRows, same, state
from twofold.evaluation import self_trainer
from twofold.evaluation.features import embed_images
from twofold.evaluation.labels import given_places, measured_rows
from twofold.evaluation.logistic_regression import fit_scaling
from twofold.evaluation.self_trainer import WAYS, SelfTrainer, kappa


@pytest.fixture
def build(machine):
    def make(images, steps=8, **options):
        rows = measured_rows(images)
        encoder = TinyRows(100).eval()
        h = embed_images(encoder, images, rows.train, views=VIEWS, hardware=machine)
        return SelfTrainer(
            encoder=encoder,
            images=images,
            views=VIEWS,
            hardware=machine,
            rows=rows.train,
            ids=rows.train_ids,
            classes=len(rows.classes),
            h=h,
            scaling=fit_scaling(h),
            unlabelled=images.rows("train"),
            steps=steps,
            **options,
        )

    return make


@pytest.fixture
def fitted(monkeypatch):
    """Every call of fit_by_self_training: its rows, unlabelled images, shares and steps."""
    seen = []
    real = self_trainer.fit_by_self_training

    def watched(network, images, rows, targets, unlabelled, **options):
        seen.append({"rows": rows, "targets": targets, "unlabelled": unlabelled, "start": state(network), **options})
        return real(network, images, rows, targets, unlabelled, **options)

    monkeypatch.setattr(self_trainer, "fit_by_self_training", watched)
    return seen


def _own(trainer, count):
    return given_places(trainer.ids, count, 0)


def test_before_the_first_step_it_answers_as_the_probe_does(build, separable):
    trainer = build(separable)
    own, asked = _own(trainer, 5), separable.rows("test")
    network = trainer.train(own, None, 0)
    h = embed_images(trainer.encoder, separable, asked, views=VIEWS, hardware=trainer.hardware)
    np.testing.assert_allclose(trainer.logits(network, asked), trainer.probe(own).logits(h), atol=1e-4)


def test_the_encoder_that_is_handed_in_stays_as_it_was(build, separable):
    trainer = build(separable)
    before = state(trainer.encoder)
    network = trainer.train(_own(trainer, 5), WAYS[0], 0)
    assert same(state(trainer.encoder), before)
    assert not same(state(network.encoder), before)


def test_labels_that_are_hidden_play_no_part(build, separable):
    trainer = build(separable)
    own = _own(trainer, 5)
    hidden = np.setdiff1d(np.arange(len(trainer.ids)), own)
    other = trainer.ids.copy()
    other[hidden] = (other[hidden] + 1) % 3
    wrong = replace(trainer, ids=other)
    assert trainer.choose(own).how == wrong.choose(own).how
    assert same(state(trainer.train(own, WAYS[0], 0)), state(wrong.train(own, WAYS[0], 0)))


def test_class_shares_taken_from_the_truth_are_caught(build, make_images, monkeypatch):
    """Five labels a class of unbalanced images: shares are estimated without the labels that are hidden."""
    draw = np.random.default_rng(0)
    ids = np.repeat([0, 1, 2], [60, 20, 10])
    pixels = draw.integers(0, 90, (90, 1, 8, 8)).astype(np.uint8)
    pixels[np.arange(90), 0, 2 * ids + 1] += 120
    splits = ["test" if row % 10 == 0 else "train" for row in range(90)]
    trainer = build(make_images(pixels, [str(k) for k in ids], splits))
    own = _own(trainer, 5)
    wrong = replace(trainer, ids=np.where(np.isin(np.arange(len(trainer.ids)), own), trainer.ids, 0))
    estimated = trainer.shares(own)
    np.testing.assert_array_equal(estimated, wrong.shares(own))
    truth = np.bincount(trainer.ids) / len(trainer.ids)
    assert estimated.argmax() == 0  # though the labels are balanced
    assert np.abs(estimated - truth).max() < np.abs(1 / 3 - truth).max()

    def from_the_truth(self, own):  # the fault
        return np.bincount(self.ids, minlength=3) / len(self.ids)

    monkeypatch.setattr(SelfTrainer, "shares", from_the_truth)
    assert not np.array_equal(trainer.shares(own), wrong.shares(own))


def test_with_under_five_labels_of_a_class_shares_are_unknown(build, separable):
    trainer = build(separable)
    assert trainer.shares(_own(trainer, 4)) is None
    assert trainer.shares(_own(trainer, 5)) is not None


@pytest.mark.parametrize(("steps", "trial"), [(8, 8), (1000, 600), (3000, 750)])
def test_a_trial_is_a_fourth_but_no_fewer_steps_than_show_a_gain(build, separable, steps, trial, monkeypatch):
    taken = []
    monkeypatch.setattr(SelfTrainer, "_train", lambda self, own, how, seed, steps, unlabelled: taken.append(steps))
    monkeypatch.setattr(SelfTrainer, "logits", lambda self, network, asked: np.zeros((len(asked), 3), np.float32))
    trainer = build(separable, steps=steps)
    trainer.choose(_own(trainer, 10), least=6)
    assert set(taken) == {trial}


def test_ways_are_chosen_on_labels_left_out(build, separable, fitted):
    trainer = build(separable, steps=4)
    own = _own(trainer, 10)
    choice = trainer.choose(own, least=6)
    assert [call["how"] for call in fitted] == list(WAYS)  # one fold leaves out enough images
    assert {call["steps"] for call in fitted} == {4}
    left_out = set(trainer.rows[own][choice.cut].tolist())
    assert len(left_out) == 6
    for call in fitted:
        assert not left_out & {*call["rows"].tolist(), *call["unlabelled"].tolist()}
        assert {*call["rows"].tolist()} | left_out == {*trainer.rows[own].tolist()}
    assert choice.held_out.shape == (6, 3)


def test_where_a_fold_has_few_images_all_five_compare_one_way_with_the_probe(build, separable, fitted):
    trainer = build(separable)
    choice = trainer.choose(_own(trainer, 5))
    assert [call["how"] for call in fitted] == [WAYS[0]] * 5
    assert sorted(choice.cut.tolist()) == list(range(15))


def test_the_way_with_the_least_loss_on_labels_left_out_is_taken(build, separable, monkeypatch):
    trainer = build(separable)
    own = _own(trainer, 10)
    truth = np.eye(3)[trainer.ids[own]]
    for best in (None, *WAYS):

        def left_out(self, own, fold, how, best=best):
            right, wrong = truth[fold[1]], np.roll(truth[fold[1]], 1, axis=1)
            return (3 * (right if how == best else wrong)).astype(np.float32)

        monkeypatch.setattr(SelfTrainer, "_left_out", left_out)
        assert trainer.choose(own, least=6).how == best


def test_a_way_that_diverges_is_not_taken(build, separable, monkeypatch):
    monkeypatch.setattr(self_trainer, "WAYS", (replace(WAYS[0], rate=1e20),))
    trainer = build(separable)
    assert trainer.choose(_own(trainer, 5)).how is None


def test_a_choice_that_sees_test_is_caught(build, separable, make_images, monkeypatch):
    """Other pixels of test, other answers there: the choice stays. One by the pixels of test does not."""
    pixels = separable.read(np.arange(90)).images.numpy().copy()
    test = separable.rows("test")
    pixels[test] = 255 - pixels[test]
    first, second = (build(images) for images in (separable, make_images(pixels, separable.labels, separable.splits)))
    own = _own(first, 10)
    choices = [trainer.choose(own, least=6) for trainer in (first, second)]
    np.testing.assert_array_equal(choices[0].held_out, choices[1].held_out)
    assert choices[0].how == choices[1].how

    def on_test(self, own, fold, how):  # the fault
        return self.logits(self.train(own[fold[0]], None, 0), test[: len(fold[1])])

    monkeypatch.setattr(SelfTrainer, "_left_out", on_test)
    choices = [trainer.choose(own, least=6) for trainer in (first, second)]
    assert not np.array_equal(choices[0].held_out, choices[1].held_out)


@pytest.mark.parametrize("agreement", [(0.5, 0.6), (0.6, 0.5), (0.5, 0.5)])
def test_under_five_labels_networks_of_two_halves_must_agree_more_than_their_probes(
    build, separable, fitted, monkeypatch, agreement
):
    answers = iter(agreement)
    monkeypatch.setattr(self_trainer, "kappa", lambda *parts: next(answers))
    trainer = build(separable)
    own = _own(trainer, 4)
    choice = trainer.choose(own)
    assert choice.how == (WAYS[0] if agreement[1] > agreement[0] else None)
    halves = [set(call["rows"].tolist()) for call in fitted]
    assert [len(half) for half in halves] == [6, 6]
    assert not halves[0] & halves[1]


def test_with_one_label_a_class_it_is_the_probe(build, separable, fitted):
    trainer = build(separable)
    assert trainer.choose(_own(trainer, 1)).how is None
    assert fitted == []


def test_no_image_of_a_group_that_is_left_out_is_among_the_unlabelled(build, separable, fitted):
    grouped = replace(separable, groups=[f"group {row // 5}" for row in range(90)])
    rows = measured_rows(grouped)
    trainer = build(grouped, groups=rows.groups)
    own = np.arange(len(rows.train))
    choice = trainer.choose(own, least=4)
    names = {grouped.groups[row] for row in trainer.rows[choice.cut]}
    for call in fitted:
        assert not names & {grouped.groups[row] for row in call["unlabelled"]}
        assert len(call["unlabelled"]) > 20


def test_kappa_counts_agreement_beyond_chance():
    ids = np.arange(300) % 3
    assert kappa(ids, ids, 3) == pytest.approx(1)
    assert kappa(ids, np.random.default_rng(0).permutation(ids), 3) == pytest.approx(0, abs=0.1)
    assert kappa(np.zeros(9, int), np.zeros(9, int), 3) == 0  # two that always say the same


@pytest.mark.parametrize("foreign", [False, True])
def test_it_is_not_behind_the_probe_where_half_of_the_unlabelled_are_of_other_classes(build, make_images, foreign):
    """Three classes with five labels each; the others are of the same classes, or half of them stripes of no class."""
    draw = np.random.default_rng(0)
    n = 300
    ids = np.arange(n) % 3
    pixels = draw.integers(0, 130, (n, 1, 8, 8)).astype(np.uint8)
    pixels[np.arange(n), 0, 2 * ids + 1] += 60
    strange = np.zeros(n, bool)
    strange[150:] = foreign
    pixels[strange] = np.where(np.arange(8) % 3 == 0, 200, pixels[strange])
    splits = ["train" if row < 15 or row >= 150 else "test" for row in range(n)]
    labels = [str(k) if row < 150 else None for row, k in enumerate(ids)]
    images = make_images(pixels, labels, splits)
    trainer = build(images, steps=24)
    own, test = np.arange(15), images.rows("test")
    truth = ids[test]
    torch.manual_seed(0)
    before, after = (
        (trainer.logits(trainer.train(own, how, 0), test).argmax(1) == truth).mean()
        for how in (None, trainer.choose(own).how)
    )
    assert after >= before - 0.05
