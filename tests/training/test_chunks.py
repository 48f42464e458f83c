"""Chunks give the gradient of the whole batch: against a direct pass that keeps every graph."""

import copy
from collections.abc import Callable
from contextlib import nullcontext

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from twofold.losses import nt_xent
from twofold.models import ResNet
from twofold.models.head import build_head
from twofold.models.simclr import SimCLR
from twofold.recipes.recipe import HeadRecipe
from twofold.training import chunks
from twofold.training.chunks import forward_chunks

N = 12


def model_of(norm: bool) -> SimCLR:
    torch.manual_seed(0)
    encoder = ResNet(10, width=0.25, stages=2, stem="strided", zero_init=False)
    model = SimCLR(encoder, build_head(HeadRecipe(z_dim=16), dim=encoder.dim)).train()
    return model if norm else without_norm(model)


def without_norm(model: SimCLR) -> SimCLR:
    for module in model.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
                setattr(module, name, nn.Identity())
    return model


def views() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(N, 3, 16, 16, generator=generator), torch.rand(N, 3, 16, 16, generator=generator)


def slices(size: int) -> list[slice]:
    return [slice(start, min(start + size, N)) for start in range(0, N, size)]


def z_of(model: nn.Module) -> Callable[[slice], Tensor]:
    a, b = views()
    return lambda part: model(torch.cat([a[part], b[part]]))[1]


def gradients(model: nn.Module, z: Tensor) -> dict[str, Tensor]:
    model.zero_grad()
    nt_xent(*z.chunk(2, dim=1), temperature=0.2).backward()
    return {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}


def direct(model: nn.Module, size: int) -> Tensor:
    """Every chunk through the model once, all graphs kept."""
    return torch.cat([torch.cat(z_of(model)(part).chunk(2), dim=1) for part in slices(size)])


