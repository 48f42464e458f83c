import dataclasses
import json
from importlib import import_module

import numpy as np
import pytest
from torch import nn

from evaluation.conftest import settings_of
from twofold.data.assignment import assign_splits
from twofold.data.record import Record
from twofold.errors import TwofoldError
from twofold.evaluation import (
    evaluate,
    evaluate_encoder,
    jobs,
    measured_rows,
    read_truth,
    scope,
)
from twofold.evaluation import labels as labels_module
from twofold.evaluation.features import Subject
from twofold.recipes.recipe import DataRecipe

knn_module = import_module("twofold.evaluation.knn")  # the package has functions of these names
linear_probe_module = import_module("twofold.evaluation.linear_probe")

pytestmark = pytest.mark.usefixtures("few_decays")
LINEAR = ("linear", "trained", "all", "top1")
LEAST = {"seeds": 1, "few_seeds": 1, "shots": (1,)}


@pytest.fixture
def measure(flat, blind, views, machine):
    return _measuring(flat, blind, views, machine)


def _measuring(encoder, untrained, views, machine):
    subject = Subject(encoder=encoder, untrained=untrained, views=views, hardware=machine)

    def run(images, keep=None, say=lambda line: None, **settings):
        options = settings_of(**{"seeds": 2, "few_seeds": 2, "shots": (1, 5), **settings})
        return evaluate_encoder(subject, images, options, data=DataRecipe(), keep=keep, say=say)

    return run


def _predictions_seen(patch):
    """Every prediction that is handed to the counting."""
    seen = []

    def score(predictions, *parts):
        seen.append([(a.protocol, a.encoder, a.labels, a.seed, a.l2, a.predicted.tolist()) for a in predictions])
        return real(predictions, *parts)

    real = evaluate.score
    patch.setattr(evaluate, "score", score)
    return seen


@pytest.fixture
def kept_predictions(monkeypatch):
    return _predictions_seen(monkeypatch)


@dataclasses.dataclass(frozen=True)
class Once:
    """One evaluation that several tests read: its encoder, with its weights before; its predictions; fresh weights."""

    evaluation: object
    encoder: nn.Module
    before: dict
    predictions: list
    built: list


def _measured_once(new_flat, blind, views, machine, images, **settings):
    encoder, built = new_flat().train(), []

    def untrained(seed):
        built.append(seed)
        return blind(seed)

    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    with pytest.MonkeyPatch.context() as patch:
        seen = _predictions_seen(patch)
        evaluation = _measuring(encoder, untrained, views, machine)(images, **settings)
    return Once(evaluation, encoder, before, seen[0], built)


@pytest.fixture(scope="module")
def once(new_flat, blind, views, machine, separable):
    return _measured_once(new_flat, blind, views, machine, separable)


@pytest.fixture(scope="module")
def five(new_flat, blind, views, machine, separable):
    """With five draws of few labels on two sets of fresh weights."""
    return _measured_once(new_flat, blind, views, machine, separable, few_seeds=5, shots=(1,))


def _means(evaluation, metric="top1"):
    return {(r.protocol, r.encoder, r.labels): r.mean for r in evaluation.rows if r.metric == metric}


def _relabelled(images, labels):
    return dataclasses.replace(images, labels=list(labels))


def _shuffled(images, split, seed=0):
    labels, rows = list(images.labels), images.rows(split)
    for row, other in zip(rows, np.random.default_rng(seed).permutation(rows), strict=True):
        labels[row] = images.labels[other]
    return _relabelled(images, labels)


def test_separable_pictures_are_all_right(once):
    means = _means(once.evaluation)
    assert means["linear", "trained", "all"] == means["knn", "trained", "all"] == 1.0
    assert means["linear", "trained", 5] == 1.0
    assert means["linear", "pixels", "all"] == 1.0


