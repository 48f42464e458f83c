"""A training run as a user starts it, and what k-NN makes of its embeddings on test."""

import json
import shutil
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gpu_sections.bench import Bench
from gpu_sections.pictures import cifar10, synthetic
from gpu_sections.trainer import cifar_recipe
from twofold.console import console
from twofold.data import ImageSet
from twofold.evaluation.features import embed_images
from twofold.evaluation.knn import build_knn_monitor, knn
from twofold.evaluation.predictions import top1
from twofold.runs.encoder_file import load
from twofold.training.loop import pretrain


def train(bench: Bench) -> None:
    """`--train-seconds` of CIFAR-10, or of synthetic images where `--data` was not given."""
    name = "cifar10" if bench.data else "synthetic"
    bench.measure(f"{name}: run", lambda: _run(bench, _images(bench), compile=bench.on_gpu))
    bench.measure(f"{name}: k-NN on test, all labels", lambda: _knn(bench, _images(bench)))


def _images(bench: Bench) -> ImageSet:
    if bench.data:
        return cifar10(bench.data, bench.work)
    return synthetic(bench.work, bench.pick(20000, 200), 32, seed=3)


def _run(bench: Bench, images: ImageSet, *, compile: bool) -> dict[str, Any]:
    out = _folder(bench)
    shutil.rmtree(out, ignore_errors=True)
    seconds = bench.pick(min(bench.train_s, bench.left_s() - 25), 0.5)
    recipe = cifar_recipe(bench, base_lr=0.1, warmup_fraction=0.02).with_settings(
        minutes=seconds / 60, device=str(bench.device), precision=bench.pick("bf16", "fp32"), compile=compile
    )
    before, console.muted = console.muted, True
    start = time.perf_counter()
    try:
        pretrain(images, out=out, recipe=recipe, monitors=(build_knn_monitor,))
    finally:
        console.muted = before
    total = time.perf_counter() - start
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    logged = [row for row in rows if "images_per_s" in row]
    some = [logged[int(place)] for place in np.linspace(0, len(logged) - 1, 6)]
    return {
        "s asked": seconds,
        "s of pretrain()": total,
        "s of training": logged[-1]["elapsed_s"],
        "steps": logged[-1]["step"],
        "epochs": logged[-1]["epoch"],
        "images/s, median of the log": statistics.median(row["images_per_s"] for row in logged),
        "wait share": statistics.median(row["wait_share"] for row in logged),
        "loss": [round(row["loss"], 4) for row in some],
        "knn on selection": [(row["step"], round(row["knn_top1"], 4)) for row in rows if "knn_top1" in row],
    }


def _knn(bench: Bench, images: ImageSet) -> dict[str, float]:
    loaded, bank, test = load(_folder(bench)), images.rows("train"), images.rows("test")
    start = time.perf_counter()
    known, asked = (
        embed_images(loaded.encoder, images, rows, views=loaded.recipe.views, hardware=loaded.hardware)
        for rows in (bank, test)
    )
    embedded = time.perf_counter()
    h, labels, queries = (torch.from_numpy(part) for part in (known, images.class_ids[bank], asked))
    predicted = knn(h, labels, queries, k=20).numpy()
    return {
        "top1": top1(images.class_ids[test], predicted),
        "train images": len(bank),
        "test images": len(test),
        "s embedding": embedded - start,
        "s voting": time.perf_counter() - embedded,
    }


def _folder(bench: Bench) -> Path:
    return bench.work / "run"
