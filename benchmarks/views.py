"""Views per second and core beside lightly, kornia and torchvision: the same policy, one thread each, in turn.

Run it alone on a quiet machine:  python benchmarks/views.py       (about 5 minutes; needs the `bench` extra)
Decoded random images in memory -> both views as float32 tensors. Every library draws its own parameters for each
view and resizes bilinearly with antialiasing where it can; twofold's default, bicubic, has a row of its own.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from results import machine, save
from torch import Tensor

from twofold.hardware.allocator import keep_freed_memory
from twofold.recipes.recipe import ViewsRecipe
from twofold.views import build_policy, sample_views, two_views

SETTINGS = {
    "32 px": {"size": 32, "from": 32, "batch": 256, "blur": False, "strength": 0.5},
    "224 px from 256 px": {"size": 224, "from": 256, "batch": 32, "blur": True, "strength": 1.0},
}
JITTER = (0.8, 0.8, 0.8, 0.2)


def pictures(setting: dict[str, Any]) -> Tensor:
    side = setting["from"]
    shape = (setting["batch"], 3, side, side)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def as_pil(images: Tensor) -> list[Image.Image]:
    return [Image.fromarray(np.ascontiguousarray(image.permute(1, 2, 0).numpy())) for image in images]


def ours(setting: dict[str, Any], interpolation: str) -> Callable[[], object]:
    images, size = pictures(setting), setting["size"]
    sizes = torch.full((len(images), 2), setting["from"])
    policy = "simclr" if setting["blur"] else "small"
    policy_ops = build_policy(ViewsRecipe(size_px=size, policy=policy, strength=setting["strength"]))
    step = 0

    def make() -> Tensor:
        nonlocal step
        step += 1
        draws = sample_views(policy_ops, len(images), seed=0, step=step)
        return two_views(images, sizes, draws, size_px=size, interpolation=interpolation)

    return make


def lightly(setting: dict[str, Any]) -> Callable[[], object]:
    from lightly.transforms import SimCLRTransform

    transform = SimCLRTransform(
        input_size=setting["size"], cj_strength=setting["strength"], gaussian_blur=0.5 if setting["blur"] else 0.0
    )
    images = as_pil(pictures(setting))
    return lambda: torch.stack([view for image in images for view in transform(image)])


def kornia(setting: dict[str, Any]) -> Callable[[], object]:
    from kornia import augmentation

    size, factors = setting["size"], [setting["strength"] * x for x in JITTER]
    ops = [
        augmentation.RandomResizedCrop((size, size), scale=(0.08, 1.0)),
        augmentation.RandomHorizontalFlip(p=0.5),
        augmentation.ColorJitter(*factors, p=0.8),
        augmentation.RandomGrayscale(p=0.2),
    ]
    if setting["blur"]:
        ops.append(augmentation.RandomGaussianBlur((23, 23), (0.1, 2.0), p=0.5))
    transform, images = augmentation.AugmentationSequential(*ops, same_on_batch=False), pictures(setting)

    def make() -> Tensor:
        pixels = images.float() / 255
        return torch.cat([transform(pixels), transform(pixels)])

    return make


def torchvision_v1(setting: dict[str, Any]) -> Callable[[], object]:
    from torchvision import transforms

    images, transform = as_pil(pictures(setting)), _torchvision(transforms, setting, transforms.ToTensor())
    return lambda: torch.stack([transform(image) for image in images for _ in range(2)])


def torchvision_v2(setting: dict[str, Any]) -> Callable[[], object]:
    from torchvision.transforms import v2

    images, transform = pictures(setting), _torchvision(v2, setting, v2.ToDtype(torch.float32, scale=True))
    return lambda: torch.stack([transform(image) for image in images for _ in range(2)])


def _torchvision(transforms: Any, setting: dict[str, Any], last: Any) -> Any:
    factors = [setting["strength"] * x for x in JITTER]
    ops = [
        transforms.RandomResizedCrop(setting["size"], scale=(0.08, 1.0)),
        transforms.RandomHorizontalFlip(),
        transforms.RandomApply([transforms.ColorJitter(*factors)], p=0.8),
        transforms.RandomGrayscale(p=0.2),
    ]
    if setting["blur"]:
        ops.append(transforms.RandomApply([transforms.GaussianBlur(23, (0.1, 2.0))], p=0.5))
    return transforms.Compose([*ops, last])


MAKERS: dict[str, Callable[[dict[str, Any]], Callable[[], object]]] = {
    "twofold": lambda setting: ours(setting, "bilinear"),
    "twofold, bicubic": lambda setting: ours(setting, "bicubic"),
    "lightly": lightly,
    "kornia": kornia,
    "torchvision v1": torchvision_v1,
    "torchvision v2": torchvision_v2,
}


def rate(make: Callable[[], object], views: int, seconds: float) -> float:
    """Views a second, over at least `seconds`."""
    start, count = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - start) < seconds or count == 0:
        make()
        count += views
    return count / elapsed if elapsed else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()  # as the command line does
    tables = []
    for title, setting in SETTINGS.items():
        makers = {name: build(setting) for name, build in MAKERS.items()}
        for make in makers.values():
            make()
        rounds = []
        for _ in range(options.rounds):
            rounds.append({name: rate(make, 2 * setting["batch"], options.seconds) for name, make in makers.items()})
            print(title, {name: round(value) for name, value in rounds[-1].items()}, flush=True)
        rows = []
        for name in makers:
            ratios = [one["twofold"] / one[name] for one in rounds]
            ratio = {"median": statistics.median(ratios), "low": min(ratios), "high": max(ratios)}
            rows.append({"name": name, "views_per_s": statistics.median(one[name] for one in rounds), "ratio": ratio})
        tables.append({"title": title, "rows": rows})
    names = ("lightly", "kornia", "torchvision")
    versions = {name: version(name).split("+")[0] for name in names}
    save(Path(__file__).stem, {"machine": machine(), "rounds": options.rounds, "versions": versions, "tables": tables})


if __name__ == "__main__":
    main()
