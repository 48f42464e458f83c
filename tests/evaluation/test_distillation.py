"""Distillation: what a step minimises, what is learnt, and what stays as it was."""

import numpy as np
import pytest
import torch
from torch import nn

from networks import VIEWS, TinyRows, same, state
from twofold.evaluation.distillation import fit_by_distillation, soft_cross_entropy
from twofold.evaluation.features import embed_images
from twofold.evaluation.networks import Network, build_network


@pytest.fixture
def distilled(separable, machine):
    """A teacher that tells bright rows apart, and students of it."""
    teacher = build_network(TinyRows(100), dim=TinyRows.dim, classes=3, hardware=machine, seed=0)
    rows = separable.rows("train")
    h = torch.from_numpy(embed_images(teacher.encoder, separable, rows, views=VIEWS, hardware=machine))
    centres = torch.stack([h[separable.class_ids[rows] == k].mean(0) for k in range(3)])
    scale = 40 / (centres - centres.mean(0)).square().sum(1).mean()
    with torch.no_grad():
        teacher.classifier.weight.copy_(scale * (centres - centres.mean(0)))
        teacher.classifier.bias.copy_(-teacher.classifier.weight @ centres.mean(0))

    def run(steps, seed=0, teacher=teacher):
        student = build_network(TinyRows(5), dim=TinyRows.dim, classes=3, hardware=machine, seed=1)
        fit_by_distillation(
            student,
            teacher,
            separable,
            rows,
            views=VIEWS,
            hardware=machine,
            steps=steps,
            temperature=1.0,
            seed=seed,
        )
        return student, teacher

    return run


def test_a_student_learns_to_answer_as_its_teacher_and_the_teacher_stays(distilled, separable, machine):
    before = state(distilled(1)[1])
    student, teacher = distilled(10)
    assert same(state(teacher), before)
    fresh = build_network(TinyRows(5), dim=TinyRows.dim, classes=3, hardware=machine, seed=1)
    test = separable.rows("test")
    answers = [
        embed_images(one, separable, test, views=VIEWS, hardware=machine).argmax(1) for one in (teacher, student, fresh)
    ]
    assert (answers[0] == answers[1]).mean() > 0.9
    assert (answers[0] == answers[2]).mean() < 0.9


def test_it_is_a_function_of_the_seed(distilled):
    first, again, other = (state(distilled(3, seed=seed)[0]) for seed in (1, 1, 2))
    assert same(first, again)
    assert not same(first, other)


def test_the_teacher_answers_in_evaluation_mode(distilled, monkeypatch):
    teacher = distilled(1)[1]
    before = state(teacher)
    distilled(2, teacher=teacher.train())
    assert same(state(teacher), before)
    monkeypatch.setattr(Network, "eval", nn.Module.train)  # the fault
    distilled(2, teacher=teacher)
    assert not same(state(teacher), before)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_the_loss_is_the_cross_entropy_of_softened_probabilities(temperature):
    draw = np.random.default_rng(0)
    logits, wanted = draw.normal(size=(2, 5, 3))
    expected = 0.0
    for one, other in zip(logits, wanted, strict=True):
        p, q = (np.exp(x / temperature) / np.exp(x / temperature).sum() for x in (other, one))
        expected -= (p * np.log(q)).sum() / 5
    loss = soft_cross_entropy(torch.from_numpy(logits), torch.from_numpy(wanted), temperature)
    assert loss.item() == pytest.approx(expected)
