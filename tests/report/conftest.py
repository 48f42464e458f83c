"""A small run directory with every file, made of invented names, some of them hostile."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from twofold.recipes.recipe import EncoderRecipe, Recipe, ScheduleRecipe

HOSTILE = '\x1b[2J\u202e</script><script>alert("1")</script><b>&amp;'
CLASSES = ["heron", "stork", HOSTILE]
COUNTS = [[8, 2, 0], [1, 9, 0], [4, 1, 5]]
ROWS = [
    ("linear", "trained", "all", 0.9123, 0.9, 0.92),
    ("linear", "untrained", "all", 0.6, 0.58, 0.62),
    ("linear", "pixels", "all", 0.7, 0.68, 0.72),
    ("linear", "trained", 1, 0.4, 0.3, 0.5),
    ("linear", "pixels", 1, 0.45, 0.35, 0.55),
    ("linear", "trained", 10, 0.777, 0.75, 0.8),
    ("knn", "trained", "all", 0.85, 0.84, 0.86),
]


def write_png(path: Path, width: int, height: int) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (200, 30, 30)).save(buffer, "PNG")
    path.write_bytes(buffer.getvalue())


def write_record(run: Path, **changes: Any) -> None:
    recipe = Recipe(
        name="herons", encoder=EncoderRecipe(encoder="resnet18"), schedule=ScheduleRecipe(batch_size=8, epochs=3.0)
    )
    record = {
        "recipe": recipe.to_dict(),
        "steps": 60,
        "plan": {"steps": 60, "warmup_steps": 6, "peak": 0.1, "steps_per_epoch": 20},
        "derived": {"lr": f"0.3 x 8/256 {HOSTILE}"},
        "data": {
            "name": f"/data/{HOSTILE}",
            "fingerprint": "ab" * 32,
            "images": 1234,
            "channels": 3,
            "quarantined": 60,
            "stated": [f"test cut from {HOSTILE}"],
        },
        "versions": {"twofold": "0.1.0", "torch": "2.9.9", "python": "3.11.1"},
        "hardware": {"device": "cpu", "precision": "bf16", "cpu": "Abacus 3000", "threads": 2},
        "started": "2026-01-02T12:00:00",
    }
    (run / "recipe.json").write_text(json.dumps(record | changes))


def write_metrics(run: Path, steps: int = 60) -> None:
    lines = []
    for step in range(steps + 1):
        shared = {"step": step, "epoch": step / 20}
        if step % 20 == 0:
            measures = {"z_std": 0.8, "h_effective_rank": 12.5, "z_effective_rank": 6.0, "alignment": 0.3}
            measures |= {"uniformity": -2.0, "knn_top1": 0.5, "pair_accuracy": 0.021 + step / 100}
            lines.append(json.dumps({**shared, **measures}))
        if step == 0:
            continue  # a look at the untrained encoder
        train = {"loss": 2.7 - step / 60, "contrast_accuracy": step / 100, "lr": 0.1, "images_per_s": 512.0}
        lines.append(json.dumps({**shared, **train, "wait_share": 0.0, "elapsed_s": 1.25 * step}))
    (run / "metrics.jsonl").write_text("\n".join(lines) + "\n")


def write_evaluation(run: Path) -> None:
    names = ("protocol", "encoder", "labels", "mean", "low", "high")
    rows = [dict(zip(names, row, strict=True)) | {"metric": "top1", "seeds": 5} for row in ROWS]
    (run / "evaluation.json").write_text(json.dumps(rows))
    details = {
        "data": "herons",
        "train": 300,
        "selection": 30,
        "test": 30,
        "classes": CLASSES,
        "confusion": COUNTS,
        "chosen_l2": {"trained": [0.1]},
        "stated": [f"looked at the test images once {HOSTILE}"],
        "seconds": 3.5,
    }
    (run / "evaluation_details.json").write_text(json.dumps(details))


def write_gallery(run: Path, *, labelled: bool = True, neighbours: int = 8) -> None:
    rng = np.random.default_rng(0)
    labels = [CLASSES[row % 3] if labelled else "" for row in range(20)]
    np.savez(
        run / "gallery.npz",
        thumbs=rng.integers(0, 256, (20, 12, 12, 3), dtype=np.uint8),
        paths=np.array([f"test/{HOSTILE}/{row}.png" for row in range(20)]),
        labels=np.array(labels),
        xy=rng.normal(size=(20, 2)).astype(np.float32),
        queries=np.arange(12),
        neighbours=(np.arange(12)[:, None] + np.arange(1, 1 + neighbours)) % 20,
        split=np.array("test"),
        searched=np.array(30),
        images=np.array(30),
        split_images=np.array(25),
    )


def row(protocol: str, encoder: str, labels: int | float | str, mean: float, **changes: Any) -> dict[str, Any]:
    """A row of evaluation.json with an interval of 0.02, over five seeds."""
    values = {"protocol": protocol, "encoder": encoder, "labels": labels, "metric": "top1", "mean": mean}
    return values | {"low": mean - 0.01, "high": mean + 0.01, "seeds": 5} | changes


def difference(mean: float, low: float | None, high: float | None, **changes: Any) -> dict[str, Any]:
    """A row of the differences: fine-tuning against supervised from scratch at 1 % of the labels."""
    values = {"protocol": "finetune", "encoder": "trained", "against_protocol": "supervised"}
    values |= {"against_encoder": "untrained", "labels": 0.01, "metric": "top1"}
    return values | {"mean": mean, "low": low, "high": high, "seeds": 5} | changes


def write_label_efficiency(run: Path) -> None:
    """Add to the evaluation: 5 % and 50 % of the 100 labels per class, fine-tuning, the head, classes."""
    rows = json.loads((run / "evaluation.json").read_text())
    for labels, tuned, scratch in ((0.05, 0.7, 0.5), (0.5, 0.9, 0.8), ("all", 0.95, 0.96)):
        rows += [row("finetune", "trained", labels, tuned), row("supervised", "untrained", labels, scratch)]
        rows += [
            row("finetune", "trained", labels, 0.99, metric="top5"),
            row("linear", "trained", labels, 0.03, metric="ece"),
        ]
    rows += [row("linear", "trained", 0.05, 0.65), row("sgd", "trained", "all", 0.915)]
    rows += [row("linear", "z", "all", 0.71), row("linear", "head-1", "all", 0.83)]
    (run / "evaluation.json").write_text(json.dumps(rows))
    details = json.loads((run / "evaluation_details.json").read_text())
    details["labels_per_class"] = {"all": 100.0, "0.05": 5.0, "0.5": 50.0, "1": 1.0, "10": 10.0}
    against_z = {"protocol": "linear", "against_protocol": "linear", "against_encoder": "z", "labels": "all"}
    details["differences"] = [difference(0.2, 0.19, 0.21), difference(0.2, 0.19, 0.21, **against_z)]
    shares = [("heron", 10, 0.8, 0.5, 0.95), ("stork", 10, 0.9, None, None), (HOSTILE, 10, 0.5, 0.2, 0.8)]
    details["per_class"] = [dict(zip(("class", "count", "share", "low", "high"), of, strict=True)) for of in shares]
    details["test_also_in_train"] = 3
    (run / "evaluation_details.json").write_text(json.dumps(details))


def write_evaluation_pictures(run: Path, **changes: Any) -> None:
    """Four mistakes and three pairs."""
    rng = np.random.default_rng(1)
    arrays = {
        "mistake_thumbs": rng.integers(0, 256, (4, 12, 12, 3), dtype=np.uint8),
        "mistake_paths": np.array([f"test/{HOSTILE}/m{number}.png" for number in range(4)]),
        "mistake_truth": np.array([HOSTILE, "heron", "stork", "heron"]),
        "mistake_predicted": np.array(["heron", HOSTILE, "heron", "stork"]),
        "mistake_confidence": np.array([0.999, 0.95, 0.9, 0.5]),
        "pair_thumbs": rng.integers(0, 256, (3, 2, 12, 12, 3), dtype=np.uint8),
        "pair_paths": np.array([[f"test/{HOSTILE}/{side}{number}.png" for side in "ab"] for number in range(3)]),
        "pair_labels": np.array([["heron", HOSTILE], ["stork", "heron"], ["heron", "stork"]]),
        "pair_similarity": np.array([0.98765, 0.9, 0.8]),
    }
    np.savez(run / "evaluation_pictures.npz", **(arrays | changes))


def write_transfer(run: Path) -> None:
    """Two targets, one of them with classes of different sizes and a hostile name."""
    rows = []
    for data in ("/data/flowers", HOSTILE):
        for protocol, encoder, mean in (
            ("linear", "trained", 0.8),
            ("linear", "runs/other", 0.78),
            ("finetune", "trained", 0.9),
            ("supervised", "untrained", 0.6),
        ):
            fair = mean - 0.05 if data == HOSTILE else mean
            rows.append(row(protocol, encoder, "all", mean, data=data))
            rows.append(row(protocol, encoder, "all", fair, data=data, metric="mean_per_class"))
    (run / "transfer.json").write_text(json.dumps(rows))
    target = {"train": 900, "test": 100, "classes": 5, "split": "own", "test_also_in_train": 0}
    details = {
        "targets": [target | {"data": "/data/flowers"}, target | {"data": HOSTILE, "split": "by seed"}],
        "differences": [difference(0.3, 0.2, 0.4, labels="all", data=HOSTILE)],
        "stated": [f"measured on {HOSTILE}"],
    }
    (run / "transfer_details.json").write_text(json.dumps(details))


@pytest.fixture
def rich(run: Path) -> Path:
    """The run with everything that came later: fine-tuning, fractions, images of mistakes, transfer."""
    write_label_efficiency(run)
    write_evaluation_pictures(run)
    write_transfer(run)
    return run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with every file that the report reads."""
    write_record(tmp_path)
    write_metrics(tmp_path)
    write_evaluation(tmp_path)
    write_gallery(tmp_path)
    write_png(tmp_path / "views.png", 64, 32)
    bad = [{"path": f"{HOSTILE}-{number}.png", "reason": f"truncated {HOSTILE}"} for number in range(60)]
    (tmp_path / "quarantine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in bad))
    return tmp_path
