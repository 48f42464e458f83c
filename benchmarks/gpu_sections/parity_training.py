"""Parity of what trains: whole steps, LARS, dropout in chunks, and two runs of the same steps."""

from typing import Any

import torch
from torch import Tensor, nn

from gpu_sections.bench import Bench, difference
from gpu_sections.pictures import batch_of
from gpu_sections.trainer import SMALL, Trainer, cifar_recipe, hardware_of, recipe_of
from twofold.optim import LARS
from twofold.training.chunks import forward_chunks

_CASES: dict[str, dict[str, Any]] = {
    "sgd": {},
    "lars": {"optimizer": "lars"},
    "simclr policy": {"policy": "simclr"},
    "chunks of 12": {"chunk": 12},
    "adamw": {"optimizer": "adamw", "base_lr": 1e-3},
    "triplet": {"loss": "triplet"},
}


def training_parity(bench: Bench) -> None:
    for name in ("without weights", "with weights"):
        bench.measure(
            f"dropout in chunks, a model {name}: gradient error (0 where random numbers repeat)",
            lambda n=name: dropout_in_chunks(bench, weighted=n == "with weights"),
        )
    for name, more in _CASES.items():
        bench.measure(f"steps {name}: three, from one start", lambda m=more: _steps(bench, m))
    bench.measure("LARS beside CPU", lambda: _lars(bench))
    bench.measure("two runs of five steps on the device differ by", lambda: _repeated(bench))
    bench.measure("the same with cudnn.deterministic", lambda: _repeated(bench, deterministic=True))


def _steps(bench: Bench, more: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Losses of three steps, and how far weights and running statistics went apart."""
    count, side_px = bench.pick((32, 32), (16, 8))
    recipe = recipe_of(count, **(SMALL | {"size_px": side_px, "temperature": 0.5} | more))
    batch = batch_of(count, side_px)
    runs = {}
    for label, place, precision in (
        ("cpu", "cpu", "fp32"),
        ("device fp32", bench.device, "fp32"),
        ("device bf16", bench.device, "bf16"),
        ("cpu bf16", "cpu", "bf16"),
    ):
        trainer = Trainer(recipe, hardware_of(place, precision))
        start = trainer.vector()
        values = [float(trainer.step(batch)["loss"]) for _ in range(3)]
        runs[label] = values, trainer.vector() - start, trainer.weights()
    _, change, weights = runs["cpu"]
    running = [name for name in weights if "running" in name]
    return {
        label: {
            "losses": values,
            "change of the weights": difference(own_change, change),
            "running statistics": max(difference(own[name], weights[name]) for name in running),
        }
        for label, (values, own_change, own) in runs.items()
    }


class Scaled(nn.Module):
    """dropout(x * weight), the weight 1 at first."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight, self.dropout = nn.Parameter(torch.ones(width)), nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(x * self.weight)


def dropout_in_chunks(bench: Bench, *, weighted: bool) -> float:
    """Relative error of d/dw sum(z), z = dropout(w x) in two chunks: 0 where backward sees the masks of forward.

    At w = 1 it is the sum of what came through, which z itself tells. The weight is the model's own, or lies outside
    of a model that has none.
    """
    width, generator = 64, torch.Generator().manual_seed(5)
    x = (torch.rand(32, width, generator=generator) + 0.5).to(bench.device)
    scaled = Scaled(width).to(bench.device)
    model = scaled if weighted else scaled.dropout

    def make_z(part: slice) -> Tensor:
        twice = torch.cat([x[part], x[part]])
        return scaled(twice)

    z = forward_chunks(model, make_z, [slice(0, 16), slice(16, 32)], key=(0, 1, 2))
    z.sum().backward()
    assert scaled.weight.grad is not None
    return difference(scaled.weight.grad, z.detach().view(2 * len(x), width).sum(0))


def _lars(bench: Bench) -> dict[str, float]:
    """Weights after three steps from random gradients, in float64."""
    made = {}
    for label, place, together in (
        ("cpu", torch.device("cpu"), False),
        ("device together", bench.device, True),
        ("device one by one", bench.device, False),
    ):
        generator = torch.Generator().manual_seed(0)

        def normal(shape: tuple[int, ...], place: Any = place, generator: Any = generator) -> Tensor:
            return torch.randn(shape, generator=generator, dtype=torch.float64).to(place)

        weights = [normal(shape).requires_grad_() for shape in ((64, 3, 3, 3), (128, 64, 3, 3), (128,), (10, 128))]
        groups = [
            {"params": weights[:2], "weight_decay": 1e-4, "adapt": True},
            {"params": weights[2:], "adapt": False},
        ]
        optimizer = LARS(groups, lr=0.5, foreach=together)
        for _ in range(3):
            for weight in weights:
                weight.grad = normal(tuple(weight.shape))
            optimizer.step()
        made[label] = torch.cat([weight.detach().cpu().reshape(-1) for weight in weights])
    return {label: difference(own, made["cpu"]) for label, own in made.items()}


def _repeated(bench: Bench, *, deterministic: bool = False) -> float:
    """The largest difference of two runs' weights."""
    before = torch.backends.cudnn.deterministic
    torch.backends.cudnn.deterministic = deterministic
    try:
        runs = []
        for _ in range(2):
            trainer = Trainer(cifar_recipe(bench, 64, policy="simclr"), hardware_of(bench.device))
            for step in range(bench.pick(5, 2)):
                trainer.step(batch_of(trainer.share.batch_size, 32, seed=step), lr=0.01)
            runs.append(trainer.weights())
    finally:
        torch.backends.cudnn.deterministic = before
    return max(float((value - runs[1][name]).abs().max()) for name, value in runs[0].items())