def test_shuffled_labels_are_chance(plenty, measure):
    before = _means(measure(plenty, seeds=1, few_seeds=1))
    assert min(mean for (_, encoder, labels), mean in before.items() if (encoder, labels) == ("trained", "all")) > 0.9
    assert before["linear", "pixels", 5] > 0.9
    shuffled = _shuffled(_shuffled(plenty, "train", seed=1), "test", seed=2)
    # 450 flips of chance 1/3: five deviations are 0.11. Shuffling train alone would not do: each of the three clusters
    # of images would fall to one class, three flips in all
    assert all(abs(mean - 1 / 3) < 0.11 for mean in _means(measure(shuffled, seeds=1, few_seeds=1)).values())


def test_a_peek_at_the_labels_of_test_would_be_seen_in_that_figure(plenty, measure, monkeypatch):
    shuffled = _shuffled(_shuffled(plenty, "train", seed=1), "test", seed=2)
    truth = read_truth(shuffled, measured_rows(shuffled))
    real = knn_module.knn_votes

    def faulty(*parts, **options):  # the fault: one image in three gets the answer
        votes = real(*parts, **options)
        votes[np.arange(0, len(truth), 3), truth[::3]] = 99.0
        return votes

    monkeypatch.setattr(knn_module, "knn_votes", faulty)
    assert _means(measure(shuffled, **LEAST))["knn", "trained", "all"] > 1 / 3 + 0.11


def test_one_row_per_way_of_measuring_with_its_seeds(once):
    rows = once.evaluation.rows
    assert len(rows) == 2 * 3 * 3 * 3  # protocols, encoders, labels, metrics (no top-5 among three classes)
    seeds = {(r.protocol, r.encoder, r.labels): r.seeds for r in rows}
    assert seeds["linear", "trained", "all"] == seeds["linear", "pixels", "all"] == 2
    assert seeds["knn", "untrained", "all"] == seeds["linear", "untrained", "all"] == 2
    assert seeds["knn", "trained", "all"] == 1  # nothing to vary
    assert {seeds[p, e, k] for p in ("knn", "linear") for e in ("trained", "untrained", "pixels") for k in (1, 5)} == {
        2
    }
    assert all(row.low is not None for row in rows)
    assert {row.over for row in rows if row.labels == "all" and row.encoder != "untrained"} == {"images"}
    assert {row.over for row in rows if row.labels != "all" or row.encoder == "untrained"} == {"images and draws"}


def test_no_interval_is_a_point(once):
    """All right, whatever the seed: 30 test images cannot show that it is always so."""
    perfect = [row for row in once.evaluation.rows if row.mean == 1.0 and row.metric == "top1"]
    assert perfect
    assert all(row.low < 0.95 and row.high == 1.0 for row in perfect)
    alike = [one for one in once.evaluation.differences if one.mean == 0.0]
    assert alike
    assert all(one.low < 0 < one.high for one in alike)


def test_images_of_one_group_in_test_widen_the_interval(separable, measure):
    """Six groups: the data's groups reach the interval."""
    groups = [f"g{row // 15}" for row in range(90)]
    widths = [
        row.high - row.low
        for images in (separable, dataclasses.replace(separable, groups=groups))
        for row in measure(images, **LEAST).rows
        if (row.protocol, row.encoder, row.labels, row.metric) == LINEAR
    ]
    assert widths[1] > widths[0]


def test_untrained_weights_are_those_of_the_seed_embedded_once_each(five):
    assert five.built == [0, 1]


def test_untrained_figures_on_the_same_weights_count_as_one(separable, five):
    truth = read_truth(separable, measured_rows(separable))
    for protocol in ("linear", "knn"):
        rows = {r.encoder: r for r in five.evaluation.rows if (r.protocol, r.labels, r.metric) == (protocol, 1, "top1")}
        shares = {
            seed: float((np.array(predicted) == truth).mean())
            for p, encoder, labels, seed, _, predicted in five.predictions
            if (p, encoder, labels) == (protocol, "untrained", 1)
        }
        means = [np.mean([shares[s] for s in (0, 2, 4)]), np.mean([shares[s] for s in (1, 3)])]
        row = rows["untrained"]
        assert row.seeds == 2
        assert row.mean == pytest.approx(np.mean(means))
        assert rows["trained"].seeds == rows["pixels"].seeds == 5


