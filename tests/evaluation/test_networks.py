"""Networks on labels: they learn, what is handed in and what is frozen stays as it is, and a plain loop agrees."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import nn

from networks import DIM, VIEWS, Tiny, recording, same, schedule, state
from twofold.data import rows_of_step
from twofold.errors import DivergedError, TwofoldError
from twofold.evaluation import features, networks
from twofold.evaluation.features import embed_images, frozen
from twofold.evaluation.logistic_regression import LinearProbe
from twofold.evaluation.networks import build_network, fit_network, layers
from twofold.models.resnet import ResNet
from twofold.recipes.recipe import Op
from twofold.views import one_view, sample_rows

NAMES = ("apple", "banana", "cherry")


def _targets(images, rows):
    return np.array([NAMES.index(images.labels[row]) for row in rows])


@pytest.fixture
def build(machine):
    def make(encoder, seed=0, **options):
        return build_network(encoder, **{"dim": DIM, "classes": 3, "hardware": machine, "seed": seed, **options})

    return make


@pytest.fixture
def fit(machine):
    def run(net, images, seed=0, views=VIEWS, rows=None, **how):
        rows = images.rows("train") if rows is None else rows
        one = schedule(**how)
        fit_network(net, images, rows, _targets(images, rows), views=views, hardware=machine, schedule=one, seed=seed)
        return net

    return run


@pytest.fixture
def predict(machine):
    def run(net, images, split="test", batch_size=512):
        rows = images.rows(split)
        return embed_images(net, images, rows, views=VIEWS, hardware=machine, batch_size=batch_size)

    return run


def test_separable_pictures_are_learnt(separable, build, fit, predict):
    net = fit(build(Tiny()), separable)
    right = predict(net, separable).argmax(1) == _targets(separable, separable.rows("test"))
    assert right.mean() >= 0.95


def test_a_plain_loop_ends_in_the_same_weights(separable, build, fit):
    """Nesterov's step, the cosine, the order of the images, decay on the weights alone."""
    rows, steps, rate, decay = separable.rows("train"), 6, 0.1, 0.01
    ours = fit(build(Tiny()), separable, seed=3, steps=steps, base_lr=rate, weight_decay=decay)
    plain = build(Tiny()).train()
    speed = {name: torch.zeros_like(parameter) for name, parameter in plain.named_parameters()}
    for step in range(steps):
        chosen = rows_of_step(rows, 20, 3, step)
        batch = separable.read(chosen)
        ops = (Op(name="crop", range=(1.0, 1.0)), Op(name="flip", prob=0.5))
        draws = sample_rows(ops, 20, seed=3, step=step)
        x = one_view(batch.images, batch.sizes, draws, size_px=8, interpolation="bicubic")
        loss = -plain(x).log_softmax(1)[torch.arange(20), torch.from_numpy(_targets(separable, chosen))].mean()
        plain.zero_grad()
        loss.backward()
        now = rate * (1 + math.cos(math.pi * step / steps)) / 2
        with torch.no_grad():
            for name, parameter in plain.named_parameters():
                decays = not (name.endswith("bias") or ".norm." in name)
                gradient = parameter.grad + decay * decays * parameter
                speed[name] = 0.9 * speed[name] + gradient
                parameter -= now * (gradient + 0.9 * speed[name])
    expected = state(plain)
    for name, tensor in state(ours).items():
        torch.testing.assert_close(
            tensor, expected[name], atol=1e-5, rtol=1e-5, msg=lambda text, name=name: name + text
        )


def test_what_is_handed_in_never_changes_and_its_copy_does(separable, build, fit):
    inner = nn.Sequential(nn.Linear(DIM, 6, bias=False), nn.BatchNorm1d(6))  # a norm takes what a bias would learn
    encoder = Tiny().train()
    before = state(encoder), state(inner)
    net = fit(build(encoder, inner=inner, dim=6), separable, steps=3)
    assert same(before[0], state(encoder))
    assert same(before[1], state(inner))
    assert all(parameter.requires_grad for parameter in encoder.parameters())
    assert encoder.training
    for old, part in zip(before, (net.encoder, net.inner), strict=True):
        after = state(part)
        assert not any(torch.equal(old[name], after[name]) for name in old)  # weights, norms, counters: all of them


