"""A convolution on a few places is torch's, whichever way it is computed."""

import pytest
import torch
from torch import nn

from twofold.models import convolution
from twofold.models.convolution import Convolution

SIZES = [(1, 1), (1, 2), (2, 1), (2, 2), (3, 2), (3, 3)]


def pair(stride: int) -> tuple[Convolution, nn.Conv2d]:
    torch.manual_seed(stride)
    ours = Convolution(5, 7, 3, stride=stride, padding=1, bias=False).double()
    theirs = nn.Conv2d(5, 7, 3, stride=stride, padding=1, bias=False).double()
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("stride", [1, 2])
def test_values_and_gradients_are_torchs(size: tuple[int, int], stride: int) -> None:
    ours, theirs = pair(stride)
    x = torch.randn(4, 5, *size, dtype=torch.float64)
    found = []
    for layer in (ours, theirs):
        given = x.clone().requires_grad_()
        y = layer(given)
        (y * torch.linspace(-1, 2, y.numel(), dtype=y.dtype).view(y.shape)).sum().backward()
        assert given.grad is not None
        assert layer.weight.grad is not None
        found.append((y, given.grad, layer.weight.grad))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def test_the_dense_way_is_taken_on_few_places_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    whole = convolution.DenseWeight.apply
    monkeypatch.setattr(convolution.DenseWeight, "apply", lambda *args: taken.append(args[1:3]) or whole(*args))
    ours, _ = pair(1)
    for size in SIZES:
        ours(torch.randn(1, 5, *size, dtype=torch.float64))
    assert taken == [(1, 1), (1, 2), (2, 1), (2, 2)]


def test_a_device_takes_its_own_convolution(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolution.DenseWeight, "apply", lambda *_: pytest.fail("the dense way was taken"))
    ours, _ = pair(1)
    assert ours.to("meta")(torch.empty(1, 5, 2, 2, dtype=torch.float64, device="meta")).shape == (1, 7, 2, 2)


def test_a_wrong_part_of_the_kernel_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = convolution._parts
    monkeypatch.setattr(convolution, "_parts", lambda *places: right(*places)[::-1])
    ours, theirs = pair(1)
    x = torch.randn(4, 5, 2, 2, dtype=torch.float64)
    assert not torch.allclose(ours(x), theirs(x))


def test_channels_last_stays_channels_last() -> None:
    ours, _ = pair(1)
    y = ours(torch.randn(4, 5, 2, 2, dtype=torch.float64).contiguous(memory_format=torch.channels_last))
    assert y.is_contiguous(memory_format=torch.channels_last)