def test_one_set_of_untrained_weights_has_no_interval(separable, measure):
    rows = measure(separable, seeds=1, few_seeds=3, shots=(1,)).rows
    few = {r.encoder: r for r in rows if r.labels == 1}
    assert (few["untrained"].seeds, few["untrained"].low, few["untrained"].high) == (1, None, None)
    assert few["trained"].seeds == 3


def test_the_intervals_are_explained(five):
    evaluation = five.evaluation
    text = " ".join(evaluation.details["stated"])
    assert "intervals are at 95 %: it covers other test images of this kind" in text
    assert "the 5 seeds share 2 sets of its weights" in text
    assert "converged" not in text


def test_probes_that_did_not_converge_are_counted_and_said(separable, measure, monkeypatch):
    real = linear_probe_module.fit_few

    def stopped(*parts, **options):
        probe, l2 = real(*parts, **options)
        return dataclasses.replace(probe, converged=options["shots"] != 5), l2

    monkeypatch.setattr(linear_probe_module, "fit_few", stopped)
    stated = measure(separable).details["stated"]
    # of 3 encoders two seeds with 5 labels; among those with 1 and with all
    assert any("6 of 18 probes stopped at 1,000 iterations" in line for line in stated)


def test_the_same_call_gives_the_same_figures(separable, measure, once):
    first, second = once.evaluation, measure(separable)
    assert first.rows == second.rows
    assert first.details["chosen_l2"] == second.details["chosen_l2"]


def test_the_encoder_is_as_before(once):
    assert once.encoder.training
    assert all((once.before[name] == tensor).all() for name, tensor in once.encoder.state_dict().items())


def test_no_prediction_and_no_choice_depends_on_the_labels_of_test(separable, measure, once, kept_predictions):
    measure(_shuffled(separable, "test"))
    assert kept_predictions == [once.predictions]


def test_that_comparison_sees_the_labels_of_train(separable, measure, once, kept_predictions):
    measure(_shuffled(separable, "train"))
    assert kept_predictions[0] != once.predictions


def _watch_fitting(monkeypatch):
    """The first feature marks test images; say whether any function that fits was handed one."""
    leaks = []

    def watch(name, limit):
        home = knn_module if name == "knn_votes" else linear_probe_module
        real = getattr(home, name)

        def watched(*parts, **options):
            arrays = parts[1:2] if name == "knn_votes" else parts[:1]
            leaks.extend(name for x in arrays if float(np.abs(x[:, 0]).max()) > limit)
            return real(*parts, **options)

        monkeypatch.setattr(home, name, watched)

    for name in ("fit_probes", "fit_few"):
        watch(name, 3.0)  # scaled by train: -1 or 1 there, about 80 in test
    for name in ("knn_votes", "fit_scaling"):
        watch(name, 0.5)  # as it is: at most 0.02 in train, 0.98 in test
    return leaks


@pytest.fixture
def marked(separable, make_images):
    pictures = separable.read(np.arange(90)).images.numpy().copy()
    test = separable.rows("test")
    pictures[:, 0, 0, 0] = np.arange(90) % 2 * 5
    pictures[test, 0, 0, 0] = 250
    return make_images(pictures, separable.labels, separable.splits)


@pytest.fixture
def alone(measure, monkeypatch):
    """Measure the trained encoder only: its features are the pixels, so that a mark can be followed."""
    real = jobs._sources
    monkeypatch.setattr(jobs, "_sources", lambda *parts: (one for one in real(*parts) if one[0] != "untrained"))
    return measure


def test_no_test_picture_is_handed_to_what_fits(marked, alone, monkeypatch):
    leaks = _watch_fitting(monkeypatch)
    alone(marked, **LEAST)
    assert leaks == []


