"""How a network's training is chosen: searches against surfaces that are known, folds and the paper's choice."""

import math

import numpy as np
import pytest

from twofold.errors import DivergedError
from twofold.evaluation.schedules import TrainingSettings
from twofold.evaluation.tuning import (
    FIRST,
    LENGTHS,
    MOST_TO_CHOOSE_ON,
    MOST_VALUES,
    NO_STEP,
    QUICK,
    HeldOut,
    choice_folds,
    choose_rate,
    folds_needed,
    search,
    tune_from_scratch,
    tune_pretrained,
)

SETTINGS = TrainingSettings(rates=(0.05, 0.0125, 0.2), weight_decay=0.0, epochs_of_few=60.0, epochs=30.0)


@pytest.mark.parametrize(("best", "found", "tried"), [(0, 0, 3), (1, 1, 4), (-1, -1, 4), (2, 2, 4), (7, 2, 4)])
def test_a_search_goes_downhill_and_on_past_the_last_value(best, found, tried):
    asked = []

    def loss(value):
        asked.append(value)
        return abs(math.log(value / 5, 3) - best)

    value, losses = search(loss, 5.0)
    assert value == pytest.approx(5 * 3.0**found)
    assert len(asked) == len(set(asked)) == len(losses) == tried <= MOST_VALUES
    assert losses[value] == min(losses.values())


def test_of_equals_the_first_guess_counts_and_what_diverged_never():
    assert search(lambda value: 1.0, 0.1)[0] == 0.1
    assert search(lambda value: math.inf if value >= 0.1 else 3.0, 0.1)[0] < 0.1
    assert search(lambda value: math.inf, 0.1)[0] == 0.1


def _parts(count=3, probe_loss=1.0, images=10):
    places = np.arange(images)
    return [HeldOut(places, places + 100 * part, None, probe_loss) for part in range(count)]


