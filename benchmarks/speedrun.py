"""The best linear probe that 15 minutes of pretraining on this machine can buy on CIFAR-10, beside lightly.

Run it alone:  python benchmarks/speedrun.py CIFAR10 --out runs/speedrun      (about 2.5 hours; `bench` extra)
CIFAR10 is the folder with train/CLASS and test/CLASS (tools/make_data.py). Twofold stands beside lightly's loop with
the same encoder, views, batch, temperature, momentum, weight decay and warm-up, bf16 and channels-last, for the same
seconds; both choose their learning rate among RATES by short trainings, on images cut from train. Then the same seeds
train each, and the difference is paired. lightly's loop as documented is a row beside them, of one seed.
Every encoder is frozen and measured by the same code; test is looked at once. Started again with the same --out it
continues.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from few_labels import on_selection
from lightly_loop import Loop, Normalised, documented, tuned
from results import machine, save
from torch import nn

import twofold
from twofold.data import load_images
from twofold.evaluation import Evaluation, Settings, Subject, evaluate_encoder, mean_interval
from twofold.evaluation.intervals import estimate
from twofold.hardware.allocator import keep_freed_memory
from twofold.hardware.device import Hardware, resolve_hardware
from twofold.models import build_encoder
from twofold.optim import lr_at
from twofold.recipes.named.cifar10_laptop import RECIPE as AS_NAMED
from twofold.recipes.recipe import ViewsRecipe
from twofold.runs.encoder_file import build_untrained

RECIPE = AS_NAMED.with_settings(weight_decay=3e-4)
RATES = (0.2, 0.6, 1.8)
SIDES = ("twofold", "lightly")
CHOOSING_SEED = 1000  # no final training's
SIZE_PX = 32  # of lightly as documented
TICKS = 1000  # of the learning rate's schedule, which follows the clock


def ours(data: Path, out: Path, *, seed: int, minutes: float, rate: float, selection: bool = False) -> dict[str, Any]:
    """A run of the command line, then its measurement."""
    command = [sys.executable, "-m", "twofold", "pretrain", str(data), "--recipe", RECIPE.name, "--out", str(out)]
    command += ["--minutes", str(minutes), "--processes", "2", "--seed", str(seed), "--base-lr", str(rate)]
    subprocess.run([*command, "--weight-decay", str(RECIPE.optim.weight_decay)], check=True)
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    loaded = twofold.load(out)
    last = max((row for row in rows if "elapsed_s" in row), key=lambda row: row["step"])
    figures = measured(
        loaded.encoder,
        lambda other: build_untrained(loaded.recipe, other, loaded.hardware),
        data,
        loaded.recipe.views,
        loaded.hardware,
        selection=selection,
    )
    return {"seed": seed, "rate": rate, "minutes": last["elapsed_s"] / 60, "epochs": last["epoch"], **figures}


def lightly_tuned(data: Path, *, seed: int, minutes: float, rate: float, selection: bool = False) -> dict[str, Any]:
    """lightly's loop with the recipe's encoder and settings; warm-up and cosine over the same seconds."""
    torch.manual_seed(seed)
    loop = tuned(data / "train", RECIPE)
    warmup = round(RECIPE.optim.warmup_fraction * TICKS)
    peak = rate * RECIPE.schedule.batch_size / 256

    def rate_at(share: float) -> float:
        return lr_at(int(share * TICKS), steps=TICKS, warmup_steps=warmup, peak=peak)

    taken = trained(loop, RECIPE.schedule.batch_size, minutes, rate_at)

    def fresh(other: int) -> nn.Module:
        torch.manual_seed(other)
        return Normalised(build_encoder(RECIPE.encoder, channels=RECIPE.data.channels))

    hardware = resolve_hardware(RECIPE.hardware)
    figures = measured(Normalised(loop.encoder), fresh, data, RECIPE.views, hardware, selection=selection)
    return {"seed": seed, "rate": rate, **taken, **figures}


def lightly_documented(data: Path, *, seed: int, minutes: float) -> dict[str, Any]:
    """ResNet-18 with its ImageNet stem, as documented: the faster of lightly's two, batch 256."""
    torch.manual_seed(seed)
    loop = documented(data / "train", encoder="resnet18", stem="imagenet", size_px=SIZE_PX, batch_size=256, blur=False)
    taken = trained(loop, 256, minutes)

    def fresh(other: int) -> nn.Module:
        torch.manual_seed(other)
        network = torchvision.models.resnet18()
        network.fc = nn.Identity()
        return Normalised(network)

    views = ViewsRecipe(size_px=SIZE_PX, eval_crop_fraction=1.0)
    return {
        "seed": seed,
        **taken,
        **measured(Normalised(loop.encoder), fresh, data, views, Hardware(torch.device("cpu"), "fp32")),
    }


def trained(
    loop: Loop, batch_size: int, minutes: float, rate_at: Callable[[float], float] | None = None
) -> dict[str, Any]:
    """Train for `minutes`, at the rate of each share of them; the minutes and epochs that it took."""
    loop.encoder.train()
    start, steps, share = time.monotonic(), 0, 0.0
    while share < 1:
        loss = loop.step(rate_at(share) if rate_at else None)
        steps += 1
        share = (time.monotonic() - start) / (60 * minutes)
        if steps % 50 == 0:
            print(f"lightly: step {steps}, loss {loss:.3f}, {share:.0%}", flush=True)
    return {"minutes": minutes * share, "epochs": steps * batch_size / loop.images}