def test_choosing_on_test_would_be_seen(marked, alone, monkeypatch):
    real = jobs.predict_by_linear_probe

    def faulty(features, *parts, **options):
        test = linear_probe_module.fit_scaling(features.train)(features.test)
        half = np.arange(len(test)) < len(test) // 2
        cut = [(np.flatnonzero(half), np.flatnonzero(~half))]
        linear_probe_module.fit_probes(test, np.arange(len(test)) % 3, classes=3, draws=[cut])
        return real(features, *parts, **options)

    monkeypatch.setattr(jobs, "predict_by_linear_probe", faulty)
    leaks = _watch_fitting(monkeypatch)
    alone(marked, **LEAST)
    assert set(leaks) == {"fit_probes"}


def test_fitting_on_train_and_test_together_would_be_seen(marked, alone, monkeypatch):
    real = scope.measured_rows

    def faulty(images):
        honest = real(images)
        train = np.concatenate([honest.train, honest.test])
        ids = np.concatenate([honest.train_ids, honest.train_ids[: len(honest.test)]])
        return dataclasses.replace(honest, train=train, train_ids=ids)

    monkeypatch.setattr(scope, "measured_rows", faulty)
    leaks = _watch_fitting(monkeypatch)
    alone(marked, **LEAST)
    assert {"knn_votes", "fit_scaling"} <= set(leaks)


def test_train_test_and_selection_are_disjoint(separable, measure, monkeypatch):
    cuts = []
    real = scope.selection_folds

    def watched(*parts):
        cuts.append(real(*parts))
        return cuts[-1]

    monkeypatch.setattr(scope, "selection_folds", watched)
    details = measure(separable, few_seeds=1, shots=(1,)).details
    rows = measured_rows(separable)
    assert not set(rows.train.tolist()) & set(rows.test.tolist())
    for kept, cut in (pair for pairs in cuts for pair in pairs):
        np.testing.assert_array_equal(np.sort(np.concatenate([kept, cut])), np.arange(len(rows.train)))
    assert cuts[0][0][1].tolist() != cuts[1][0][1].tolist()  # the seeds vary it
    assert (details["train"], details["selection"], details["test"]) == (60, 12, 30)


def test_a_large_train_split_has_one_selection_split_and_a_small_one_is_cross_validated(separable, monkeypatch):
    rows, data = measured_rows(separable), DataRecipe(selection_fraction=0.2)
    small = labels_module.selection_folds(separable, rows, data, 3)
    monkeypatch.setattr(labels_module, "LEAST_SELECTION", 12)
    large = labels_module.selection_folds(separable, rows, data, 3)
    assert (len(small), len(large)) == (5, 1)
    assert sorted(np.concatenate([cut for _, cut in small]).tolist()) == list(range(60))
    assert np.bincount(rows.train_ids[large[0][1]]).tolist() == [4, 4, 4]
    assert all(np.bincount(rows.train_ids[cut]).tolist() == [4, 4, 4] for _, cut in small)


def test_one_picture_of_each_class_leaves_nothing_to_choose_on(make_images, measure):
    images = make_images(np.zeros((4, 1, 8, 8), np.uint8), ["a", "b", "a", "b"], ["train", "train", "test", "test"])
    with pytest.raises(TwofoldError, match="needs 2 to choose on"):
        measure(images)


def test_two_pictures_of_each_class_are_enough(make_images, measure):
    pictures = np.random.default_rng(0).integers(0, 256, (6, 1, 8, 8)).astype(np.uint8)
    images = make_images(pictures, ["a", "b"] * 3, ["train"] * 4 + ["test"] * 2)
    assert measure(images, **LEAST).details["train"] == 4


def test_classes_keep_their_names_and_order(separable, once):
    details = once.evaluation.details
    assert details["classes"] == ["apple", "banana", "cherry"]
    truth = [separable.labels[row] for row in separable.rows("test")]
    counts = np.array(details["confusion"])
    assert counts.sum(axis=1).tolist() == [truth.count(name) for name in details["classes"]]
    np.testing.assert_array_equal(counts, np.diag(np.diag(counts)))


