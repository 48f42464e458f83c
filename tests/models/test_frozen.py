"""Frozen layers: the one that is named and all before it, neither gradients nor statistics."""

import pytest
import torch

from twofold.errors import TwofoldError
from twofold.models import ResNet, adapt, build_encoder
from twofold.models.frozen import freeze_until
from twofold.models.head import ProjectionHead
from twofold.models.simclr import SimCLR
from twofold.recipes.recipe import EncoderRecipe


def trainable(encoder: torch.nn.Module) -> set[str]:
    return {name.split(".")[0] for name, parameter in encoder.named_parameters() if parameter.requires_grad}


@pytest.mark.parametrize(
    ("layer", "left"),
    [
        ("conv1", {"bn1", "layer1", "layer2"}),
        ("bn1", {"layer1", "layer2"}),
        ("layer1", {"layer2"}),
        ("layer1.0.conv1", {"layer1", "layer2"}),
    ],
)
def test_the_named_layer_and_all_before_it_are_frozen(layer: str, left: set[str]) -> None:
    encoder = ResNet(10, width=0.25, stages=2)
    freeze_until(encoder, layer)
    assert trainable(encoder) == left


def test_only_what_was_frozen_keeps_its_statistics() -> None:
    encoder = ResNet(10, width=0.25, stages=2)
    model = SimCLR(encoder, ProjectionHead(encoder.dim, z_dim=4))
    model.frozen = freeze_until(encoder, "layer1.0.bn1")
    model.train()
    before = {name: buffer.clone() for name, buffer in encoder.named_buffers()}
    model(torch.rand(4, 3, 16, 16))
    moved = {name for name, buffer in encoder.named_buffers() if not torch.equal(buffer, before[name])}
    assert {name.split(".running")[0].split(".num")[0] for name in moved} == {
        "layer1.0.bn2",
        *(f"layer2.0.{name}" for name in ("bn1", "bn2", "downsample.1")),
    }
    model.eval()
    assert not any(part.training for part in model.modules())


def test_a_part_in_training_mode_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SimCLR, "train", torch.nn.Module.train)
    with pytest.raises(AssertionError):
        test_only_what_was_frozen_keeps_its_statistics()


def test_tokens_that_come_before_a_layer_are_frozen_too() -> None:
    encoder = build_encoder(EncoderRecipe(encoder="torchvision:vit_b_32"), channels=3, size_px=32)
    freeze_until(encoder, "encoder.layers.encoder_layer_10")
    names = {name for name, parameter in encoder.named_parameters() if parameter.requires_grad}
    assert all("encoder_layer_11" in name or ".encoder.ln" in name for name in names)
    assert any("encoder_layer_11" in name for name in names)


def test_an_unknown_layer_and_one_that_leaves_nothing() -> None:
    with pytest.raises(TwofoldError, match="unknown layer 'layer9'; did you mean 'layer"):
        freeze_until(ResNet(10, width=0.25), "layer9")
    with pytest.raises(TwofoldError, match=r"nothing would be trained.*--freeze-until"):
        freeze_until(adapt(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3)), size_px=8), "0")
