"""Projection heads: layers, counts and what they do."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from twofold.models.head import build_head, layer_outputs
from twofold.recipes.recipe import HeadRecipe


def _trainable(head: nn.Module) -> int:
    return sum(parameter.numel() for parameter in head.parameters() if parameter.requires_grad)


def test_none_hands_h_on() -> None:
    h = torch.randn(4, 6)
    head = build_head(HeadRecipe(head="none"), dim=6)
    assert head(h) is h
    assert not list(head.parameters())


@pytest.mark.parametrize(
    ("recipe", "dim", "count"),
    [
        (HeadRecipe(head="linear", z_dim=128), 2048, 2048 * 128 + 128),
        (HeadRecipe(head_layers=2), 2048, 2048 * 2048 + 2 * 2048 + 2048 * 128 + 128),
        (HeadRecipe(head_layers=3), 512, 2 * (512 * 512 + 2 * 512) + 512 * 128 + 128),
    ],
)
def test_trainable_numbers_are_those_of_the_reference(recipe: HeadRecipe, dim: int, count: int) -> None:
    assert _trainable(build_head(recipe, dim=dim)) == count


def test_counts_agree_with_the_published_ones() -> None:
    million = {(2048, 2): 4.46, (2048, 3): 8.66, (512, 2): 0.33, (512, 3): 0.59}
    for (dim, layers), expected in million.items():
        assert round(_trainable(build_head(HeadRecipe(head_layers=layers), dim=dim)) / 1e6, 2) == expected


@pytest.mark.parametrize("layers", [2, 3, 4])
@pytest.mark.parametrize("training", [True, False])
def test_nonlinear_is_dense_norm_relu_and_no_relu_at_the_end(layers: int, training: bool) -> None:
    torch.manual_seed(0)
    head = build_head(HeadRecipe(head_layers=layers, z_dim=5), dim=7).double().train(training)
    for parameter in head.parameters():
        if parameter.requires_grad and parameter.ndim == 1:
            nn.init.normal_(parameter)
    h = torch.randn(16, 7, dtype=torch.float64)
    expected = h
    for index, block in enumerate(head):
        expected = functional.linear(expected, block.dense.weight)
        if training:
            mean, variance = expected.mean(0), expected.var(0, unbiased=False)
        else:
            mean, variance = torch.zeros(()), torch.ones(())
        last = index == layers - 1
        expected = (expected - mean) / (variance + 1e-5).sqrt() * block.norm.weight + (0 if last else block.norm.bias)
        expected = expected if last else expected.clamp(min=0)
    torch.testing.assert_close(head(h), expected)


def test_linear_is_dense_then_norm() -> None:
    head = build_head(HeadRecipe(head="linear", z_dim=5), dim=7)
    z = head(torch.randn(64, 7))
    assert z.shape == (64, 5)
    torch.testing.assert_close(z.mean(0), torch.zeros(5), atol=1e-5, rtol=0)
    assert (z < 0).any()


@pytest.mark.parametrize("kind", ["linear", "nonlinear"])
def test_dense_layers_have_no_bias_and_start_at_the_reference_s_scale(kind: str) -> None:
    torch.manual_seed(0)
    for block in build_head(HeadRecipe(head=kind), dim=256):
        assert block.dense.bias is None
        assert block.dense.weight.std().item() == pytest.approx(0.01, rel=0.03)
        assert abs(block.dense.weight.mean().item()) < 2e-4


def test_the_last_norm_has_no_shift_to_learn_and_the_others_have() -> None:
    first, last = build_head(HeadRecipe(), dim=8)
    assert first.norm.bias.requires_grad
    assert not last.norm.bias.requires_grad
    assert last.norm.weight.requires_grad
    last(torch.randn(4, 8)).square().sum().backward()
    assert last.norm.bias.grad is None
    assert last.norm.bias.abs().max() == 0


def test_the_first_k_blocks_give_the_output_of_layer_k() -> None:
    head = build_head(HeadRecipe(head_layers=3, z_dim=4), dim=8).eval()
    h = torch.randn(5, 8)
    shapes = [head[:k](h).shape for k in range(4)]
    assert shapes == [(5, 8), (5, 8), (5, 8), (5, 4)]
    assert torch.equal(head[:0](h), h)
    assert torch.equal(head[:3](h), head(h))


@pytest.mark.parametrize(
    ("recipe", "widths"),
    [
        (HeadRecipe(head="none"), {}),
        (HeadRecipe(head="linear", z_dim=4), {"z": 4}),
        (HeadRecipe(z_dim=4), {"head-1": 8, "z": 4}),
        (HeadRecipe(head_layers=4, z_dim=4), {"head-1": 8, "head-2": 8, "head-3": 8, "z": 4}),
    ],
)
def test_the_outputs_of_all_layers_by_name(recipe: HeadRecipe, widths: dict[str, int]) -> None:
    head = build_head(recipe, dim=8).eval()
    h = torch.randn(5, 8)
    before = h.clone()
    outputs = layer_outputs(head, h)
    assert {name: output.shape[1] for name, output in outputs.items()} == widths
    assert list(outputs) == list(widths)
    assert torch.equal(h, before)
    for number, output in enumerate(outputs.values(), start=1):
        assert torch.equal(output, head[:number](h))  # nothing that came later has written into it
    if outputs:
        assert torch.equal(outputs["z"], head(h))
    for name, output in outputs.items():
        assert bool((output >= 0).all()) is (name != "z")  # after the ReLU; z has none


def test_in_training_mode_each_layer_runs_once() -> None:
    head = build_head(HeadRecipe(head_layers=3, z_dim=4), dim=8)
    layer_outputs(head, torch.randn(5, 8))
    assert [int(block.norm.num_batches_tracked) for block in head] == [1, 1, 1]