def test_numbers_are_plain_json(once):
    evaluation = once.evaluation
    text = json.dumps({"rows": [r.to_dict() for r in evaluation.rows], **evaluation.details}, allow_nan=False)
    back = json.loads(text)
    assert len(back["chosen_l2"]["trained"]) == len(back["chosen_l2"]["untrained"]) == 2
    assert len(back["chosen_l2_few"]["trained"]["5"]) == 2
    assert back["stated"][0] == "made by hand"


def test_more_shots_than_pictures_are_left_out_and_said(separable, measure):
    lines = []
    evaluation = measure(separable, seeds=1, few_seeds=1, shots=(5, 1, 21), say=lines.append)
    assert {row.labels for row in evaluation.rows} == {"all", 1, 5}
    assert any("21 labels per class: left out" in line and "'apple' 20" in line for line in lines)
    assert any("21 labels per class: left out" in line for line in evaluation.details["stated"])


def test_without_any_few_labels_only_all_remain(separable, measure):
    evaluation = measure(separable, seeds=1, few_seeds=1, shots=(500,))
    assert {row.labels for row in evaluation.rows} == {"all"}
    assert not any(line.startswith("few labels") for line in evaluation.details["stated"])


def test_unlabelled_pictures_are_refused_with_the_way_out(separable, measure):
    with pytest.raises(TwofoldError, match=r"'made'.*60 of 60.*folder per class.*CSV"):
        measure(_relabelled(separable, [None] * 90))


def test_one_class_is_refused(separable, measure):
    with pytest.raises(TwofoldError, match="at least 2 classes"):
        measure(_relabelled(separable, ["a"] * 90))


def test_classes_of_one_split_alone_are_left_out_and_said(separable, measure):
    labels = list(separable.labels)
    labels[separable.rows("test")[0]] = "quince"
    labels[separable.rows("train")[0]] = "sloe"
    details = measure(_relabelled(separable, labels), **LEAST).details
    assert details["classes"] == separable.classes
    assert (details["train"], details["test"]) == (59, 29)
    text = " ".join(details["stated"])
    assert "3 classes that both splits have: the class 'sloe' only in train and the class 'quince' only in test" in text


def test_splits_that_share_no_two_classes_are_refused_by_name(separable, measure):
    test = set(separable.rows("test").tolist())
    labels = [f"other {label}" if row in test else label for row, label in enumerate(separable.labels)]
    with pytest.raises(TwofoldError, match=r"only in train and .* only in test, but both .* two classes in common"):
        measure(_relabelled(separable, labels))


def test_images_without_a_label_are_not_fitted_on_and_that_is_said(separable, measure):
    labels = list(separable.labels)
    for row in separable.rows("train")[:6]:
        labels[row] = None
    details = measure(_relabelled(separable, labels), **LEAST).details
    assert (details["train"], details["test"]) == (54, 30)
    assert "6 train images have no label to learn from" in details["stated"]


def _cut(make_images, labels):
    """Images whose test split is cut off by the data part itself."""
    records = [Record(path=f"{row:03d}", label=label, split=None) for row, label in enumerate(labels)]
    assigned = assign_splits(records, DataRecipe())
    pictures = np.random.default_rng(0).integers(0, 256, (len(labels), 1, 8, 8)).astype(np.uint8)
    return dataclasses.replace(make_images(pictures, labels, assigned.splits), findings=assigned.findings)


def test_a_single_picture_that_our_own_cut_could_not_halve_is_left_out_and_said(make_images, measure):
    images = _cut(make_images, ["a", "b"] * 20 + ["lone"])
    lines = []
    details = measure(images, say=lines.append, **LEAST).details
    assert details["classes"] == ["a", "b"]
    assert (details["train"], details["test"]) == (32, 8)
    sentence = "the class 'lone' has 1 image, too few for both train and test: left out"
    assert sentence in details["stated"]
    assert f"  {sentence}" in lines


