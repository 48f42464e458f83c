"""How fast the training loop is and where its time goes; what compiling gives; the loss by the size of the batch."""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gpu_sections.bench import Bench
from gpu_sections.machine import matrix_rate
from gpu_sections.pictures import synthetic
from gpu_sections.trainer import Trainer, as_loaded, big_recipe, cifar_recipe, draws_of, hardware_of, loop
from twofold.data import ImageSet
from twofold.distributed import World
from twofold.losses import contrast_measures, nt_xent, nt_xent_dense, nt_xent_tiled
from twofold.recipes.recipe import Recipe
from twofold.speed.step_profile import profile_steps
from twofold.speed.sweep import flops_per_view
from twofold.training.graph import record_graph
from twofold.training.step import make_views
from twofold.views import take_rows

_DENSE_BYTES = 60 * 2**30  # that the dense loss may take: five matrices of 2N x 2N


def cifar(bench: Bench) -> None:
    images = synthetic(bench.work, bench.pick(20000, 100), 32)
    recipe = cifar_recipe(bench)
    _whole(bench, recipe, images, "resnet18 small, 512")
    cases: dict[str, dict[str, Any]] = {
        "batch 1024": {"batch_size": 1024},
        "chunks of 128": {"chunk": 128},
        "batch 256": {"batch_size": 256},
        "lars": {"optimizer": "lars"},
    }
    if bench.tiny:
        cases = {"chunks of 8": {"chunk": 8}}
    for name, more in cases.items():
        bench.measure(f"loop {name}", lambda m=more: _loop(bench, recipe.with_settings(**m), images, 3), needs_s=6)
    bench.measure("loop images on the device", lambda: _loop(bench, recipe, images, 3, resident=True), needs_s=6)


def big(bench: Bench) -> None:
    images = synthetic(bench.work, bench.pick(400, 40), bench.pick(256, 40))
    mixed = synthetic(bench.work, bench.pick(320, 20), bench.pick(448, 40), mixed=True, seed=1)
    recipe, label = big_recipe(bench), "resnet50 224 from mixed 448 to 895 px, 256"
    bench.measure("resnet50 224 from 256 px, 256: the loop", lambda: _loop(bench, recipe, images, 5))
    bench.measure(f"{label}: the loop", lambda: _loop(bench, recipe, mixed, 6))
    bench.measure(f"{label}: a batch", lambda: _batch(bench, recipe, mixed))
    _whole(bench, recipe, images, "resnet50 224 from 256 px, 256", with_loop=False)


def _whole(bench: Bench, recipe: Recipe, images: ImageSet, label: str, *, with_loop: bool = True) -> None:
    """The loop, and its parts each for itself."""
    if with_loop:
        bench.measure(f"{label}: the loop", lambda: _loop(bench, recipe, images, 5))
    trainer = Trainer(recipe, hardware_of(bench.device))
    batch = as_loaded(bench, images.read(images.rows("train")[: recipe.schedule.batch_size]))
    draws = draws_of(recipe)
    bench.measure(f"{label}: parts", lambda: _parts(recipe, trainer, images, bench.pick(12, 3)))
    bench.measure(
        f"{label}: views ms",
        lambda: 1e3 * bench.wall_s(lambda: make_views(batch, draws, recipe.views, trainer.hardware), 10),
    )
    bench.measure(
        f"{label}: views profiled",
        lambda: bench.kernels(lambda: make_views(batch, draws, recipe.views, trainer.hardware)),
    )
    bench.measure(f"{label}: encoder and head alone", lambda: _alone(bench, trainer, trainer.views(batch)))
    bench.measure(f"{label}: one step profiled", lambda: bench.kernels(lambda: trainer.step(batch)))
    bench.measure(
        f"{label}: drawing for a step, ms",
        lambda: 1e3 * bench.median_s(lambda: take_rows(draws_of(recipe, step=1), trainer.share.positions)),
    )
    bench.measure(f"{label}: optimizer ms", lambda: 1e3 * bench.wall_s(trainer.state.optimizer.step, 20))


def _loop(bench: Bench, recipe: Recipe, images: ImageSet, seconds: float, *, resident: bool = False) -> dict[str, Any]:
    return loop(bench, Trainer(recipe, hardware_of(bench.device)), images, seconds, resident=resident)


def _parts(recipe: Recipe, trainer: Trainer, images: ImageSet, steps: int) -> dict[str, Any]:
    found = profile_steps(recipe, trainer.hardware, images, world=World(), share=trainer.share, steps=steps)
    return {
        "step ms, waiting after each part": 1e3 * found.step_s,
        "images/s": found.images_per_s,
        "encoder share": found.encoder_share,
        "ms": {part: round(1e3 * seconds, 3) for part, seconds in found.parts_s.items()},
    }


def _alone(bench: Bench, trainer: Trainer, views: Tensor) -> dict[str, float]:
    """Encoder and head, forward and backward."""
    seconds = bench.wall_s(lambda: trainer.pass_through(views), 10)
    bench.sync()
    start = time.perf_counter()
    trainer.pass_through(views)
    queued = time.perf_counter() - start
    flops = flops_per_view(trainer.recipe, hardware_of(bench.device, "fp32"))
    rate = len(views) * flops / seconds / 1e12
    return {
        "ms": 1e3 * seconds,
        "ms of the host to queue it": 1e3 * queued,
        "GFLOP a view, forward and backward": flops / 1e9,
        "TFLOP/s": rate,
        "share of the matrix rate": rate / matrix_rate(bench),
    }


