"""Self-training: what a step minimises, what the teacher is, and what it never sees."""

import numpy as np
import pytest
import torch
from torch import nn

from networks import VIEWS, Tiny, same, state
from twofold.errors import DivergedError
from twofold.evaluation import self_training
from twofold.evaluation.class_shares import Alignment
from twofold.evaluation.labels import measured_rows
from twofold.evaluation.networks import Network, build_network
from twofold.evaluation.self_training import (
    SelfTraining,
    _Views,
    fit_by_self_training,
    follow,
    loss_of_step,
    sure_answers,
)
from twofold.hardware.device import resolve_hardware
from twofold.recipes.recipe import HardwareRecipe, ViewsRecipe
from twofold.views.ops import crop

HOW = SelfTraining(rate=0.05, threshold=0.35)  # fresh weights are sure of no more


@pytest.fixture
def train(separable, machine):
    """Train a network on five labels a class and all train images; the student and its teacher."""
    rows = measured_rows(separable)
    own = np.concatenate([np.flatnonzero(rows.train_ids == k)[:5] for k in range(3)])

    def run(images=separable, *, how=HOW, steps=2, seed=0, shares=None, unlabelled=rows.train, targets=None):
        network = build_network(Tiny(100), dim=Tiny.dim, classes=3, hardware=machine, seed=0)
        teacher = fit_by_self_training(
            network,
            images,
            rows.train[own],
            rows.train_ids[own] if targets is None else targets,
            unlabelled,
            shares=shares,
            views=VIEWS,
            hardware=machine,
            how=how,
            steps=steps,
            seed=seed,
        )
        return network, teacher

    return run


def test_it_is_a_function_of_the_seed(train):
    first, again, other = (state(train(seed=seed)[1]) for seed in (1, 1, 2))
    assert same(first, again)
    assert not same(first, other)


def test_a_step_minimises_the_two_cross_entropies():
    """By the definition, image by image."""
    draw = torch.Generator().manual_seed(0)
    labelled, easy, hard = (torch.rand(n, 1, 8, 8, generator=draw) for n in (6, 20, 20))
    wanted = torch.arange(6) % 3
    student, teacher = _network(), _network().eval()
    threshold = teacher(easy).softmax(1).max(1).values.median().item()
    sure, answers = sure_answers(teacher, easy, align=Alignment(None), threshold=threshold)
    loss = loss_of_step(student, labelled=labelled, wanted=wanted, hard=hard[sure], answers=answers, unlabelled=20)
    p = torch.cat([teacher(easy[i : i + 1]).softmax(1) for i in range(20)])
    expected_sure = [i for i in range(20) if p[i].max() >= threshold - 1e-6]
    assert 0 < len(expected_sure) < 20  # else the threshold would not be tried
    assert sure.tolist() == expected_sure
    logits = _network()(torch.cat([labelled, hard[expected_sure]])).log_softmax(1)
    expected = -sum(logits[i, wanted[i]] for i in range(6)) / 6
    for place, i in enumerate(expected_sure):
        expected = expected - logits[6 + place, p[i].argmax()] / 20
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    loss.backward()
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_a_step_without_a_sure_answer_is_one_on_the_labelled_images():
    draw = torch.Generator().manual_seed(0)
    labelled, easy = (torch.rand(n, 1, 8, 8, generator=draw) for n in (6, 20))
    wanted = torch.arange(6) % 3
    sure, answers = sure_answers(_network().eval(), easy, align=Alignment(None), threshold=1.01)
    loss = loss_of_step(_network(), labelled=labelled, wanted=wanted, hard=easy[sure], answers=answers, unlabelled=20)
    expected = nn.functional.cross_entropy(_network()(labelled), wanted)
    assert len(sure) == 0
    torch.testing.assert_close(loss, expected)


def test_the_student_sees_hard_views_of_the_sure_images_with_their_answers(train, monkeypatch, separable):
    """In a fit: the views of just these images, each with its own answer, divided by all unlabelled images."""
    asked, shown, answered = [], [], []
    make = _Views.__call__

    def views(self, kind, batch, step, places=None):
        if kind == "hard":
            asked.append(make(self, kind, batch, step)[places])
        return make(self, kind, batch, step, places)

    def answering(teacher, easy, **parts):
        answered.append(sure_answers(teacher, easy, **parts))
        return answered[-1]

    def watched(student, *, hard, answers, unlabelled, **parts):
        shown.append((hard.clone(), answers, unlabelled))
        return loss_of_step(student, hard=hard, answers=answers, unlabelled=unlabelled, **parts)

    monkeypatch.setattr(_Views, "__call__", views)
    monkeypatch.setattr(self_training, "sure_answers", answering)
    monkeypatch.setattr(self_training, "loss_of_step", watched)
    train(steps=3, how=SelfTraining(rate=0.05, threshold=0.345))
    size = len(measured_rows(separable).train)
    assert 0 < len(answered[0][0]) < size  # else nothing would be left out
    for expected, (hard, answers, unlabelled), (sure, own) in zip(asked, shown, answered, strict=True):
        torch.testing.assert_close(hard, expected)
        assert torch.equal(answers, own)
        assert len(hard) == len(answers) == len(sure)
        assert unlabelled == size


