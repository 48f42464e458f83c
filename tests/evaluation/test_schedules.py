"""Schedules against written-out lists, and the choice of the learning rate against its definition."""

import math

import numpy as np
import pytest

from twofold.errors import DivergedError
from twofold.evaluation.fine_tuning import (
    MOST_TO_CHOOSE_ON,
    TRAINING_SETTINGS,
    TrainingSettings,
    choice_places,
    choose_rate,
    make_schedule,
)
from twofold.optim import peak_lr

LABELS = (10, 100, 500, 5_000, 50_000)  # of 50,000
BATCHES = (10, 16, 64, 256, 256)
SETTINGS = TrainingSettings(rates=(0.05, 0.0125, 0.2), weight_decay=0.0, epochs_of_few=60.0, epochs=30.0)


@pytest.mark.parametrize(
    ("protocol", "steps"),
    [
        ("finetune", (400, 400, 469, 586, 5859)),  # 60 epochs of 10, 100, 500; 30 of 5,000 and 50,000; at least 400
        ("supervised", (400, 400, 469, 586, 5859)),
        ("sgd", (400, 562, 703, 1758, 17578)),  # 90 epochs of all
    ],
)
def test_schedules_are_the_papers_for_each_number_of_labels(protocol, steps):
    made = [make_schedule(TRAINING_SETTINGS[protocol], 0.1, labels=labels, train=50_000) for labels in LABELS]
    assert tuple(one.batch_size for one in made) == BATCHES
    assert tuple(one.steps for one in made) == steps


def test_epochs_that_are_asked_for_replace_the_papers_and_the_least_number_of_steps():
    made = [
        make_schedule(TRAINING_SETTINGS["finetune"], 0.1, labels=labels, train=50_000, epochs=2.0) for labels in LABELS
    ]
    assert tuple(one.steps for one in made) == (2, 12, 16, 39, 391)
    assert make_schedule(TRAINING_SETTINGS["finetune"], 0.1, labels=10, train=50_000, epochs=0.01).steps == 1


@pytest.mark.parametrize("labels", [2, 15, 16, 17, 63, 64, 127, 128, 1023, 1024, 10**6])
def test_a_batch_is_a_power_of_two_near_a_quarter_of_the_labels(labels):
    batch = make_schedule(TRAINING_SETTINGS["finetune"], 0.1, labels=labels, train=labels).batch_size
    assert batch <= labels
    if labels <= 16:
        assert batch == labels
    else:
        assert batch in (16, 32, 64, 128, 256)
        assert batch in (16, 256) or labels / 8 < batch <= labels / 4


@pytest.mark.parametrize("labels", LABELS)
def test_the_rate_is_that_of_batch_256_times_the_root_of_the_share(labels):
    made = make_schedule(TRAINING_SETTINGS["supervised"], 0.4, labels=labels, train=50_000)
    assert peak_lr(made.optim, made.batch_size) == pytest.approx(0.4 * math.sqrt(made.batch_size / 256))
    assert (made.optim.optimizer, made.optim.momentum) == ("sgd", 0.9)
    assert made.optim.warmup_fraction == 0
    assert made.optim.weight_decay == TRAINING_SETTINGS["supervised"].weight_decay == 1e-4


def test_the_papers_rate_comes_first_and_the_others_are_around_it():
    assert [TRAINING_SETTINGS[name].rates[0] for name in ("finetune", "supervised", "sgd")] == [0.05, 0.1, 0.1]
    for name in ("finetune", "supervised"):
        first, low, high = TRAINING_SETTINGS[name].rates
        assert (first / low, high / first) == pytest.approx((4, 4))


def _ids(*sizes):
    return np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))


@pytest.mark.parametrize("sizes", [(5, 5), (20, 30, 50), (7, 13, 61), (4999, 4999)])
def test_a_fifth_of_each_class_is_cut_off(sizes):
    ids = _ids(*sizes)
    kept, cut = choice_places(ids)
    if sum(sizes) <= MOST_TO_CHOOSE_ON:
        np.testing.assert_array_equal(np.sort(np.concatenate([kept, cut])), np.arange(len(ids)))
    assert not set(kept.tolist()) & set(cut.tolist())
    for label, size in enumerate(sizes):
        mine = min(size, round(MOST_TO_CHOOSE_ON * size / sum(sizes)))
        assert (ids[cut] == label).sum() == math.ceil(mine / 5)
        assert (ids[kept] == label).sum() == mine - math.ceil(mine / 5)


@pytest.mark.parametrize("sizes", [(5000,) * 10, (2001,) * 3, (40_000, 9_000, 1_000), (61,) * 100, (99_999, 51)])
def test_at_most_5000_serve_nearly_all_of_them_and_in_their_shares(sizes):
    ids = _ids(*sizes)
    kept, cut = choice_places(ids)
    both = np.concatenate([kept, cut])
    assert len(set(both.tolist())) == len(both) <= MOST_TO_CHOOSE_ON
    assert len(both) >= MOST_TO_CHOOSE_ON - len(sizes) * 1.5
    shares = np.bincount(ids[both]) / len(both)
    np.testing.assert_allclose(shares, np.array(sizes) / sum(sizes), atol=2 / len(both) * 1.01)
    assert both.min() >= 0
    assert both.max() < len(ids)


def test_the_balanced_5000_are_5000():
    ids = _ids(*(5000,) * 10)
    kept, cut = choice_places(ids)
    assert np.bincount(ids[kept]).tolist() == [400] * 10
    assert np.bincount(ids[cut]).tolist() == [100] * 10


@pytest.mark.parametrize("sizes", [(4, 50), (1, 1), (5, 5, 4)])
def test_fewer_than_five_of_a_class_leave_nothing_to_choose_on(sizes):
    assert choice_places(_ids(*sizes)) is None


def test_a_class_that_nobody_labelled_does_not_count():
    assert choice_places(np.repeat([0, 2], 5)) is not None


WANTED = np.array([0, 1, 0, 1])


def _logits(right, sure=1.0):
    """The first `right` of WANTED right, the others wrong, all by a margin of `sure`."""
    said = np.where(np.arange(4) < right, WANTED, 1 - WANTED)
    return (sure * np.eye(2)[said]).astype(np.float32)


def _chosen(logits):
    asked = []

    def logits_of(rate):
        asked.append(rate)
        if logits[rate] is None:
            raise DivergedError("too high")
        return logits[rate]

    rate = choose_rate(SETTINGS, logits_of, WANTED)
    assert asked == list(SETTINGS.rates)
    return rate


@pytest.mark.parametrize("best", SETTINGS.rates)
def test_the_rate_with_the_least_cross_entropy_is_chosen(best):
    assert _chosen({rate: _logits(4, sure=3 if rate == best else 2) for rate in SETTINGS.rates}) == best
    assert _chosen({rate: _logits(1, sure=1 if rate == best else 2) for rate in SETTINGS.rates}) == best  # less wrong
    few = {rate: _logits(3 if rate == best else 2) for rate in SETTINGS.rates}
    assert _chosen(few) == best


def test_of_the_same_the_papers_is_chosen():
    assert _chosen(dict.fromkeys(SETTINGS.rates, _logits(2))) == SETTINGS.rates[0]


@pytest.mark.parametrize("finite", SETTINGS.rates)
def test_a_rate_that_diverges_is_never_chosen(finite):
    assert _chosen({rate: _logits(0, sure=50) if rate == finite else None for rate in SETTINGS.rates}) == finite


def test_where_all_diverge_the_papers_is_left():
    assert _chosen(dict.fromkeys(SETTINGS.rates)) == SETTINGS.rates[0]
