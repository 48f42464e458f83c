"""A training loop of your own, from Twofold's parts: the same losses, step by step, as `twofold.pretrain`.

python examples/own_loop.py        trains both on made-up images in a few seconds and prints their losses

Every part works alone on plain tensors. The views, the order of the images and the weights are functions of the seed,
so the two curves are the same.
"""

import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import twofold

SIZE_PX, BATCH, STEPS, PEAK, SEED = 16, 8, 12, 0.1, 0
ENCODER = {"width": 0.25, "stages": 2, "stem": "strided"}


def write_images(folder: Path, count: int = 24, side_px: int = 24) -> Path:
    """Made-up images: stripes of two colours, in every direction."""
    random, (y, x) = np.random.default_rng(0), np.mgrid[:side_px, :side_px]
    folder.mkdir(parents=True)
    for number in range(count):
        along, across = random.normal(0, 0.7, 2)
        stripes = np.sin(along * x + across * y)[..., None] > 0
        pixels = np.where(stripes, *random.integers(0, 256, (2, 3))) + random.normal(0, 10, (side_px, side_px, 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{number:03}.png")
    return folder


def own_loop(folder: Path) -> list[float]:
    """The loss of each step."""
    files = sorted(folder.iterdir())
    images = torch.stack([torch.from_numpy(np.asarray(Image.open(file)).copy()) for file in files]).permute(0, 3, 1, 2)
    torch.manual_seed(SEED)
    encoder = twofold.ResNet(10, **ENCODER)
    model = twofold.SimCLR(encoder, twofold.ProjectionHead(encoder.dim, z_dim=32))
    model = model.train().to(memory_format=torch.channels_last)
    two_views = twofold.TwoViews("small", size_px=SIZE_PX, seed=SEED)
    optimizer = twofold.LARS(model, lr=PEAK, weight_decay=1e-6)
    losses = []
    for step in range(STEPS):
        batch = images[twofold.rows_of_step(np.arange(len(images)), BATCH, SEED, step)]
        _, z = model(two_views(batch).contiguous(memory_format=torch.channels_last))  # all a, then all b, in one pass
        loss = twofold.nt_xent(*z.chunk(2), temperature=0.1)
        optimizer.zero_grad()
        loss.backward()
        for group in optimizer.param_groups:
            group["lr"] = twofold.lr_at(step, steps=STEPS, warmup_steps=1, peak=PEAK)
        optimizer.step()
        losses.append(loss.item())
    return losses


def pretrained(folder: Path, out: Path) -> list[float]:
    """The same by `twofold.pretrain`: the losses that it writes down."""
    run = twofold.pretrain(
        folder,
        out=out,
        recipe=twofold.Recipe(),
        encoder="resnet10",
        **ENCODER,
        policy="small",
        size_px=SIZE_PX,
        z_dim=32,
        batch_size=BATCH,
        epochs=STEPS * BATCH / len(list(folder.iterdir())),
        warmup_fraction=1 / STEPS,
        base_lr=PEAK,
        lr_scaling="none",
        device="cpu",
        precision="fp32",
        cache=out.parent / "cache",
        verbose=False,
    )
    rows = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    return [row["loss"] for row in rows if "loss" in row]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        images = write_images(Path(home) / "images")
        for step, losses in enumerate(zip(own_loop(images), pretrained(images, Path(home) / "run"), strict=True)):
            print("step {:2}  own loop {:.6f}  twofold.pretrain {:.6f}".format(step, *losses))