def test_a_frozen_encoder_keeps_every_bit_its_batch_norm_too(separable, build, fit):
    encoder = Tiny()
    inner = nn.Sequential(nn.Linear(DIM, 6), nn.BatchNorm1d(6))
    net = build(encoder, inner=inner, dim=6, frozen=True)
    start = state(net.classifier)
    fit(net, separable, steps=3)
    assert same(state(net.encoder), state(encoder))
    assert same(state(net.inner), state(inner))
    assert not same(state(net.classifier), start)
    assert all(parameter.grad is None for part in (net.encoder, net.inner) for parameter in part.parameters())
    assert all(parameter.requires_grad for parameter in encoder.parameters())  # of the copy alone


@pytest.mark.parametrize("is_frozen", [True, False])
def test_training_mode_spares_what_is_frozen(build, is_frozen):
    net = build(Tiny(), frozen=is_frozen).train()
    assert (net.training, net.classifier.training) == (True, True)
    assert net.encoder.norm.training == net.inner.training == (not is_frozen)
    assert not any(module.training for module in net.eval().modules())


def test_an_encoder_left_in_train_mode_is_caught(separable, build, fit, monkeypatch):
    monkeypatch.setattr(networks.Network, "train", nn.Module.train)  # the fault
    net = build(Tiny(), frozen=True)
    with pytest.raises(RuntimeError, match=r"norm\.\w+' changed"), frozen(net.encoder):
        fit(net, separable, steps=1)


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(separable, build, fit):
    nets = []
    for seed, noise in ((0, 1), (0, 2), (1, 1)):
        torch.manual_seed(noise)  # of the program around it: without any influence
        dropout = nn.Sequential(Tiny(), nn.Dropout(0.5))
        nets.append(state(fit(build(dropout, seed=seed), separable, seed=seed, steps=4)))
    assert same(nets[0], nets[1])
    assert not same(nets[0], nets[2])


def test_the_order_and_the_views_follow_the_seed_alone(separable, build, fit):
    first, second = (state(fit(build(Tiny(), seed=0), separable, seed=seed, steps=2)) for seed in (0, 1))
    assert not same(first, second)


def test_training_leaves_the_randomness_around_it_alone(separable, build, fit):
    net = build(Tiny())
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fit(net, separable, steps=2)
    assert torch.equal(torch.rand(3), expected)


def test_a_classifier_starts_small_and_by_its_seed(build):
    first, again, other = (build(Tiny(), seed=seed, classes=40).classifier for seed in (0, 0, 1))
    assert same(state(first), state(again))
    assert not same(state(first), state(other))
    assert first.weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert first.bias.abs().max() == 0


def test_a_huge_rate_is_an_error_that_names_it(separable, build, fit):
    with pytest.raises(DivergedError, match=r"not finite at the learning rate \S+; .*Lower") as caught:
        fit(build(Tiny()), separable, base_lr=1e30)
    assert isinstance(caught.value, TwofoldError)


def test_views_are_by_crop_and_flip_alone(separable, build, fit, monkeypatch):
    seen = []
    monkeypatch.setattr(networks, "sample_rows", recording(networks.sample_rows, seen))
    distorted = (Op(name="jitter", prob=0.8, range=(0.8, 0.8, 0.8, 0.2)), Op(name="blur", prob=0.5, range=(0.1, 2.0)))
    views = dataclasses.replace(VIEWS, crop_area=(0.3, 0.9), flip_prob=0.25)
    for given in (views, dataclasses.replace(views, ops=distorted)):
        fit(build(Tiny()), separable, views=given, steps=2)
    assert len(seen) == 4
    for (policy, count), options in seen:
        assert [(op.name, op.prob, op.range) for op in policy] == [("crop", 1.0, (0.3, 0.9)), ("flip", 0.25, ())]
        assert count == 20
        assert options["step"] in (0, 1)


