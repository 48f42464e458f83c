"""What the device computes beside what the CPU does, from the same numbers: views, losses, encoders, whole steps."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gpu_sections.bench import Bench, difference, set_float32_products
from gpu_sections.parity_training import training_parity
from gpu_sections.pictures import batch_of
from gpu_sections.trainer import draws_of, hardware_of, recipe_of
from twofold import losses
from twofold.models import build_encoder
from twofold.models.head import build_head
from twofold.models.simclr import SimCLR
from twofold.recipes.recipe import EncoderRecipe, HeadRecipe, Op
from twofold.training.step import make_views
from twofold.views import center_view

Function = Callable[[Tensor, Tensor], Tensor]
_OPS = {
    "cutout": Op(name="cutout", prob=0.7, range=(0.1, 0.4)),
    "sobel": Op(name="sobel", prob=0.5),
    "noise": Op(name="noise", prob=0.6, range=(0.05, 0.2)),
    "rotate": Op(name="rotate", prob=0.8, range=(0.0, 3.0)),
    "solarise": Op(name="solarise", prob=0.5, range=(0.3, 0.7)),
    "blur": Op(name="blur", prob=0.5, range=(0.1, 2.0)),
    "second crop": Op(name="crop", branch="b", range=(0.3, 0.8)),
}


def parity(bench: Bench) -> None:
    set_float32_products(False, False)
    bench.measure("views simclr 224 bicubic mixed", lambda: _views(bench, 320, size_px=224))
    bench.measure("views small 32", lambda: _views(bench, 32, size_px=32, policy="small"))
    model_parity(bench)
    training_parity(bench)
    loss_parity(bench)
    more_views(bench)


def more_views(bench: Bench) -> None:
    bench.measure("views simclr 32", lambda: _views(bench, 32, size_px=32))
    bench.measure("views simclr 64 mixed sizes", lambda: _views(bench, 160, size_px=64))
    bench.measure(
        "views simclr 224 bilinear (CPU in 8 bits)",
        lambda: _views(bench, 320, size_px=224, interpolation="bilinear"),
    )
    bench.measure("views one branch 32", lambda: _views(bench, 48, size_px=32, one_branch=True))
    first = (Op(name="crop", range=(0.2, 1.0)), Op(name="flip", prob=0.5))
    for name, op in _OPS.items():
        bench.measure(f"views {name}", lambda o=op: _views(bench, 48, size_px=32, ops=(*first, o)))
    bench.measure("center view 224", lambda: _center_view(bench))


def _views(bench: Bench, side_px: int, **settings: Any) -> dict[str, Any]:
    """Both views of images of half the canvas to all of it."""
    if bench.tiny:
        side_px, settings["size_px"] = side_px // 2, settings["size_px"] // 2
    recipe = recipe_of(bench.pick(48, 4), **settings)
    batch = batch_of(recipe.schedule.batch_size, side_px, side_px + 20, mixed=side_px != settings["size_px"])
    draws = draws_of(recipe, seed=1, step=2)
    cpu, device = (
        make_views(batch, draws, recipe.views, hardware_of(place, "fp32")).cpu() for place in ("cpu", bench.device)
    )
    gap = (cpu - device).abs()
    return {
        "largest": float(gap.max()),
        "mean": float(gap.mean()),
        "share above 1/255": float((gap > 1 / 255).float().mean()),
        "finite": bool(device.isfinite().all()),
    }


def _center_view(bench: Bench) -> float:
    batch = batch_of(bench.pick(48, 4), 300, 260, mixed=True)
    cpu, device = (
        center_view(batch.images.to(place), batch.sizes.to(place), size_px=224, crop_fraction=0.875).cpu()
        for place in ("cpu", bench.device)
    )
    return float((cpu - device).abs().max())


def loss_parity(bench: Bench) -> None:
    """Value and gradient of each loss; then of NT-Xent where the batch is large."""
    n, p = bench.pick((640, 128), (24, 16))
    z = torch.randn(2, n, p, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    z[1] += z[0]
    tile = n // 3
    functions: dict[str, Function] = {
        "dense t=0.1": lambda a, b: losses.nt_xent_dense(a, b, temperature=0.1),
        "tiled t=0.1": lambda a, b: losses.nt_xent_tiled(a, b, temperature=0.1, tile=tile),
        "tiled t=0.01 (shifted)": lambda a, b: losses.nt_xent_tiled(a, b, temperature=0.01, tile=tile),
        "tiled plain products": lambda a, b: losses.nt_xent_tiled(a, b, temperature=10.0, normalize=False, tile=tile),
        "tiled anchors": lambda a, b: losses.nt_xent_tiled(a, b, temperature=0.1, anchors=(n // 4, n // 2), tile=tile),
        "dcl": lambda a, b: losses.dcl(a, b, temperature=0.1),
        "nt-logistic": lambda a, b: losses.nt_logistic(a, b, temperature=0.5),
        "nt-logistic semi-hard": lambda a, b: losses.nt_logistic(a, b, temperature=0.5, semi_hard=True),
        "triplet": lambda a, b: losses.triplet(a, b, margin=0.8),
        "triplet semi-hard": lambda a, b: losses.triplet(a, b, margin=0.8, semi_hard=True),
    }
    for name, function in functions.items():
        bench.measure(f"loss {name}", lambda f=function: _loss(bench, f, z))
    bench.measure("loss contrast measures", lambda: _measures(bench, z))
    for count in bench.pick((8192, 65536), (64,)):
        bench.measure(
            f"tiled N={count} beside float64 in blocks",
            lambda n=count: _beside_blocks(bench, n, p),
            needs_s=count / 5000,
        )


def _loss(bench: Bench, function: Function, z: Tensor) -> dict[str, dict[str, float]]:
    def both(place: str | torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        own = z.detach().clone().to(place, dtype).requires_grad_()
        value = function(own[0], own[1])
        value.backward()
        assert own.grad is not None
        return value, own.grad

    value, gradient = both("cpu", torch.float64)
    row = {}
    for place, dtype in ((bench.device, torch.float64), (bench.device, torch.float32), ("cpu", torch.float32)):
        own = both(place, dtype)
        label = f"{torch.device(place).type} {str(dtype)[6:]}"
        row[label] = {"value": difference(own[0], value), "gradient": difference(own[1], gradient)}
    return row


def _measures(bench: Bench, z: Tensor) -> float:
    cpu, device = (
        losses.contrast_measures(*z.to(place).float(), temperature=0.1).cpu() for place in ("cpu", bench.device)
    )
    return difference(device, cpu)


def _beside_blocks(bench: Bench, n: int, p: int) -> dict[str, float | None]:
    """The tiled loss and about 257 rows of its gradient beside their definitions, in float64 on the device."""
    temperature, m, place = 0.1, 2 * n, bench.device
    z = torch.randn(2, n, p, generator=torch.Generator().manual_seed(n))
    z[1] = z[0] * 0.7 + z[1] * 0.7
    own = z.to(place).requires_grad_()
    bench.free()
    before = bench.peak_gib()
    value = losses.nt_xent_tiled(own[0], own[1], temperature=temperature)
    value.backward()
    extra = None if before is None else 1024 * ((bench.peak_gib() or 0.0) - before)
    rows = own.detach().reshape(m, p).double()
    unit = functional.normalize(rows, dim=1)

    def logits_of(some: Tensor) -> Tensor:
        logits = unit[some] @ unit.T / temperature
        logits[torch.arange(len(some), device=place), some] = -torch.inf
        return logits

    total, parts = torch.zeros((), dtype=torch.float64, device=place), []
    for some in torch.arange(m, device=place).split(1024):
        logits = logits_of(some)
        parts.append(logits.logsumexp(1))
        total += (parts[-1] - logits[torch.arange(len(some), device=place), (some + n) % m]).sum()
    sums = torch.cat(parts)
    shown = torch.arange(0, m, max(1, m // 257), device=place)
    logits = logits_of(shown)
    weights = (logits - sums[shown, None]).exp() + (logits - sums).exp()
    along = (weights @ unit - 2 * unit[(shown + n) % m]) / (temperature * m)
    lengths = rows.norm(dim=1)[shown, None]
    expected = (along - (along * unit[shown]).sum(1, keepdim=True) * unit[shown]) / lengths
    assert own.grad is not None
    return {
        "value": difference(value, total / m),
        "gradient": difference(own.grad.reshape(m, p)[shown], expected),
        "MiB beyond the inputs": extra,
    }


def model_parity(bench: Bench) -> None:
    """z, the weights' gradient and the running statistics beside the CPU's in float64."""
    cases = {
        "resnet18 small 32": (EncoderRecipe(encoder="resnet18", stem="small"), 32),
        "resnet50 imagenet 96": (EncoderRecipe(encoder="resnet50"), 96),
        "resnet18 imagenet 32 (2x2 maps)": (EncoderRecipe(encoder="resnet18"), 32),
    }
    if bench.tiny:
        cases = {"resnet10": (EncoderRecipe(encoder="resnet10", width=0.25), 32)}
    for name, (recipe, side_px) in cases.items():
        bench.measure(f"model {name} beside CPU float64", lambda r=recipe, s=side_px: _model(bench, r, s))


def _model(bench: Bench, recipe: EncoderRecipe, side_px: int) -> dict[str, dict[str, float]]:
    torch.manual_seed(0)
    encoder = build_encoder(recipe, channels=3, size_px=side_px)
    model = SimCLR(encoder, build_head(HeadRecipe(), dim=encoder.dim)).train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)  # not zero, so that every path has a gradient
    count = bench.pick(32, 4)
    x = torch.rand(count, 3, side_px, side_px, generator=torch.Generator().manual_seed(1))
    along = torch.randn(count, 128, generator=torch.Generator().manual_seed(2))
    start = {name: value.clone() for name, value in model.state_dict().items()}

    def run(place: str | torch.device, dtype: torch.dtype, *, bf16: bool = False, tf32: bool = False) -> list[Tensor]:
        torch.backends.cudnn.allow_tf32 = tf32
        model.load_state_dict(start)
        model.to(device=place, dtype=dtype, memory_format=torch.channels_last)
        model.zero_grad(set_to_none=True)
        own = x.to(place, dtype).contiguous(memory_format=torch.channels_last)
        with torch.autocast(torch.device(place).type, dtype=torch.bfloat16, enabled=bf16):
            z = model(own)[1]
        (z.double() * along.to(place).double()).sum().backward()
        gradients = [weight.grad.double().cpu().reshape(-1) for weight in model.parameters() if weight.grad is not None]
        running = [value.double().cpu().reshape(-1) for name, value in model.named_buffers() if "running" in name]
        return [z, torch.cat(gradients), torch.cat(running)]

    device, single = bench.device, torch.float32
    reference = run("cpu", torch.float64)
    found = {
        "device float64": run(device, torch.float64),
        "device fp32": run(device, single),
        "device fp32, cudnn TF32": run(device, single, tf32=True),
        "device bf16": run(device, single, bf16=True),
        "cpu fp32": run("cpu", single),
        "cpu bf16": run("cpu", single, bf16=True),
    }
    torch.backends.cudnn.allow_tf32 = False
    names = ("z", "gradient", "running statistics")
    return {label: dict(zip(names, map(difference, own, reference), strict=True)) for label, own in found.items()}
