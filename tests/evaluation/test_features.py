"""Features: h of a frozen encoder, what each layer of the head makes of it, and pixels."""

import numpy as np
import pytest
import torch
from torch import nn

from networks import VIEWS, Tiny, same, state
from twofold.errors import TwofoldError
from twofold.evaluation import Hardware, embed_images, frozen, pixels
from twofold.evaluation.features import FeatureCache, Subject, head_layers, with_open_branches
from twofold.evaluation.labels import measured_rows
from twofold.models.head import build_head
from twofold.models.resnet import ResNet
from twofold.recipes.recipe import HeadRecipe, ViewsRecipe
from twofold.views import center_view


def _by_hand(images, rows):
    return images.read(rows).images.numpy().reshape(len(rows), -1).astype(np.float32) / 255


def test_the_machine_of_the_tests_is_what_embedding_asks_for(machine):
    assert isinstance(machine, Hardware)


@pytest.mark.parametrize("batch_size", [1, 7, 30, 512])
def test_every_row_once_and_in_order_the_last_partial_batch_included(separable, flat, views, machine, batch_size):
    rows = np.random.default_rng(1).permutation(90)[:31]
    h = embed_images(flat, separable, rows, views=views, hardware=machine, batch_size=batch_size)
    assert h.dtype == np.float32
    np.testing.assert_allclose(h, _by_hand(separable, rows), atol=1e-6)


def test_no_rows_are_no_embeddings(separable, flat, views, machine):
    empty = np.zeros(0, np.int64)
    assert embed_images(flat, separable, empty, views=views, hardware=machine).shape == (0, 64)
    assert pixels(separable, empty, views=views).shape == (0, 64)


def test_training_flags_are_as_before_module_by_module(separable, flat, views, machine):
    encoder = nn.Sequential(flat, nn.Dropout(0.5)).train()
    flat.eval()
    embed_images(encoder, separable, np.arange(5), views=views, hardware=machine)
    assert (encoder.training, encoder[0].training, encoder[1].training) == (True, False, True)


def test_a_failing_encoder_gets_its_training_flag_back(separable, views, machine):
    encoder = nn.Linear(3, 3).train()
    with pytest.raises(RuntimeError):
        embed_images(encoder, separable, np.arange(5), views=views, hardware=machine)
    assert encoder.training


def test_an_encoder_left_in_train_mode_is_caught(separable, flat, views, machine, monkeypatch):
    monkeypatch.setattr(nn.Module, "eval", lambda self: self)  # the fault: batch norm goes on counting
    with pytest.raises(RuntimeError, match=r"norm\.\w+' changed"):
        embed_images(flat.train(), separable, np.arange(9), views=views, hardware=machine)


def test_frozen_sees_one_changed_bit():
    encoder = nn.Linear(2, 2)
    with pytest.raises(RuntimeError, match="weight"), frozen(encoder), torch.no_grad():
        encoder.weight[0, 0] = torch.nextafter(encoder.weight[0, 0], torch.tensor(9.0))


def test_frozen_sees_the_sign_of_zero_and_buffers_outside_the_state_dict():
    encoder = nn.Module()
    encoder.register_buffer("quiet", torch.zeros(1), persistent=False)
    with pytest.raises(RuntimeError, match="quiet"), frozen(encoder):
        encoder.quiet.neg_()


def test_frozen_sees_a_lost_parameter():
    encoder = nn.Linear(2, 2)
    with pytest.raises(RuntimeError, match="bias"), frozen(encoder):
        encoder.bias = None


def test_frozen_accepts_what_did_not_change_even_nan():
    encoder = nn.Linear(2, 2)
    with torch.no_grad():
        encoder.weight[0, 0] = float("nan")
    with frozen(encoder):
        encoder(torch.zeros(1, 2))


