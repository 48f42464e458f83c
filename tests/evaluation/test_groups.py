"""No fold, no draw of a share and no cut that a choice rests on divides a group of images."""

import dataclasses

import numpy as np
import pytest

from evaluation.conftest import settings_of
from small_recipe import SMALL
from twofold.evaluation import Subject, evaluate_encoder
from twofold.evaluation import labels as labels_module
from twofold.evaluation.knn import build_knn_monitor
from twofold.evaluation.labels import given_places, measured_rows, selection_folds, stratified_folds
from twofold.evaluation.tuning import choice_folds
from twofold.recipes.recipe import DataRecipe

pytestmark = pytest.mark.usefixtures("few_decays")
Y = np.random.default_rng(0).integers(0, 3, 240)
GROUPS = np.repeat(np.arange(60), 4)


def divided(folds, groups):
    return any(not set(groups[kept]).isdisjoint(groups[cut]) for kept, cut in folds)


def test_folds_divide_no_group_and_are_about_equal():
    folds = stratified_folds(Y, groups=GROUPS)
    assert len(folds) == 5
    assert not divided(folds, GROUPS)
    assert sorted(np.concatenate([cut for _, cut in folds])) == list(range(240))
    for _, cut in folds:
        assert abs(len(cut) - 48) <= 4
        assert (np.abs(np.bincount(Y[cut], minlength=3) - np.bincount(Y) / 5) <= 7).all()


def test_folds_without_groups_do_divide_them():
    assert divided(stratified_folds(Y), GROUPS)


def test_one_group_gives_no_folds():
    assert stratified_folds(Y, groups=np.zeros(240, np.int64)) == []
    assert choice_folds(Y, np.zeros(240, np.int64)) == []


def test_the_cut_that_a_rate_is_chosen_on_divides_no_group(monkeypatch):
    for most in (5000, 100):
        monkeypatch.setattr("twofold.evaluation.tuning.MOST_TO_CHOOSE_ON", most)
        folds = choice_folds(Y, GROUPS)
        assert not divided(folds, GROUPS)
        assert all(len(kept) + len(cut) <= most + 12 for kept, cut in folds)


@pytest.fixture
def grouped(separable):
    """The three classes; images 0, 3, 6 ... of each, as they lie, are of the same patient, and one has none."""
    groups = [f"patient {row // 5}" for row in range(len(separable))]
    groups[0] = None
    return dataclasses.replace(separable, groups=groups)


@pytest.mark.parametrize("least", [500, 1])  # five folds, one cut
def test_choices_rest_on_whole_groups(grouped, monkeypatch, least):
    monkeypatch.setattr(labels_module, "LEAST_SELECTION", least)
    rows = measured_rows(grouped)
    names = np.array([grouped.groups[row] or row for row in rows.train], dtype=object)
    assert not divided(selection_folds(grouped, rows, DataRecipe(), 0), names)
    plain = dataclasses.replace(grouped, groups=[])
    assert divided(selection_folds(plain, measured_rows(plain), DataRecipe(), 0), names)


def test_a_share_of_the_labels_is_of_whole_groups(grouped):
    rows = measured_rows(grouped)
    own = given_places(rows.train_ids, 0.3, 1, rows.groups)
    assert not divided([(own, np.setdiff1d(np.arange(len(rows.train)), own))], rows.groups)


def test_an_image_without_a_group_is_alone(grouped):
    rows = measured_rows(grouped)
    place = rows.train.tolist().index(0) if 0 in rows.train else None
    assert len(np.unique(rows.groups)) == len({grouped.groups[row] or row for row in rows.train})
    assert place is None or (rows.groups == rows.groups[place]).sum() == 1


def test_probes_are_measured_on_groups(grouped, flat, blind, views, machine):
    """k-NN with all labels chooses nothing, so groups change no figure of it, only its interval."""

    def rows(images):
        subject = Subject(encoder=flat, untrained=blind, views=views, hardware=machine)
        settings = settings_of(few_seeds=2, shots=(1, 5), fractions=(0.5,))
        return evaluate_encoder(subject, images, settings, data=DataRecipe()).rows

    found, plain = rows(grouped), rows(dataclasses.replace(grouped, groups=[]))
    names = [(row.protocol, row.encoder, row.labels, row.metric) for row in found]
    assert names == [(row.protocol, row.encoder, row.labels, row.metric) for row in plain]
    for one, other in zip(found, plain, strict=True):
        if (one.protocol, one.labels) == ("knn", "all"):
            assert one.mean == other.mean
    assert found != plain, "draws of few labels are others"


def test_the_monitor_looks_at_whole_groups(grouped, machine, monkeypatch):
    seen = []
    real = labels_module.cut_groups

    def watch(keys, groups, *rest, **named):
        seen.append(groups)
        return real(keys, groups, *rest, **named)

    monkeypatch.setattr("twofold.evaluation.labels.cut_groups", watch)
    assert build_knn_monitor(grouped, SMALL, machine) is not None
    assert seen == [[grouped.groups[row] for row in grouped.rows("train")]]
