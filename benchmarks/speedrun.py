"""The best linear probe that 15 minutes of pretraining on this machine can buy on CIFAR-10, beside lightly's loop.

Run it alone:  python benchmarks/speedrun.py CIFAR10 --out runs/speedrun      (about 70 minutes)
CIFAR10 is the folder with train/CLASS/*.jpg and test/CLASS/*.jpg. Every encoder is frozen and measured by the same
code: L2 of the probe chosen on images cut from train (two splits), then fitted on all of train, test looked at once.
Started again with the same --out it continues.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import torchvision
from lightly_loop import Loop, Normalised
from results import machine, save
from torch import nn

import twofold
from twofold.data import load_images
from twofold.evaluation import evaluate_encoder, mean_interval
from twofold.hardware.allocator import keep_freed_memory
from twofold.hardware.device import Hardware
from twofold.recipes.recipe import DataRecipe, ViewsRecipe
from twofold.runs.encoder_file import build_untrained

RECIPE = "cifar10-laptop"
SETTINGS = {"base-lr": 0.6, "weight-decay": 3e-4}
SIZE_PX = 32


def ours(data: Path, out: Path, seed: int, minutes: float) -> dict[str, Any]:
    """A run of the command line, then its measurement."""
    flags = [word for name, value in SETTINGS.items() for word in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "twofold", "pretrain", str(data), "--recipe", RECIPE, "--out", str(out)]
    command += ["--minutes", str(minutes), "--processes", "2", "--seed", str(seed), *flags]
    subprocess.run(command, check=True)
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    loaded = twofold.load(out)
    last = max((row for row in rows if "elapsed_s" in row), key=lambda row: row["step"])
    figures = measured(
        loaded.encoder,
        lambda other: build_untrained(loaded.recipe, other, loaded.hardware),
        data,
        loaded.recipe.views,
        loaded.hardware,
    )
    return {"seed": seed, "minutes": last["elapsed_s"] / 60, "epochs": last["epoch"], **figures}


def lightly(data: Path, seed: int, minutes: float) -> dict[str, Any]:
    """ResNet-18 with its ImageNet stem, as documented: the faster of lightly's two, batch 256."""
    torch.manual_seed(seed)
    settings: dict[str, Any] = {"encoder": "resnet18", "stem": "imagenet", "size_px": SIZE_PX, "batch_size": 256}
    loop = Loop(data / "train", **settings, tuned=False, blur=False)
    loop.encoder.train()
    start, steps = time.monotonic(), 0
    while time.monotonic() - start < minutes * 60:
        loss = loop.step()
        steps += 1
        if steps % 50 == 0:
            print(f"lightly: step {steps}, loss {loss:.3f}, {steps * 256 / (time.monotonic() - start):.0f} images/s")
    taken = time.monotonic() - start
    views = ViewsRecipe(size_px=SIZE_PX, eval_crop_fraction=1.0)
    figures = measured(Normalised(loop.encoder), _fresh, data, views, Hardware(torch.device("cpu"), "fp32"))
    return {"seed": seed, "minutes": taken / 60, "epochs": steps * 256 / 50_000, **figures}


def _fresh(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    network = torchvision.models.resnet18()
    network.fc = nn.Identity()
    return Normalised(network)


def measured(encoder: nn.Module, untrained: Any, data: Path, views: ViewsRecipe, hardware: Hardware) -> dict[str, Any]:
    """Linear and k-NN top-1 on test with all labels: the encoder, the same untrained, raw pixels."""
    images = load_images(data, recipe=DataRecipe(), store_px=2 * SIZE_PX, cache=None, show_progress=False)
    evaluation = evaluate_encoder(
        encoder,
        untrained=untrained,
        images=images,
        views=views,
        data=DataRecipe(),
        hardware=hardware,
        seeds=2,
        few_seeds=2,
        shots=(10,),
    )
    return {
        f"{row.protocol} {row.encoder}": row.mean
        for row in evaluation.rows
        if row.labels == "all" and row.metric == "top1"
    }


def kept(path: Path, make: Any) -> dict[str, Any]:
    """What `make` gives, made once."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(make()))
    return json.loads(path.read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=14.5, help="asked for; the minutes taken are reported")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--peer-seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--peer-minutes", type=float, default=15.0)
    options = parser.parse_args()
    keep_freed_memory()  # as the command line does
    runs = []
    for seed in options.seeds:
        out = options.out / f"seed{seed}"
        make = lambda seed=seed, out=out: ours(options.data, out, seed, options.minutes)  # noqa: E731
        runs.append(kept(options.out / f"seed{seed}.json", make))
        print(runs[-1], flush=True)
    peers = []
    for seed in options.peer_seeds:
        make = lambda seed=seed: lightly(options.data, seed, options.peer_minutes)  # noqa: E731
        peers.append(kept(options.out / f"lightly{seed}.json", make))
        print(peers[-1], flush=True)
    accuracies = [run["linear trained"] for run in runs]
    mean, low, high = mean_interval(accuracies)
    difference = mean - statistics.mean(peer["linear trained"] for peer in peers)
    print(f"linear {mean:.2%} ({low:.2%} to {high:.2%}), {difference:.2%} above lightly's loop")
    save(
        Path(__file__).stem,
        {
            "machine": machine(),
            "lightly": version("lightly"),
            "recipe": RECIPE,
            "settings": SETTINGS,
            "runs": runs,
            "peers": peers,
            "linear": {"mean": mean, "low": low, "high": high},
            "above_lightly": difference,
        },
    )


if __name__ == "__main__":
    main()
