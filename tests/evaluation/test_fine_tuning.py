"""Networks on labels: what a network starts from, what it is trained on, and what its learning rate is chosen on."""

import dataclasses
from functools import partial

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError
from torch import nn

from networks import VIEWS, Tiny, recording, same, state
from twofold.errors import DivergedError, TwofoldError
from twofold.evaluation import features, fine_tuning
from twofold.evaluation.features import FeatureCache, Subject, head_part
from twofold.evaluation.fine_tuning import NetworkProtocol
from twofold.evaluation.labels import given_places, measured_rows, read_truth, selection_folds
from twofold.evaluation.predictions import PredictionStore
from twofold.evaluation.schedules import TRAINING_SETTINGS, Training
from twofold.evaluation.scores import score
from twofold.models.head import build_head
from twofold.recipes.recipe import DataRecipe, HeadRecipe

NOTHING = PredictionStore(None, {})


@pytest.fixture
def trainer(separable, machine):
    head = build_head(HeadRecipe(head_layers=3, z_dim=5), dim=Tiny.dim).eval()
    subject = Subject(
        encoder=Tiny(100).eval(), untrained=lambda seed: Tiny(seed).eval(), views=VIEWS, hardware=machine, head=head
    )

    def make(protocol, images=separable, start="h", **options):
        rows = measured_rows(images)
        cache = FeatureCache(subject, images, rows)
        return NetworkProtocol(
            protocol=protocol,
            subject=subject,
            images=images,
            rows=rows,
            features=partial(cache.get, "trained" if start == "h" else start),
            folds={seed: selection_folds(images, rows, DataRecipe(), seed) for seed in range(4)},
            start=start,
            **{"epochs": 1.0, "paper": True, **options},
        )

    return make


@pytest.fixture
def fitted(monkeypatch):
    """Every call of fit_network: its rows, its rate, and the state that the network was in before it."""
    seen = []
    real = fine_tuning.fit_network

    def watched(net, images, rows, targets, **options):
        seen.append({"rows": rows, "targets": targets, "start": state(net), "network": net, **options})
        real(net, images, rows, targets, **options)

    monkeypatch.setattr(fine_tuning, "fit_network", watched)
    return seen


@pytest.fixture
def asked(monkeypatch):
    """The rows of every prediction."""
    seen = []
    monkeypatch.setattr(fine_tuning, "embed_images", recording(fine_tuning.embed_images, seen))
    return lambda: [parts[2] for parts, _ in seen]


def _top1(predictions, images, classes=None):
    labelled = measured_rows(images)
    truth = read_truth(images, dataclasses.replace(labelled, classes=classes or labelled.classes))
    (one,) = score([predictions], truth, len(labelled.classes))
    return float(one.hits["top1"].mean())


@pytest.mark.parametrize("protocol", ["finetune", "supervised", "sgd"])
def test_separable_pictures_are_learnt_and_a_wrong_order_of_classes_is_seen(protocol, trainer, separable):
    predictions = trainer(protocol, epochs=10.0).predict("all", 0, NOTHING)
    assert (predictions.protocol, predictions.labels, predictions.seed) == (protocol, "all", 0)
    assert predictions.encoder == ("untrained" if protocol == "supervised" else "trained")
    assert _top1(predictions, separable) >= 0.95
    assert _top1(predictions, separable, ["banana", "cherry", "apple"]) <= 0.05  # the fault: classes in another order


def test_every_test_picture_has_an_answer_and_a_truncated_batch_is_seen(trainer, separable, monkeypatch):
    assert len(trainer("sgd").predict("all", 0, NOTHING).ranked) == 30

    def truncated(rows, size):
        return (rows[first : first + 7] for first in range(0, len(rows) - 6, 7))

    monkeypatch.setattr(features, "_batches", truncated)
    with pytest.raises(
        TypeCheckError, match=r"twofold\.evaluation\.features\."
    ):  # its shapes say that each row has an answer
        trainer("sgd").predict("all", 0, NOTHING)


@pytest.mark.parametrize("protocol", ["finetune", "sgd", "supervised"])
def test_fine_tuning_starts_from_the_trained_weights_and_supervised_from_fresh_ones(protocol, trainer, fitted):
    trainer(protocol).predict("all", 1, NOTHING)
    for call in fitted:  # those that choose the rate too, which are of seed 0
        encoder = Tiny(call["seed"] if protocol == "supervised" else 100)
        start = {name: call["start"][f"encoder.{name}"] for name in state(encoder)}
        assert same(start, state(encoder))
    assert fitted[-1]["seed"] == 1