@pytest.mark.parametrize("batch_size", [20, 15], ids=["even", "odd"])
@pytest.mark.parametrize("is_frozen", [False, True], ids=["finetune", "sgd"])
@pytest.mark.parametrize("branch", [None, "shared", "b"])
def test_views_do_not_follow_a_recipe_for_pairs(separable, build, fit, batch_size, is_frozen, branch):
    views = dataclasses.replace(VIEWS, crop_area=(0.3, 0.9))
    of_pairs = dataclasses.replace(views, one_branch=True)
    if branch:
        of_pairs = dataclasses.replace(views, ops=(Op(name="rotate", range=(1.0, 3.0), branch=branch),))
    plain, other = (
        state(fit(build(Tiny(), frozen=is_frozen), separable, views=given, steps=3, batch_size=batch_size))
        for given in (views, of_pairs)
    )
    assert same(plain, other)


def test_no_op_at_all_is_not_crop_and_flip(separable, build, machine, monkeypatch):
    seen = []
    monkeypatch.setattr(networks, "sample_rows", recording(networks.sample_rows, seen))
    rows = separable.rows("train")
    targets, one = _targets(separable, rows), schedule(steps=1)
    net = build(Tiny())
    fit_network(net, separable, rows, targets, views=VIEWS, hardware=machine, schedule=one, seed=0, ops=())
    assert seen[0][0][0] == ()


def test_each_step_is_said_and_shows_each_labelled_picture_as_often(separable, build, machine):
    rows, steps, seen = separable.rows("train"), [], []
    watched = dataclasses.replace(separable)
    real = separable.read
    object.__setattr__(watched, "read", lambda rows: (seen.extend(rows.tolist()), real(rows))[1])
    fit_network(
        build(Tiny()),
        watched,
        rows,
        _targets(separable, rows),
        views=VIEWS,
        hardware=machine,
        schedule=schedule(steps=6),
        seed=0,
        each_step=steps.append,
    )
    assert steps == [1, 2, 3, 4, 5, 6]
    assert sorted(seen) == sorted(2 * rows.tolist())  # 6 steps of 20 are two epochs of 60


def _counted_in_full(net, images, predict):
    """Whether every test image has an answer, its own."""
    found = predict(net, images, batch_size=7)  # 30 images: the last batch holds 2
    batch = images.read(images.rows("test"))
    with torch.inference_mode():
        expected = net(batch.images.float() / 255).numpy()
    return found.shape == expected.shape and np.allclose(found, expected, atol=1e-5)


def test_the_last_partial_batch_is_counted(separable, build, fit, predict):
    assert _counted_in_full(fit(build(Tiny()), separable, steps=2), separable, predict)


def test_a_truncated_last_batch_would_be_seen(separable, build, fit, predict, monkeypatch):
    def truncated(rows, size):  # the fault: two images are answered by those of the batch before
        whole = len(rows) // size * size
        yield from (rows[first : first + size] for first in range(0, whole, size))
        yield rows[whole - len(rows) % size : whole]

    net = fit(build(Tiny()), separable, steps=2)
    monkeypatch.setattr(features, "_batches", truncated)
    assert not _counted_in_full(net, separable, predict)


def test_shuffled_labels_are_chance(plenty, build, fit, predict):
    labels = np.random.default_rng(5).permutation(np.array(plenty.labels)).tolist()
    images = dataclasses.replace(plenty, labels=labels)
    net = fit(build(Tiny()), images, batch_size=64, steps=40)
    share = (predict(net, images).argmax(1) == _targets(images, images.rows("test"))).mean()
    assert abs(share - 1 / 3) < 0.11  # five deviations of 450 flips


def test_views_have_the_side_that_is_evaluated(separable, build, fit):
    net, sides = build(Tiny(), dim=4 * 10**2), set()
    net.register_forward_pre_hook(lambda _, inputs: sides.add(inputs[0].shape[-1]))
    fit(net, separable, views=dataclasses.replace(VIEWS, size_px=8, eval_size_px=10))
    assert sides == {10}