def measured(
    encoder: nn.Module, untrained: Any, data: Path, views: ViewsRecipe, hardware: Hardware, *, selection: bool = False
) -> dict[str, Any]:
    """Linear and k-NN top-1 with all labels: the encoder, the same untrained, raw pixels; on test or on `selection`.

    `right` has for each test image how many of the two linear probes (of two selection splits) are right.
    """
    images = load_images(data, recipe=RECIPE.data, store_px=2 * SIZE_PX, cache=None, show_progress=False)
    with hardware.arithmetic():
        evaluation = evaluate_encoder(
            Subject(encoder=encoder, untrained=untrained, views=views, hardware=hardware),
            on_selection(images, RECIPE) if selection else images,
            Settings(seeds=(0, 1), shots=()),
            data=RECIPE.data,
        )
    rows = [row for row in evaluation.rows if row.labels == "all" and row.metric == "top1"]
    return {**{f"{row.protocol} {row.encoder}": row.mean for row in rows}, "right": _right(evaluation)}


def _right(evaluation: Evaluation) -> list[int]:
    ways = [one for one in evaluation.predictions if (one.protocol, one.encoder) == ("linear", "trained")]
    return sum((one.predicted == evaluation.answers.truth).astype(int) for one in ways).tolist()


def paired(runs: list[dict[str, Any]], peers: list[dict[str, Any]]) -> dict[str, Any]:
    """The difference of the linear probes' accuracy, image by image and seed by seed, over both."""
    d = np.array([run["right"] for run in runs]) - np.array([peer["right"] for peer in peers])
    mean, low, high = estimate(d / 2, [run["seed"] for run in runs], drawn=True).difference()
    return {"mean": mean, "low": low, "high": high}


def chosen(rates: dict[float, float]) -> float:
    """The rate with the best probe on selection; one at an end of the grid is printed."""
    best = max(rates, key=lambda rate: rates[rate])
    if best in (min(rates), max(rates)):
        print(f"the rate {best:g} is at an end of {', '.join(f'{rate:g}' for rate in rates)}: better may lie beyond")
    return best


def kept(path: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `make` gives, made once; printed."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(make()))
    found = json.loads(path.read_text())
    print(path.stem, {name: value for name, value in found.items() if name != "right"}, flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--minutes", type=float, default=14.5, help="that Twofold plans for; all train as long as that takes"
    )
    parser.add_argument("--choose-minutes", type=float, default=5.0, help="of each training that a rate is chosen by")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--name", default=Path(__file__).stem, help="of the JSON in benchmarks/results")
    options = parser.parse_args()
    keep_freed_memory()  # as the command line does
    data, out = options.data, options.out

    def side_by_side(name: str, minutes: float, rates: dict[str, float], **how: Any) -> dict[str, dict[str, Any]]:
        """Twofold plans its steps for `minutes`; lightly's loop gets the minutes that these then took."""
        run = kept(
            out / f"twofold-{name}.json",
            lambda: ours(data, out / f"twofold-{name}", minutes=minutes, rate=rates["twofold"], **how),
        )
        peer = kept(
            out / f"lightly-{name}.json",
            lambda: lightly_tuned(data, minutes=run["minutes"], rate=rates["lightly"], **how),
        )
        return {"twofold": run, "lightly": peer}

    short = {"seed": CHOOSING_SEED, "selection": True}
    trials = {
        rate: side_by_side(f"rate{rate:g}", options.choose_minutes, dict.fromkeys(SIDES, rate), **short)
        for rate in RATES
    }
    tried = {side: {rate: one[side]["linear trained"] for rate, one in trials.items()} for side in SIDES}
    rates = {side: chosen(one) for side, one in tried.items()}
    pairs = [side_by_side(f"seed{seed}", options.minutes, rates, seed=seed) for seed in options.seeds]
    runs = {side: [pair[side] for pair in pairs] for side in SIDES}
    plain = kept(
        out / "lightly-documented.json",
        lambda: lightly_documented(data, seed=0, minutes=pairs[0]["twofold"]["minutes"]),
    )
    above = paired(runs["twofold"], runs["lightly"])
    print(f"{above['mean']:.2%} above lightly tuned ({above['low']} to {above['high']})")
    mean, low, high = mean_interval([run["linear trained"] for run in runs["twofold"]])
    save(
        options.name,
        {
            "machine": machine(),
            "lightly": version("lightly"),
            "recipe": RECIPE.name,
            "settings": {"base-lr": rates["twofold"], "weight-decay": RECIPE.optim.weight_decay},
            "tried": tried,
            "runs": [_without_images(run) for run in runs["twofold"]],
            "tuned": [_without_images(run) for run in runs["lightly"]],
            "peers": [_without_images(plain)],
            "linear": {"mean": mean, "low": low, "high": high},
            "above_tuned": above,
        },
    )


def _without_images(run: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in run.items() if name != "right"}


if __name__ == "__main__":
    main()