def test_only_sgd_leaves_the_encoder_as_it_was(trainer, fitted):
    for protocol in ("finetune", "supervised", "sgd"):
        one = trainer(protocol)
        before = state(one.subject.encoder)
        one.predict("all", 0, NOTHING)
        net, start = fitted[-1]["network"], fitted[-1]["start"]
        kept = all(torch.equal(start[f"encoder.{name}"], tensor) for name, tensor in state(net.encoder).items())
        assert kept == (protocol == "sgd")
        assert same(state(one.subject.encoder), before)


def test_an_encoder_that_sgd_left_in_train_mode_is_caught(trainer, monkeypatch):
    monkeypatch.setattr(fine_tuning.Network, "train", nn.Module.train)  # the fault
    with pytest.raises(RuntimeError, match=r"norm\.\w+' changed"):
        trainer("sgd").predict("all", 0, NOTHING)


@pytest.mark.parametrize("labels", ["all", 0.5, 5])
def test_the_rate_is_chosen_on_the_labels_of_seed_0_and_the_network_trained_on_its_own(trainer, fitted, asked, labels):
    one = trainer("finetune")
    labelled = one.rows
    predictions = one.predict(labels, 3, NOTHING)
    first = set(labelled.train[given_places(labelled.train_ids, labels, 0)].tolist())
    own = labelled.train[given_places(labelled.train_ids, labels, 3)]
    *choosing, last = fitted
    *cuts, test = asked()
    assert len(choosing) == len(cuts) == 3
    assert [call["seed"] for call in choosing] == [0, 0, 0]
    for call, cut in zip(choosing, cuts, strict=True):
        kept = set(call["rows"].tolist())
        assert not kept & set(cut.tolist())
        assert kept | set(cut.tolist()) == first
    np.testing.assert_array_equal(last["rows"], own)
    np.testing.assert_array_equal(test, labelled.test)
    assert predictions.base_lr in TRAINING_SETTINGS["finetune"].rates
    assert last["schedule"].optim.base_lr * 16 == pytest.approx(predictions.base_lr)


def test_the_classes_handed_over_are_those_of_the_pictures(trainer, fitted, separable):
    one = trainer("finetune")
    one.predict(5, 1, NOTHING)
    for call in fitted:
        names = [one.rows.classes[target] for target in call["targets"]]
        assert names == [separable.labels[row] for row in call["rows"]]


@pytest.fixture
def marked(separable, make_images):
    """A bright corner marks the images of test."""
    pictures = separable.read(np.arange(90)).images.numpy().copy()
    pictures[:, 0, 0, 0] = 0
    pictures[separable.rows("test"), 0, 0, 0] = 250
    return make_images(pictures, separable.labels, separable.splits)


def _handed_over(images, *row_lists):
    """How many test images are among them, by their mark."""
    return sum(int((images.read(rows).images[:, 0, 0, 0] > 0).sum()) for rows in row_lists)


def test_no_test_picture_is_trained_or_chosen_on(trainer, marked, fitted, asked):
    for protocol in ("finetune", "supervised", "sgd"):
        for labels in ("all", 5):
            trainer(protocol, marked).predict(labels, 1, NOTHING)
            *cuts, test = asked()
            assert _handed_over(marked, test) == 30
            assert _handed_over(marked, *(call["rows"] for call in fitted), *[c for c in cuts if len(c) < 30]) == 0
    counts = [len(rows) for rows in asked()]
    assert counts == [12, 12, 12, 30, 3, 3, 3, 30] * 2 + [30, 30]


def test_choosing_the_rate_on_test_would_be_seen(trainer, marked, asked, monkeypatch):
    def faulty(self, labels):
        truth = read_truth(self.images, self.rows)
        own = given_places(self.rows.train_ids, labels, 0)
        return fine_tuning.choose_rate(
            self.settings, lambda rate: self._logits(own, self.rows.test, Training(base_lr=rate), 0), truth
        )

    monkeypatch.setattr(NetworkProtocol, "_choose_rate", faulty)
    trainer("finetune", marked).predict(5, 1, NOTHING)
    *cuts, _ = asked()
    assert _handed_over(marked, *cuts) == 3 * 30