@pytest.mark.parametrize(("channels", "side_px"), [(1, 32), (3, 18)])
def test_pixels_are_the_central_view_in_at_most_1024_numbers(make_images, channels, side_px):
    pictures = np.random.default_rng(0).integers(0, 256, (4, channels, 80, 100)).astype(np.uint8)
    images = make_images(pictures, [None] * 4, ["train"] * 4)
    x = pixels(images, np.array([2, 0]), views=ViewsRecipe(size_px=64))
    batch = images.read(np.array([2, 0]))
    expected = center_view(batch.images, batch.sizes, size_px=side_px, crop_fraction=0.875)
    np.testing.assert_array_equal(x, expected.numpy().reshape(2, -1))


def test_embedding_crops_the_centre(make_images, machine):
    pictures = np.zeros((1, 1, 32, 32), np.uint8)
    pictures[:, :, 8:24, 8:24] = 200
    images = make_images(pictures, [None], ["train"])
    half = ViewsRecipe(size_px=8, eval_crop_fraction=0.5)
    h = embed_images(nn.Flatten(), images, np.arange(1), views=half, hardware=machine)
    np.testing.assert_allclose(h, 200 / 255, atol=1e-6)


HEAD = HeadRecipe(head_layers=2, z_dim=5)


@pytest.fixture
def cache(separable, machine):
    def make(head):
        subject = Subject(encoder=Tiny().eval(), untrained=Tiny, views=VIEWS, hardware=machine, head=head)
        return FeatureCache(subject, separable, measured_rows(separable))

    return make


def _head():
    torch.manual_seed(0)
    head = build_head(HEAD, dim=Tiny.dim)
    head(torch.randn(50, Tiny.dim))  # batch norms that have seen something
    return head


@pytest.mark.parametrize("training", [False, True])
def test_layers_of_the_head_follow_h_in_evaluation_mode_whatever_mode_it_is_in(cache, training):
    head = _head().train(training)
    before = state(head)
    features = cache(head)
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


def test_layers_have_the_names_of_the_head(cache):
    assert head_layers(_head()) == ["head-1", "z"]
    assert head_layers(None) == head_layers(build_head(HeadRecipe(head="none"), dim=4)) == []


def test_a_head_without_layers_leaves_h_alone(cache):
    features = cache(build_head(HeadRecipe(head="none"), dim=Tiny.dim))
    assert features.get("trained").test.tobytes() == cache(None).get("trained").test.tobytes()


def test_untrained_features_are_those_of_their_weights(cache):
    features = cache(None)
    first, other, again = (features.get("untrained", seed).test for seed in (1, 2, 1))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()
    assert first.tobytes() != features.get("trained").test.tobytes()


def test_features_that_are_not_finite_are_refused(cache):
    features = cache(None)
    torch.nn.init.constant_(features.subject.encoder.norm.bias, float("nan"))
    with pytest.raises(TwofoldError, match="the trained encoder gives numbers that are not finite for 60 of 60"):
        features.get("trained")


def _resnet(**options):
    torch.manual_seed(0)
    return ResNet(10, channels=1, width=0.25, stages=1, stem="strided", **options).eval()


def test_the_untrained_encoder_is_measured_with_its_residual_branches(separable, views, machine):
    """As if it had been built without zeros there; the encoder that training begins with keeps them."""
    subject = Subject(encoder=_resnet(), untrained=lambda _: _resnet(zero_init=True), views=views, hardware=machine)
    h = FeatureCache(subject, separable, measured_rows(separable)).get("untrained", 0).train
    rows = measured_rows(separable).train
    kind, straw = (
        embed_images(_resnet(zero_init=zero), separable, rows, views=views, hardware=machine) for zero in (False, True)
    )
    np.testing.assert_allclose(h, kind, rtol=1e-5)
    assert not np.allclose(h, straw, rtol=1e-2)
    assert same(state(subject.fresh(0)), state(_resnet(zero_init=True)))


def test_scales_that_are_not_zero_stay():
    encoder = _resnet(zero_init=False)
    with torch.no_grad():
        for norm in (module for module in encoder.modules() if isinstance(module, nn.BatchNorm2d)):
            norm.weight[0] = 0.0
    before = state(encoder)
    assert same(state(with_open_branches(encoder)), before)