def difference(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    assert one.keys() == other.keys()
    return max(float((one[n] - other[n]).abs().max() / one[n].abs().max().clamp_min(1e-9)) for n in one)


@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("size", [2, 5, 6, 12])
def test_cached_gradients_are_direct_gradients(size: int, norm: bool) -> None:
    model = model_of(norm)
    expected = gradients(model, direct(model, size))
    found = gradients(model, forward_chunks(model, z_of(model), slices(size)))
    assert difference(expected, found) < 1e-5


@pytest.mark.parametrize("size", [2, 5, 6])
def test_without_batch_norm_chunks_do_not_matter(size: int) -> None:
    model = model_of(norm=False)
    expected = gradients(model, direct(model, N))
    assert difference(expected, gradients(model, forward_chunks(model, z_of(model), slices(size)))) < 1e-5


def test_accumulated_losses_are_not_the_batch() -> None:
    model = model_of(norm=False)
    expected = gradients(model, direct(model, N))
    model.zero_grad()
    for part in slices(6):
        nt_xent(*z_of(model)(part).chunk(2), temperature=0.2).div(2).backward()
    found = {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}
    assert difference(expected, found) > 1e-2


@pytest.mark.parametrize("momentum", [0.1, 1.0, None])
@pytest.mark.parametrize("size", [2, 5, 12])
def test_running_statistics_move_once_to_the_mean_of_the_chunks(size: int, momentum: float | None) -> None:
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(3, momentum=momentum)
    norm(torch.rand(4, 3, 5, 5) + 2)
    before = copy.deepcopy(norm)
    model = nn.Sequential(norm, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    a, b = views()
    z = forward_chunks(model, lambda part: model(torch.cat([a[part], b[part]])), slices(size))
    z.sum().backward()
    m = 1 / 2 if momentum is None else momentum
    for name, statistic in (("running_mean", torch.mean), ("running_var", torch.var)):
        own = sum(
            (part.stop - part.start) / N * statistic(torch.cat([a[part], b[part]]), dim=(0, 2, 3))
            for part in slices(size)
        )
        expected = (1 - m) * getattr(before, name) + m * own
        torch.testing.assert_close(getattr(norm, name), expected, rtol=1e-5, atol=1e-6)
    assert int(norm.num_batches_tracked) == 2
    assert (norm.momentum, norm.track_running_stats) == (momentum, True)


@pytest.mark.parametrize("size", [2, 5, 12])
def test_running_statistics_of_every_layer_move_to_the_mean_of_the_chunks(size: int) -> None:
    model = model_of(norm=True)
    before = {name: value.clone() for name, value in model.named_buffers() if value.is_floating_point()}
    expected = {name: 0.9 * value for name, value in before.items()}
    for part in slices(size):
        own = copy.deepcopy(model)
        for module in own.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.momentum = 1.0  # what is left is this chunk's
        z_of(own)(part)
        for name, value in own.named_buffers():
            if name in expected:
                expected[name] += 0.1 * (part.stop - part.start) / N * value
    forward_chunks(model, z_of(model), slices(size)).square().sum().backward()
    found = {name: value for name, value in model.named_buffers() if value.is_floating_point()}
    assert difference(expected, found) < 1e-5
    assert difference(before, found) > 1e-2
    assert {int(v) for name, v in model.named_buffers() if name.endswith("num_batches_tracked")} == {1}


def spectral() -> nn.Module:
    """Each forward pass in training moves the vectors u and v, on which the weight depends."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), parametrizations.spectral_norm(nn.Linear(768, 8)), nn.ReLU(), nn.Linear(8, 4))


@pytest.mark.parametrize("size", [2, 5])
def test_a_spectral_norm_in_chunks_is_that_of_the_whole_batch(size: int) -> None:
    a, b = views()
    found = []
    for parts in (slices(N), slices(size)):
        model = spectral()
        z = forward_chunks(model, lambda part, model=model: model(torch.cat([a[part], b[part]])), parts)
        found.append((gradients(model, z), {name: buffer.clone() for name, buffer in model.named_buffers()}))
    assert difference(found[0][0], found[1][0]) < 1e-5
    assert difference(found[0][1], found[1][1]) == 0, "one move, whatever the number of chunks"
    assert difference(found[0][1], dict(spectral().named_buffers())) > 1e-3


def test_a_second_pass_that_begins_elsewhere_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = views()
    whole, model = spectral(), spectral()
    expected = gradients(whole, forward_chunks(whole, lambda part: whole(torch.cat([a[part], b[part]])), slices(N)))
    monkeypatch.setattr(chunks._Buffers, "again", lambda _self: nullcontext())
    z = forward_chunks(model, lambda part: model(torch.cat([a[part], b[part]])), slices(5))
    assert difference(expected, gradients(model, z)) > 1e-3


def test_constant_buffers_stay_what_they_are() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(768, 4))
    model.register_buffer("table", torch.full((3,), 0.1))
    model.register_buffer("places", torch.arange(3))
    a, b = views()
    forward_chunks(model, lambda part: model(torch.cat([a[part], b[part]])), slices(5)).sum().backward()
    assert torch.equal(model.get_buffer("table"), torch.full((3,), 0.1))
    assert torch.equal(model.get_buffer("places"), torch.arange(3))


def test_random_numbers_repeat_in_the_second_pass() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(768, 8), nn.Dropout(0.5), nn.Linear(8, 4))
    a, b = views()
    masks: list[Tensor] = []
    model[2].register_forward_hook(lambda _m, _i, out: masks.append(out.detach() != 0))
    z = forward_chunks(model, lambda part: model(torch.cat([a[part], b[part]])), slices(4))
    z.square().sum().backward()
    first, second = masks[:3], masks[3:]
    assert len(second) == 3
    assert all(torch.equal(one, other) for one, other in zip(first, reversed(second), strict=True))
    assert not torch.equal(first[0], first[1])


def test_one_chunk_goes_through_the_model_once() -> None:
    calls = []
    model = nn.Linear(768, 4)
    a, b = views()

    def make_z(part: slice) -> Tensor:
        calls.append(part)
        return model(torch.cat([a[part], b[part]]).flatten(1))

    forward_chunks(model, make_z, [slice(0, N)]).sum().backward()
    assert calls == [slice(0, N)]


@pytest.mark.parametrize("size", [2, 3])  # 13 chunks, the last one smaller, and nine
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_compiled_model_goes_through_any_number_of_chunks(size: int) -> None:
    torch._dynamo.reset()
    a, b = (torch.cat([view, view + 0.1, view[:1] + 0.2]) for view in views())  # 25 images
    parts = [slice(start, min(start + size, 25)) for start in range(0, 25, size)]
    found = []
    for compiled in (False, True):
        torch.manual_seed(0)
        norms = nn.BatchNorm2d(8), nn.BatchNorm2d(8)
        encoder = nn.Sequential(nn.Conv2d(3, 8, 3), norms[0], nn.ReLU(), nn.Conv2d(8, 8, 3), norms[1], nn.Flatten())
        model = nn.Sequential(encoder, nn.Linear(8 * 12 * 12, 4))
        if compiled:
            encoder.compile(backend="aot_eager")
        z = forward_chunks(model, lambda part, model=model: model(torch.cat([a[part], b[part]])), parts)
        found.append(gradients(model, z) | {name: value.clone() for name, value in model.named_buffers()})
    assert difference(*found) < 1e-5