def test_the_choice_does_not_look_at_test(trainer, separable, make_images):
    pictures = separable.read(np.arange(90)).images.numpy().copy()
    test = separable.rows("test")
    pictures[test] = np.random.default_rng(1).integers(0, 256, pictures[test].shape)
    other = make_images(pictures, separable.labels, separable.splits)
    chosen = []
    for images in (separable, other):
        one = trainer("finetune", images)
        real, seen = fine_tuning.choose_rate, []

        def watched(settings, logits_of, ids, real=real, seen=seen):
            seen += [logits_of(rate) for rate in settings.rates]
            return real(settings, logits_of, ids)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fine_tuning, "choose_rate", watched)
            chosen.append((one.training(5, NOTHING), np.stack(seen).tobytes()))
    assert chosen[0] == chosen[1]


def test_the_rate_is_chosen_once_for_all_seeds(trainer, fitted, tmp_path):
    one, store = trainer("supervised"), PredictionStore(tmp_path, {})
    rates = {one.predict(5, seed, store).base_lr for seed in (2, 0, 1)}
    assert len(rates) == 1
    assert len(fitted) == 3 + 3
    assert trainer("supervised").training(5, PredictionStore(tmp_path, {})).base_lr in rates
    assert len(fitted) == 6


def test_with_too_few_labels_and_for_sgd_the_papers_rate_is_taken(trainer, fitted):
    assert trainer("finetune").predict(4, 0, NOTHING).base_lr == 0.05
    assert trainer("supervised").predict(1, 0, NOTHING).base_lr == 0.1
    assert trainer("sgd").predict("all", 0, NOTHING).base_lr == 0.1
    assert len(fitted) == 3


def test_a_rate_that_diverges_is_left_out_also_where_only_the_weights_show_it(trainer, monkeypatch):
    real = fine_tuning.fit_network

    def exploding(net, images, rows, targets, *, schedule, **options):
        rate = round(16 * schedule.optim.base_lr, 6)
        if rate == 0.2:
            raise DivergedError("too high")
        real(net, images, rows, targets, schedule=schedule, **options)
        if rate == 0.05:  # the last step, after whose loss there is no other
            nn.init.constant_(net.classifier.weight, float("inf"))

    monkeypatch.setattr(fine_tuning, "fit_network", exploding)
    assert trainer("finetune").predict(5, 0, NOTHING).base_lr == 0.0125


def test_the_same_seed_gives_the_same_attempt_and_another_seed_another(trainer):
    first, again, other = (trainer("finetune").predict(5, seed, NOTHING) for seed in (1, 1, 2))
    assert first.confidence.tobytes() == again.confidence.tobytes()
    assert first.ranked.tobytes() == again.ranked.tobytes()
    assert first.confidence.tobytes() != other.confidence.tobytes()


@pytest.mark.parametrize(("layer", "blocks", "dim"), [("head-1", 1, Tiny.dim), ("head-2", 2, Tiny.dim), ("z", 3, 5)])
def test_fine_tuning_from_a_layer_uses_it_and_trains_it(trainer, separable, fitted, layer, blocks, dim):
    one = trainer("finetune", start=layer)
    before = state(one.subject.head)
    net = one.network(0)
    assert net.classifier.in_features == dim
    x = torch.rand(4, 1, 8, 8)
    with torch.inference_mode():
        h = one.subject.encoder(x)
        for block in list(one.subject.head)[:blocks]:
            h = block(h)
        expected = h @ net.classifier.weight.T + net.classifier.bias
        torch.testing.assert_close(net.eval()(x), expected)
    one.predict(5, 0, NOTHING)
    net, start = fitted[-1]["network"], fitted[-1]["start"]
    inner = [name for name, _ in net.inner.named_parameters() if _.requires_grad]
    assert len({name.split(".")[0] for name in inner}) == blocks
    after = state(net)
    assert not any(torch.equal(after[f"inner.{name}"], start[f"inner.{name}"]) for name in inner)
    assert same(state(one.subject.head), before)


def test_the_layer_counts_for_fine_tuning_alone(trainer):
    for protocol in ("supervised", "sgd"):
        net = trainer(protocol, start="head-1").network(0)
        assert isinstance(net.inner, nn.Identity)
        assert net.classifier.in_features == Tiny.dim


@pytest.mark.parametrize("layer", ["head-3", "head-0", "y", ""])
def test_a_layer_that_is_not_there_is_refused_with_the_choices(trainer, layer):
    with pytest.raises(TwofoldError, match=f"layer of the head '{layer}'.* Choose one of: h, head-1, head-2, z"):
        trainer("finetune", start=layer).network(0)


@pytest.mark.parametrize("head", [None, nn.Sequential()])
def test_without_a_head_there_is_h_alone(head):
    with pytest.raises(TwofoldError, match=r"Choose one of: h\."):
        head_part(head, "z")
