"""Schedules against written-out lists."""

import dataclasses
import json
import math

import pytest

from twofold.evaluation.schedules import TRAINING_SETTINGS, Training, chosen_schedule, make_schedule
from twofold.optim import peak_lr

LABELS = (10, 100, 500, 5_000, 50_000)  # of 50,000
BATCHES = (10, 16, 64, 256, 256)


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


CHOSEN = Training(base_lr=0.3, weight_decay=0.01, epochs=100.0, statistics="pretrained", layer_decay=0.5, taken=0.25)


def test_a_chosen_schedule_is_that_length_rate_and_decay_and_stops_where_it_was_chosen_to():
    made = chosen_schedule(TRAINING_SETTINGS["supervised"], CHOSEN, labels=500, train=50_000)
    assert (made.batch_size, made.steps, made.stop, made.taken) == (64, 781, 195, 195)
    assert peak_lr(made.optim, made.batch_size) == pytest.approx(0.3 / 2)
    assert (made.optim.weight_decay, made.statistics, made.layer_decay) == (0.01, "pretrained", 0.5)


def test_a_trial_has_a_share_of_the_steps_and_every_training_one_at_least():
    short = chosen_schedule(TRAINING_SETTINGS["finetune"], CHOSEN, labels=500, train=50_000, share=0.25)
    assert (short.steps, short.stop) == (195, 49)
    assert chosen_schedule(TRAINING_SETTINGS["finetune"], CHOSEN, labels=10, train=50_000).steps == 400
    tiny = chosen_schedule(TRAINING_SETTINGS["finetune"], CHOSEN, labels=10, train=50_000, epochs=0.01, share=0.25)
    assert (tiny.steps, tiny.stop) == (1, 1)


def test_what_was_chosen_survives_being_kept():
    training = dataclasses.replace(CHOSEN, edges=("learning rate", "length"))
    assert Training.from_dict(json.loads(json.dumps(dataclasses.asdict(training)))) == training