def test_a_network_starts_with_the_answers_of_a_probe(separable, build, predict):
    probe = LinearProbe(*(np.random.default_rng(0).normal(size=size).astype(np.float32) for size in ((DIM, 3), 3)))
    encoder = Tiny().eval()
    h = predict(encoder, separable)
    np.testing.assert_allclose(predict(build(encoder, start=probe), separable), probe.logits(h), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("statistics", ["batch", "pretrained"])
def test_batch_statistics_as_pretrained_stay_and_their_scale_is_learnt(separable, build, machine, statistics):
    net = build(Tiny())
    net.encoder.norm.running_mean += 0.1
    before, modes = state(net), set()
    net.encoder.norm.register_forward_pre_hook(lambda norm, _: modes.add(norm.training))
    rows = separable.rows("train")
    one = dataclasses.replace(schedule(steps=3), statistics=statistics)
    fit_network(net, separable, rows, _targets(separable, rows), views=VIEWS, hardware=machine, schedule=one, seed=0)
    after, held = state(net), statistics == "pretrained"
    assert modes == {not held}
    for name in ("running_mean", "running_var"):
        assert torch.equal(before[f"encoder.norm.{name}"], after[f"encoder.norm.{name}"]) == held
    assert not torch.equal(before["encoder.norm.weight"], after["encoder.norm.weight"])


def test_looking_at_a_network_between_steps_changes_nothing(separable, build, predict, machine):
    rows = separable.rows("train")
    for statistics in ("batch", "pretrained"):
        one, found = dataclasses.replace(schedule(steps=3), statistics=statistics), []
        for looks in (False, True):
            net = build(Tiny())

            def look(step, net=net, looks=looks):
                if looks:
                    predict(net, separable)

            fit_network(
                net,
                separable,
                rows,
                _targets(separable, rows),
                views=VIEWS,
                hardware=machine,
                schedule=one,
                seed=0,
                each_step=look,
            )
            found.append(state(net))
        assert same(*found)


def test_training_stops_within_the_cosine_of_all_steps(separable, build, machine):
    rows, found = separable.rows("train"), []
    for stop in (None, 2):
        net, states = build(Tiny()), []
        fit_network(
            net,
            separable,
            rows,
            _targets(separable, rows),
            views=VIEWS,
            hardware=machine,
            schedule=dataclasses.replace(schedule(steps=4), stop=stop),
            seed=0,
            each_step=lambda step, net=net, states=states: states.append(state(net)),
        )
        found.append(states)
    assert [len(states) for states in found] == [4, 2]
    assert same(found[0][1], found[1][1])


def test_lower_layers_learn_slower(separable, build, machine):
    """One step from the same gradient: each layer moves by its share of what it would without decay."""
    rows, moved, encoder = separable.rows("train"), {}, nn.Sequential(Tiny(), nn.Linear(DIM, 5))
    for decay in (1.0, 0.25):
        net = build(encoder, dim=5)
        before = state(net)
        one = dataclasses.replace(schedule(steps=1), layer_decay=decay)
        fit_network(
            net, separable, rows, _targets(separable, rows), views=VIEWS, hardware=machine, schedule=one, seed=0
        )
        moved[decay] = {name: value - before[name] for name, value in state(net).items() if value.is_floating_point()}
    shares = {"encoder.0.conv.weight": 1 / 16, "encoder.1.weight": 1 / 4, "classifier.bias": 1.0}
    for name, share in shares.items():
        torch.testing.assert_close(moved[0.25][name], share * moved[1.0][name], rtol=1e-2, atol=1e-6)


def test_layers_are_the_parts_with_parameters_and_those_of_a_lonely_part(build, machine):
    two = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))
    assert layers(two) == [two[0], two[2]]
    assert layers(nn.Sequential(nn.Sequential(two), nn.ReLU())) == [two[0], two[2]]
    net = build(Tiny())
    assert layers(net) == [net.encoder.conv, net.encoder.norm, net.classifier]
    resnet = build_network(ResNet(depth=10, width=0.25), dim=128, classes=2, hardware=machine, seed=0)
    names = {module: name for name, module in resnet.named_modules()}
    expected = ["conv1", "bn1", "layer1", "layer2", "layer3", "layer4"]
    assert [names[part] for part in layers(resnet)] == [*(f"encoder.{name}" for name in expected), "classifier"]