def _batch(bench: Bench, recipe: Recipe, images: ImageSet) -> dict[str, Any]:
    """What it takes to read a batch of images of mixed sizes and to make its views."""
    rows, hardware = images.rows("train")[: recipe.schedule.batch_size], hardware_of(bench.device)
    batch, draws = as_loaded(bench, images.read(rows)), draws_of(recipe)
    return {
        "canvas": list(batch.images.shape),
        "read ms": 1e3 * bench.median_s(lambda: images.read(rows), 3, 1),
        "read, as loaded, ms": 1e3 * bench.median_s(lambda: as_loaded(bench, images.read(rows)), 3, 1),
        "to the device ms": 1e3 * bench.median_s(lambda: batch.images.to(bench.device), 3, 1),
        "views ms": 1e3 * bench.wall_s(lambda: make_views(batch, draws, recipe.views, hardware), 3, 1),
    }


def compiled(bench: Bench) -> None:
    """`--compile True` beside the step as it is, in the training loop: encoder and views compiled, one CUDA graph."""
    for name, recipe, images, needs_s in (
        ("resnet18 small, 512", cifar_recipe(bench), synthetic(bench.work, bench.pick(20000, 100), 32), 0.0),
        ("resnet50 224, 256", big_recipe(bench), synthetic(bench.work, bench.pick(400, 40), bench.pick(256, 40)), 50.0),
    ):
        if bench.tiny and needs_s:
            return
        bench.measure(f"{name}: compiled", lambda r=recipe, i=images: _beside(bench, r, i), needs_s=needs_s)


def _beside(bench: Bench, recipe: Recipe, images: ImageSet) -> dict[str, Any]:
    trainer = _compiled(bench, recipe)
    batch = as_loaded(bench, images.read(images.rows("train")[: recipe.schedule.batch_size]))
    found = loop(bench, trainer, images, 4) | {"one step profiled": bench.kernels(lambda: trainer.step(batch))}
    if bench.on_gpu:
        found["ms of encoder and head alone, as a graph"] = _alone_as_graph(bench, trainer, trainer.views(batch))
    del trainer
    bench.free()
    return {"compiled": found, "as it is": loop(bench, Trainer(recipe, hardware_of(bench.device)), images, 3)}


def _alone_as_graph(bench: Bench, trainer: Trainer, views: Tensor) -> float:
    def work() -> Tensor:
        trainer.pass_through(views)
        return views

    replay, _ = record_graph(work, bench.device)
    return 1e3 * bench.wall_s(replay, 20)


def _compiled(bench: Bench, recipe: Recipe) -> Trainer:
    if not bench.tiny:
        return Trainer(recipe.with_settings(compile=True), hardware_of(bench.device, compiled=True))
    trainer = Trainer(recipe, hardware_of(bench.device))
    trainer.state.model.encoder.compile(backend="eager")  # without a compiler, and within seconds
    return trainer


def loss(bench: Bench) -> None:
    """Value and gradient by the number of images."""
    for n in bench.pick((8192, 512, 2048, 65536, 4096, 1024, 16384, 32768), (16, 32)):
        bench.measure(f"N={n}", lambda n=n: _losses(bench, n), needs_s=n / 5000)


def _losses(bench: Bench, n: int, p: int = 128) -> dict[str, dict[str, float | None]]:
    z = torch.randn(2, n, p, device=bench.device)
    ways: dict[str, Callable[[Tensor], Tensor]] = {"as chosen": lambda a: nt_xent(a[0], a[1], temperature=0.1)}
    if 5 * 4 * (2 * n) ** 2 < _DENSE_BYTES:
        ways["dense"] = lambda a: nt_xent_dense(a[0], a[1], temperature=0.1)
    for tile in bench.pick((768, 2048, 4096, 8192), (8,)):
        if tile <= max(n, 768) and (tile > 768 or n < 30000):  # 65,536 in tiles of 768 takes 4 s a time
            ways[f"tiled {tile}"] = lambda a, t=tile: nt_xent_tiled(a[0], a[1], temperature=0.1, tile=t)
    row: dict[str, dict[str, float | None]] = {}
    for name, way in ways.items():
        row[name] = _value_and_gradient(bench, z, way)
    seconds = bench.wall_s(lambda: contrast_measures(z[0], z[1], temperature=0.1), 3, 1)
    return row | {"contrast_measures": {"ms": 1e3 * seconds}}


def _value_and_gradient(bench: Bench, z: Tensor, way: Callable[[Tensor], Tensor]) -> dict[str, float | None]:
    own = z.clone().requires_grad_()
    bench.free()
    before = bench.peak_gib()

    def work() -> None:
        own.grad = None
        way(own).backward()

    count = 1 if len(z[0]) > 20000 else 5
    seconds = bench.wall_s(work, count, min(count, 2))
    extra = None if before is None else 1024 * ((bench.peak_gib() or 0.0) - before)
    return {"ms": 1e3 * seconds, "MiB": extra}