def test_a_step_without_a_sure_answer_works_on_a_device_too(machine, separable, monkeypatch):
    """Where all images take the same way, which is not made for none."""
    monkeypatch.setattr(crop, "on_device", lambda _: True)
    make = _Views(ViewsRecipe(size_px=8, policy="small"), machine, seed=3)
    batch = separable.read(np.arange(20))
    assert make("hard", batch, 0, torch.arange(0)).shape == (0, 1, 8, 8)
    assert make("hard", batch, 0, torch.arange(3)).shape == (3, 1, 8, 8)


def test_a_teacher_in_training_mode_is_caught(train, monkeypatch):
    """Its answer for an image does not depend on the other images of the batch, and answering leaves it as it was."""
    seen = []

    def watched(teacher, easy, **parts):
        before, whole = state(teacher), teacher(easy).detach()
        alone = torch.cat([teacher(one[None]).detach() for one in easy])
        seen.append(torch.allclose(whole, alone, atol=1e-5) and same(before, state(teacher)))
        return sure_answers(teacher, easy, **parts)

    monkeypatch.setattr(self_training, "sure_answers", watched)
    train(steps=3)
    assert seen == [True, True, True]
    monkeypatch.setattr(Network, "eval", nn.Module.train)  # the fault
    train(steps=3)
    assert seen[3:] == [False, False, False]


def test_the_teacher_is_the_mean_of_the_students():
    teacher, students = _network(), [_network(seed) for seed in (1, 2, 3)]
    expected = state(teacher)
    for student in students:
        student.encoder.norm.num_batches_tracked += 5
        follow(teacher, student, 0.25)
        expected = {name: 0.75 * own + 0.25 * student.state_dict()[name] for name, own in expected.items()}
    after = state(teacher)
    assert after.pop("encoder.norm.num_batches_tracked") == 5
    for name, tensor in after.items():
        torch.testing.assert_close(tensor, expected[name])


def test_pixels_of_test_change_nothing_and_test_images_among_the_unlabelled_are_caught(train, separable, make_images):
    pixels = separable.read(np.arange(90)).images.numpy().copy()
    test = separable.rows("test")
    pixels[test] = 255 - pixels[test]
    other = make_images(pixels, separable.labels, separable.splits)
    assert same(state(train()[1]), state(train(other)[1]))
    everything = np.arange(90)  # the fault
    assert not same(state(train(unlabelled=everything)[1]), state(train(other, unlabelled=everything)[1]))


def test_a_rate_at_which_it_diverges_is_one_error(train):
    with pytest.raises(DivergedError, match="a loss that is not finite at the learning rate 1e\\+20"):
        train(how=SelfTraining(rate=1e20, threshold=0.5), steps=4)


def test_every_kind_of_view_is_drawn_for_itself_and_easy_ones_are_large(machine, separable):
    make = _Views(ViewsRecipe(size_px=8, policy="small", crop_area=(0.08, 1.0)), machine, seed=3)
    batch = separable.read(np.arange(20))
    views = {kind: make(kind, batch, 0) for kind in ("labelled", "easy", "hard")}
    assert all(one.shape == (20, 1, 8, 8) for one in views.values())
    assert not torch.equal(views["labelled"], views["easy"])
    places = torch.tensor([3, 4, 11])
    torch.testing.assert_close(make("hard", batch, 0, places), views["hard"][places])
    assert make("hard", batch, 0, places[:0]).shape == (0, 1, 8, 8)
    crops = {kind: policy[0].range for kind, policy in make._policies.items()}
    assert crops == {"labelled": (0.08, 1.0), "easy": (0.6, 1.0), "hard": (0.08, 1.0)}
    assert [op.name for op in make._policies["hard"]][:3] == ["crop", "flip", "jitter"]


def _network(seed=100):
    """Of a seed, in training mode."""
    network = build_network(
        Tiny(seed), dim=Tiny.dim, classes=3, hardware=resolve_hardware(HardwareRecipe(device="cpu")), seed=seed
    )
    network.classifier.weight.data.mul_(30)
    return network.train()