def test_several_single_pictures_are_named_together(make_images):
    rows = measured_rows(_cut(make_images, ["a", "b"] * 20 + ["lone", "odd"]))
    assert any(line.startswith("the classes 'lone', 'odd' have 1 image each") for line in rows.notes)


def test_a_single_picture_beside_a_test_split_of_your_own_is_a_class_of_train_alone(make_images):
    images = _cut(make_images, ["a", "b"] * 20 + ["lone"])
    rows = measured_rows(dataclasses.replace(images, findings=[]))
    assert rows.classes == ["a", "b"]
    assert any("the class 'lone' only in train" in line for line in rows.notes)


def test_nothing_but_single_pictures_is_refused(make_images):
    with pytest.raises(TwofoldError, match="1 class of 2 images or more, but evaluation needs 2"):
        measured_rows(_cut(make_images, ["a", "a", "a", "lone"]))
    with pytest.raises(TwofoldError, match="0 classes of 2 images or more"):
        measured_rows(_cut(make_images, ["lone", "odd"]))


def test_no_test_split_is_refused(separable, measure, monkeypatch):
    monkeypatch.setattr("twofold.evaluation.labels.FEW_LABELLED", 90)  # fewer would be cross-validated
    with pytest.raises(TwofoldError, match="folder test/") as caught:
        measure(dataclasses.replace(separable, splits=["train"] * 90))
    assert "--" not in str(caught.value)


def test_unlabelled_test_pictures_are_left_out_and_said(separable, measure):
    labels = list(separable.labels)
    labels[separable.rows("test")[0]] = None
    details = measure(_relabelled(separable, labels), **LEAST).details
    assert details["test"] == 29
    assert "1 test images without a label are left out" in details["stated"]


def test_validation_pictures_are_not_used_and_that_is_said(separable, measure):
    splits = list(separable.splits)
    splits[0] = "validation"
    details = measure(dataclasses.replace(separable, splits=splits), **LEAST).details
    assert details["train"] == 59
    assert "the 1 images of the validation split are not used" in details["stated"]


def test_an_encoder_that_diverged_is_refused(separable, measure, flat):
    nn.init.constant_(flat.norm.weight, float("nan"))
    with pytest.raises(TwofoldError, match=r"not finite for 60 of 60.*--base-lr"):
        measure(separable)


@pytest.mark.parametrize("setting", [{"seeds": 0}, {"few_seeds": 0}, {"shots": (0,)}])
def test_counts_below_one_are_refused(separable, measure, setting):
    with pytest.raises(TwofoldError, match="at least 1"):
        measure(separable, **setting)


def test_the_same_call_after_an_interruption_ends_in_the_same_rows(separable, alone, tmp_path, monkeypatch):
    expected = alone(separable, **LEAST).rows
    real = jobs.predict_by_linear_probe

    def interrupted(features, rows, draws, **options):
        if draws == [(0, 1)]:
            raise KeyboardInterrupt
        return real(features, rows, draws, **options)

    monkeypatch.setattr(jobs, "predict_by_linear_probe", interrupted)
    with pytest.raises(KeyboardInterrupt):
        alone(separable, keep=tmp_path / "kept", **LEAST)
    monkeypatch.setattr(jobs, "predict_by_linear_probe", real)
    lines = []
    assert alone(separable, keep=tmp_path / "kept", say=lines.append, **LEAST).rows == expected
    assert any("6 measurements, 2 of them made before an interruption" in line for line in lines)


def _key(images, encoder, views, machine, **changes):
    settings = scope.Settings(**{"seeds": (0, 1), "few_seeds": (0,), "shots": (1,), **changes})
    subject = Subject(encoder=encoder, untrained=None, views=views, hardware=machine)
    key = scope._key(subject, scope.find_scope(images, settings, DataRecipe()))
    return json.dumps(key, sort_keys=True, default=str)