class Surface:
    """Trials whose losses are a function of what is tried; `asked` has all that were."""

    def __init__(self, loss):
        self.loss, self.asked = loss, []

    def __call__(self, training, held, *, share=1.0, stops=(1.0,)):
        self.asked.append((training, int(held.cut[0]) // 100, share, tuple(stops)))
        return [self.loss(training, stop, int(held.cut[0]) // 100) for stop in stops]


def _valley(rate=0.06, statistics="batch", layer_decay=1.0, stop=0.5):
    """A loss of 0.5 at the best, more elsewhere."""

    def loss(training, taken, part):
        return (
            0.5
            + 0.1 * abs(math.log(training.base_lr / rate))
            + 0.05 * (training.statistics != statistics)
            + 0.02 * (training.layer_decay != layer_decay)
            + 0.01 * abs(taken - stop)
        )

    return loss


@pytest.mark.parametrize("statistics", ["batch", "pretrained"])
@pytest.mark.parametrize(("layer_decay", "stop"), [(1.0, 0.5), (0.65, 0.125), (0.65, 1.0)])
def test_fine_tuning_finds_the_best_of_rate_statistics_layers_and_length(statistics, layer_decay, stop):
    surface = Surface(_valley(statistics=statistics, layer_decay=layer_decay, stop=stop))
    chosen = tune_pretrained(surface, _parts(), FIRST["finetune"])
    assert chosen.base_lr == pytest.approx(0.06)
    assert (chosen.statistics, chosen.layer_decay, chosen.taken) == (statistics, layer_decay, stop)
    assert ("length" in chosen.edges) == (stop == 1.0)


def test_all_is_chosen_on_the_first_part_and_judged_on_the_others_alone():
    surface = Surface(_valley())
    tune_pretrained(surface, _parts(4), FIRST["finetune"])
    judged = [part for _, part, _, _ in surface.asked]
    assert judged == [0] * (len(judged) - 3) + [1, 2, 3]
    shares = [share for _, part, share, _ in surface.asked if part == 0]
    assert shares == [QUICK] * (len(shares) - 2) + [1.0, 1.0]
    assert len(shares) - 2 <= 2 * MOST_VALUES + 1
    assert [stops for *_, stops in surface.asked[-3:]] == [(0.5,)] * 3


def test_statistics_that_are_worse_in_short_trials_and_better_in_full_length_are_found():
    def slow(training, held, *, share=1.0, stops=(1.0,)):
        return [(0.5 if share == 1.0 else 0.9) if training.statistics == "batch" else 0.7 for _ in stops]

    assert tune_pretrained(slow, _parts(3, probe_loss=0.8), FIRST["finetune"]).statistics == "batch"


def test_where_the_probe_is_better_on_the_other_parts_no_step_is_taken():
    parts = _parts(3, probe_loss=0.6)
    assert tune_pretrained(Surface(_valley()), parts, FIRST["finetune"]).taken == 0.5
    parts = _parts(3, probe_loss=0.4)
    assert tune_pretrained(Surface(_valley()), parts, FIRST["finetune"]) == NO_STEP

    def lucky(training, stop, part):  # on the part that was chosen on, and nowhere else
        return 0.1 if part == 0 else 0.7

    assert tune_pretrained(Surface(lucky), _parts(3, probe_loss=0.6), FIRST["finetune"]) == NO_STEP


def test_judging_on_the_part_that_was_chosen_on_would_be_seen():
    def lucky(training, stop, part):
        return 0.1

    same = [_parts(1, probe_loss=0.6)[0]] * 3  # the fault: the other parts are the first one
    assert tune_pretrained(Surface(lucky), same, FIRST["finetune"]) != NO_STEP


def test_the_parts_count_by_their_images():
    def loss(training, stop, part):
        return {0: 0.5, 1: 0.5, 2: 0.9}[part]

    large, small = _parts(3, 0.6, images=50), _parts(3, 0.6, images=5)
    assert tune_pretrained(Surface(loss), [large[0], large[1], small[2]], FIRST["finetune"]) != NO_STEP
    assert tune_pretrained(Surface(loss), [large[0], small[1], large[2]], FIRST["finetune"]) == NO_STEP


@pytest.mark.parametrize("count", [0, 1])
def test_without_parts_to_judge_on_no_step_is_taken_and_nothing_tried(count):
    surface = Surface(_valley())
    assert tune_pretrained(surface, _parts(count), FIRST["finetune"]) == NO_STEP
    assert surface.asked == []


def test_where_every_training_diverges_no_step_is_taken():
    assert tune_pretrained(Surface(lambda *_: math.inf), _parts(), FIRST["finetune"]) == NO_STEP


def _scratch(rate=0.1, decay=5e-4, length=100.0):
    def loss(training, stop, part):
        return (
            0.5
            + 0.2 * abs(math.log(training.base_lr / rate))
            + 0.1 * abs(math.log(training.weight_decay / decay))
            + 0.1 * abs(math.log(training.epochs / length))
        )

    return loss


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.9, 0.1 / 3])
@pytest.mark.parametrize("decay", [1e-4, 5e-4, 2.5e-3])
@pytest.mark.parametrize("length", LENGTHS)
def test_from_scratch_finds_rate_decay_and_length(rate, decay, length):
    surface = Surface(_scratch(rate, decay, length))
    chosen = tune_from_scratch(surface, _parts()[0], FIRST["supervised"], LENGTHS)
    assert (chosen.base_lr, chosen.weight_decay) == (pytest.approx(rate), pytest.approx(decay))
    assert (chosen.epochs, chosen.taken) == (length, 1.0)
    assert {part for _, part, _, _ in surface.asked} == {0}
    assert len(surface.asked) <= 2 * MOST_VALUES - 1 + len(LENGTHS) - 1
    edges = {"learning rate": rate == 0.9, "weight decay": decay == 2.5e-3, "length": length == LENGTHS[-1]}
    assert list(chosen.edges) == [name for name, is_edge in edges.items() if is_edge]


def test_a_longer_training_is_not_tried_once_a_length_was_no_better():
    surface = Surface(_scratch(length=30.0))
    tune_from_scratch(surface, _parts()[0], FIRST["supervised"], LENGTHS)
    assert {training.epochs for training, *_ in surface.asked} == {30.0, 100.0}


def test_a_length_that_was_given_is_no_edge():
    chosen = tune_from_scratch(
        Surface(lambda training, stop, part: training.base_lr), _parts()[0], FIRST["supervised"], [None]
    )
    assert chosen.epochs is None
    assert "length" not in chosen.edges


@pytest.mark.parametrize(
    ("labels", "needed"), [(10, 5), (500, 5), (625, 5), (1000, 4), (2500, 2), (5000, 2), (50_000, 2)]
)
def test_as_many_folds_as_judge_on_500_images(labels, needed):
    assert folds_needed(labels) == needed
    assert len(choice_folds(np.arange(labels) % 2)) == needed


def _ids(*sizes):
    return np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))


@pytest.mark.parametrize("sizes", [(5, 5), (20, 30, 50), (7, 13, 61), (4999, 4999)])
def test_a_fifth_of_each_class_is_cut_off(sizes):
    ids = _ids(*sizes)
    kept, cut = choice_folds(ids)[0]
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
    kept, cut = choice_folds(ids)[0]
    both = np.concatenate([kept, cut])
    assert len(set(both.tolist())) == len(both) <= MOST_TO_CHOOSE_ON
    assert len(both) >= MOST_TO_CHOOSE_ON - len(sizes) * 1.5
    shares = np.bincount(ids[both]) / len(both)
    np.testing.assert_allclose(shares, np.array(sizes) / sum(sizes), atol=2 / len(both) * 1.01)
    assert both.min() >= 0
    assert both.max() < len(ids)


def test_the_balanced_5000_are_5000():
    ids = _ids(*(5000,) * 10)
    kept, cut = choice_folds(ids)[0]
    assert np.bincount(ids[kept]).tolist() == [400] * 10
    assert np.bincount(ids[cut]).tolist() == [100] * 10


@pytest.mark.parametrize("sizes", [(4, 50), (1, 1), (5, 5, 4)])
def test_fewer_than_five_of_a_class_leave_nothing_to_choose_on(sizes):
    assert choice_folds(_ids(*sizes)) == []


def test_a_class_that_nobody_labelled_does_not_count():
    assert len(choice_folds(np.repeat([0, 2], 5))) == 5


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
