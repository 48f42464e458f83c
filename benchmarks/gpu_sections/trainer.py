"""The recipes that are measured, and training steps of them on given images."""

import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gpu_sections.bench import Bench
from twofold.data import ImageBatch, ImageSet, Loader
from twofold.data.resident import place_images
from twofold.distributed import World
from twofold.hardware.device import Hardware
from twofold.hardware.peak_memory import available_memory
from twofold.recipes.recipe import Recipe, ScheduleRecipe
from twofold.training.averages import Window
from twofold.training.graph import build_step
from twofold.training.step import StepSetup, build_state, make_views, train_step
from twofold.views import Draw, build_policy, sample_views

SMALL: dict[str, Any] = {"encoder": "resnet10", "width": 0.25, "stem": "small", "policy": "small", "optimizer": "sgd"}


def recipe_of(batch_size: int, **settings: Any) -> Recipe:
    """A recipe by its settings."""
    base = Recipe(schedule=ScheduleRecipe(batch_size=batch_size, epochs=1.0), name="gpu")
    return base.with_settings(**settings)


def cifar_recipe(bench: Bench, batch_size: int = 512, **more: Any) -> Recipe:
    """ResNet-18 with the small-image stem, views of 32 x 32, SGD."""
    settings: dict[str, Any] = {
        "encoder": "resnet18",
        "stem": "small",
        "size_px": 32,
        "policy": "small",
        "strength": 0.5,
        "temperature": 0.5,
        "optimizer": "sgd",
        "base_lr": 0.03,
        "weight_decay": 5e-4,
        "crop_area": (0.2, 1.0),
        "eval_crop_fraction": 1.0,
    }
    if bench.tiny:
        settings, batch_size = settings | {"encoder": "resnet10", "width": 0.25, "size_px": 16}, min(batch_size, 16)
    return recipe_of(batch_size, **(settings | more))


def big_recipe(bench: Bench, batch_size: int = 256, **more: Any) -> Recipe:
    """ResNet-50, views of 224 x 224, LARS: the paper's."""
    settings: dict[str, Any] = {"encoder": "resnet50", "size_px": 224, "policy": "simclr", "temperature": 0.1}
    if bench.tiny:
        settings, batch_size = settings | {"encoder": "resnet10", "width": 0.25, "size_px": 32}, min(batch_size, 8)
    return recipe_of(batch_size, **(settings | more))


def hardware_of(device: str | torch.device, precision: str = "bf16", *, compiled: bool = False) -> Hardware:
    """A device with its precision; compiled: as `--compile True` resolves it on a GPU."""
    return Hardware(torch.device(device), precision, compiled=compiled)


def as_loaded(bench: Bench, batch: ImageBatch) -> ImageBatch:
    """A batch in the memory into which the loader of a training run reads."""
    return batch.pinned() if bench.on_gpu else batch


def draws_of(recipe: Recipe, *, seed: int = 0, step: int = 0) -> Sequence[Draw]:
    """What `train_step` draws for the views of a step in one process."""
    return sample_views(build_policy(recipe.views), recipe.schedule.batch_size, seed=seed, step=step)


class Trainer:
    """A training state, and steps of it."""

    def __init__(self, recipe: Recipe, hardware: Hardware, world: World | None = None) -> None:
        self.recipe, self.hardware, self.world = recipe, hardware, world or World()
        self.share = self.world.share(recipe.schedule.batch_size, recipe.schedule.fixed_chunk)
        self.state = build_state(recipe, hardware, peak=0.1, world=self.world)
        self._step = build_step(train_step, self.state, StepSetup.of(recipe, hardware, self.world, self.share))

    def step(self, batch: ImageBatch, lr: float = 1e-3) -> dict[str, Tensor]:
        """One step; `batch` holds this process' images."""
        return self._step(batch, lr=lr)

    def views(self, batch: ImageBatch) -> Tensor:
        """Both views of a batch of images, as the first step makes them."""
        return make_views(batch, draws_of(self.recipe), self.recipe.views, self.hardware)

    def pass_through(self, views: Tensor) -> None:
        """Encoder and head on views that are there already: forward, the mean of z's squares, backward."""
        with self.hardware.autocast():
            z = self.state.model(views)[1]
        self.state.optimizer.zero_grad(set_to_none=True)
        z.float().square().mean().backward()

    def weights(self) -> dict[str, Tensor]:
        """Weights and running statistics, in float64 on the CPU."""
        return {name: value.detach().cpu().double() for name, value in self.state.model.state_dict().items()}

    def vector(self) -> Tensor:
        """All trained numbers in one vector."""
        return torch.cat([weight.detach().cpu().double().reshape(-1) for weight in self.state.model.parameters()])


def loop(bench: Bench, trainer: Trainer, images: ImageSet, seconds: float, *, resident: bool = False) -> dict[str, Any]:
    """The training loop for so long: loader, step and window as in pretraining; no looks and no checkpoints.

    `resident`: with the images on the device, where it is a GPU.
    """
    device, rows = trainer.hardware.device, images.rows("train")
    size, seconds, begun = trainer.recipe.schedule.batch_size, bench.pick(seconds, 0.0), time.perf_counter()
    loader = Loader(
        images,
        rows,
        batch_size=size,
        seed=0,
        last_step=10**6,
        positions=trainer.share.positions.numpy(),
        pinned=bench.on_gpu,
        resident=place_images(images, rows, device, memory=available_memory(device), asked=None) if resident else None,
    )
    window, batches = Window(), iter(loader)
    for _ in range(bench.pick(5, 1)):
        window.add(trainer.step(next(batches)))
    bench.sync()
    waited, count, in_steps, start = loader.wait_s, 0, 0.0, time.perf_counter()
    while time.perf_counter() - start < seconds or count < 3:
        began = time.perf_counter()
        window.add(trainer.step(next(batches)))
        in_steps += time.perf_counter() - began
        count += 1
    bench.sync()
    taken = time.perf_counter() - start
    batches.close()  # type: ignore[attr-defined]  # a generator, whose thread ends here
    return {
        "step ms": 1e3 * taken / count,
        "images/s": count * size / taken,
        "wait share": (loader.wait_s - waited) / taken,
        "host ms in a step": 1e3 * in_steps / count,
        "steps": count,
        "s of the first steps": start - begun,
        "peak GiB": bench.peak_gib(),
    }