def test_what_is_kept_is_known_by_all_that_it_depends_on(separable, flat, views, machine):
    """Labels too: the same images and folds, but classes that have changed places or names, or one image has."""
    first = _key(separable, flat, views, machine)
    assert _key(separable, flat, views, machine) == first
    turned = dict(zip(("apple", "banana", "cherry"), ("banana", "cherry", "apple"), strict=True))
    renamed = {name: name.upper() for name in turned}
    one, other = separable.rows("train")[:1], dataclasses.replace(machine)
    mended = list(separable.labels)
    mended[one[0]] = turned[mended[one[0]]]
    object.__setattr__(other, "precision", "bf16")
    keys = {
        first,
        _key(_relabelled(separable, [turned[label] for label in separable.labels]), flat, views, machine),
        _key(_relabelled(separable, [renamed[label] for label in separable.labels]), flat, views, machine),
        _key(_relabelled(separable, mended), flat, views, machine),
        _key(dataclasses.replace(separable, fingerprint="g"), flat, views, machine),
        _key(separable, flat, dataclasses.replace(views, eval_crop_fraction=0.5), machine),
        _key(separable, flat, views, other),
        _key(separable, flat, views, machine, start="z"),
        _key(separable, flat, views, machine, epochs=2.0),
    }
    nn.init.constant_(flat.norm.bias, 1e-7)
    assert len(keys | {_key(separable, flat, views, machine)}) == 10


def test_fewer_draws_of_labels_than_sets_of_weights(separable, measure):
    rows = measure(separable, seeds=3, few_seeds=2, shots=(1,)).rows
    seeds = {(r.protocol, r.encoder, r.labels): r.seeds for r in rows}
    assert seeds["linear", "untrained", "all"] == 3
    assert seeds["linear", "untrained", 1] == seeds["knn", "untrained", 1] == 2


def _rare(make_images, sizes=(160, 16)):
    """Two classes of noise, one ten times as large: nothing tells them apart but a faint row."""
    draw = np.random.default_rng(0)
    ids = draw.permutation(np.repeat([0, 1], sizes))
    pictures = draw.integers(0, 200, (len(ids), 1, 8, 8)).astype(np.uint8)
    pictures[ids == 1, 0, 3] += 40
    return make_images(pictures, [("common", "rare")[i] for i in ids], ["train", "test"] * (len(ids) // 2))


def test_of_unequal_classes_the_mean_per_class_leads_and_the_rare_one_is_measured(make_images, measure):
    images = _rare(make_images)
    evaluation = measure(images, seeds=1, few_seeds=1, shots=(1,))
    metrics = [row.metric for row in evaluation.rows if (row.protocol, row.encoder, row.labels) == LINEAR[:3]]
    rare = ["auroc", "average_precision", "sensitivity_90", "sensitivity_95", "sensitivity_99"]
    assert metrics == ["mean_per_class", "top1", "overconfidence", *rare]
    assert {one.metric for one in evaluation.differences} == {"mean_per_class"}
    truth = read_truth(images, measured_rows(images))
    majority = evaluation.details["majority"]
    assert majority == {"class": "common", "top1": pytest.approx((truth == 0).mean()), "mean_per_class": 0.5}
    assert any("always predicting the most frequent class, 'common'" in line for line in evaluation.details["stated"])


def test_of_equal_classes_top_1_leads(once):
    metrics = [row.metric for row in once.evaluation.rows if (row.protocol, row.encoder, row.labels) == LINEAR[:3]]
    assert metrics == ["top1", "mean_per_class", "overconfidence"]
    assert {one.metric for one in once.evaluation.differences} == {"top1"}


def test_of_several_unequal_classes_macro_f1_is_there(separable, measure):
    rows = separable.rows("train")
    labels = list(separable.labels)
    for row in [row for row in rows if labels[row] == "apple"][:10]:
        labels[row] = None
    metrics = {row.metric for row in measure(_relabelled(separable, labels), **LEAST).rows}
    assert metrics == {"top1", "mean_per_class", "overconfidence", "macro_f1"}
