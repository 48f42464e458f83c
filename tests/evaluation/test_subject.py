"""Features: h, what each layer of the head makes of it, and pixels; the head is frozen too."""

import numpy as np
import pytest
import torch

from networks import VIEWS, Tiny, same, state
from twofold.errors import TwofoldError
from twofold.evaluation.labelled import find_labelled
from twofold.evaluation.subject import Shelf, Subject, head_layers
from twofold.models.heads import build_head
from twofold.recipes.recipe import HeadRecipe

HEAD = HeadRecipe(head_layers=2, z_dim=5)


@pytest.fixture
def shelf(separable, machine):
    def make(head):
        subject = Subject(encoder=Tiny().eval(), untrained=Tiny, views=VIEWS, hardware=machine, head=head)
        return Shelf(subject, separable, find_labelled(separable))

    return make


def _head():
    torch.manual_seed(0)
    head = build_head(HEAD, dim=Tiny.dim)
    head(torch.randn(50, Tiny.dim))  # batch norms that have seen something
    return head


@pytest.mark.parametrize("training", [False, True])
def test_layers_of_the_head_follow_h_in_evaluation_mode_whatever_mode_it_is_in(shelf, training):
    head = _head().train(training)
    before = state(head)
    features = shelf(head)
    found = {name: features.get(name) for name in ("trained", "head-1", "z")}
    assert same(state(head), before)
    assert all(module.training == training for module in head.modules())
    head.eval()
    for split in ("train", "test"):
        h = torch.from_numpy(getattr(found["trained"], split))
        with torch.inference_mode():
            first = head[0](h.clone())
            expected = {"head-1": first.clone(), "z": head[1](first)}
        for name, values in expected.items():
            np.testing.assert_allclose(getattr(found[name], split), values.numpy(), atol=1e-5)


def test_layers_have_the_names_of_the_head(shelf):
    assert head_layers(_head()) == ["head-1", "z"]
    assert head_layers(None) == head_layers(build_head(HeadRecipe(head="none"), dim=4)) == []


def test_a_head_without_layers_leaves_h_alone(shelf):
    features = shelf(build_head(HeadRecipe(head="none"), dim=Tiny.dim))
    assert features.get("trained").test.tobytes() == shelf(None).get("trained").test.tobytes()


def test_untrained_features_are_those_of_their_weights(shelf):
    features = shelf(None)
    first, other, again = (features.get("untrained", seed).test for seed in (1, 2, 1))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()
    assert first.tobytes() != features.get("trained").test.tobytes()


def test_features_that_are_not_finite_are_refused(shelf):
    features = shelf(None)
    torch.nn.init.constant_(features.subject.encoder.norm.bias, float("nan"))
    with pytest.raises(TwofoldError, match="the trained encoder gives numbers that are not finite for 60 of 60"):
        features.get("trained")
