"""Weights under other names are matched with an encoder by name and shape."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torchvision import models

from twofold.models import ResNet, build_encoder
from twofold.models.matching import first_convolution, library_module, match, rename, without_classifier
from twofold.recipes.recipe import EncoderRecipe

Weights = dict[str, Tensor]


def small(seed: int = 0, channels: int = 3) -> ResNet:
    torch.manual_seed(seed)
    return ResNet(50, width=0.25, stages=2, channels=channels)


def transformers_names(weights: Weights) -> Weights:
    """As the library transformers calls the tensors of a ResNet of bottlenecks."""
    renamed = {}
    for name, tensor in weights.items():
        parts = name.split(".")
        if parts[0] in ("conv1", "bn1"):
            kind = {"conv1": "convolution", "bn1": "normalization"}[parts[0]]
            new = f"resnet.embedder.embedder.{kind}.{parts[1]}"
        else:
            home = f"resnet.encoder.stages.{int(parts[0][-1]) - 1}.layers.{parts[1]}"
            if parts[2] == "downsample":
                inner = f"shortcut.{('convolution', 'normalization')[int(parts[3])]}"
            else:
                kind = "convolution" if parts[2].startswith("conv") else "normalization"
                inner = f"layer.{int(parts[2][-1]) - 1}.{kind}"
            new = f"{home}.{inner}.{parts[-1]}"
        renamed[new] = tensor
    return renamed


def wrapped(prefix: str) -> Callable[[Weights], Weights]:
    return lambda weights: {f"{prefix}{name}": tensor for name, tensor in weights.items()}


FORMS: dict[str, Callable[[Weights], Weights]] = {
    "torchvision": lambda weights: {**weights, "fc.weight": torch.zeros(9, 4), "fc.bias": torch.zeros(9)},
    "old": lambda weights: {n: t for n, t in weights.items() if not n.endswith("num_batches_tracked")},
    "data parallel": wrapped("module."),
    "MoCo": lambda w: {**wrapped("module.encoder_q.")(w), **wrapped("module.encoder_k.")(w), "queue": torch.ones(2)},
    "reordered": lambda weights: dict(sorted(weights.items(), reverse=True)),
    "transformers": lambda w: {**transformers_names(w), "classifier.1.weight": torch.zeros(9, 4)},
}


@pytest.mark.parametrize("form", FORMS)
def test_every_tensor_is_found_under_other_names(form: str) -> None:
    theirs, ours = small(1), small(2)
    matched = match(rename(FORMS[form](theirs.state_dict()), ours), ours)
    assert matched.fits
    assert (matched.missing, matched.unused) == ({}, [])
    wanted = theirs.state_dict()
    if form == "old":
        wanted = {name: tensor for name, tensor in wanted.items() if not name.endswith("tracked")}
    assert list(matched.tensors) == list(wanted)
    assert matched.loaded == matched.total == sum(not name.endswith("tracked") for name in wanted)
    assert all(torch.equal(matched.tensors[name], tensor) for name, tensor in wanted.items())


def test_an_adapted_network_has_the_names_of_its_library() -> None:
    encoder = build_encoder(EncoderRecipe(encoder="torchvision:squeezenet1_1"), channels=3, size_px=32)
    assert match(rename(models.squeezenet1_1().state_dict(), encoder), encoder).fits
    assert match(rename(encoder.state_dict(), encoder), encoder).fits, "also under the names of our own files"


def test_what_is_missing_and_left_over_is_named() -> None:
    encoder = small()
    weights = {**encoder.state_dict(), "extra.weight": torch.zeros(2), "bn1.weight": torch.zeros(3)}
    del weights["layer1.0.conv1.weight"]
    matched = match(rename(weights, encoder), encoder)
    assert matched.missing == {"layer1.0.conv1.weight": "", "bn1.weight": "(3,), not (16,)"}
    assert matched.unused == ["extra.weight"]
    assert not matched.fits
    assert matched.total == len([name for name in encoder.state_dict() if not name.endswith("tracked")])


def test_a_larger_network_s_weights_do_not_fit_a_smaller_one() -> None:
    """All that the smaller one needs is there, under the right names."""
    matched = match(rename(ResNet(34, width=0.25).state_dict(), ours := ResNet(18, width=0.25)), ours)
    assert not matched.missing
    assert not matched.fits


@pytest.mark.parametrize(("given", "wanted"), [(3, 5), (3, 1), (1, 3)])
def test_the_first_convolution_takes_other_channels(given: int, wanted: int) -> None:
    theirs, ours = small(1, given), small(2, wanted)
    matched = match(rename(theirs.state_dict(), ours), ours)
    assert matched.fits
    assert matched.channels == (given, wanted)
    ours.load_state_dict({**ours.state_dict(), **matched.tensors})
    gray = torch.rand(2, 1, 32, 32)
    with torch.no_grad():
        expected = theirs.eval()(gray.expand(-1, given, -1, -1))
        torch.testing.assert_close(ours.eval()(gray.expand(-1, wanted, -1, -1)), expected, rtol=1e-4, atol=1e-5)


def test_names_of_the_ends() -> None:
    with torch.device("meta"):  # names and shapes alone
        assert first_convolution(models.vit_b_16().state_dict()) == "conv_proj.weight"
    assert first_convolution({}) is None
    kept = without_classifier({"fc.weight": torch.zeros(1), "head.0.bias": torch.zeros(1), "headway": torch.zeros(1)})
    assert list(kept) == ["headway"]
    module = nn.Identity()
    assert library_module(module) is module
