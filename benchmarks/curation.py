"""What is done with embeddings, by size, beside the peers: CPU seconds and peak memory, each in a process of its own.

    python benchmarks/curation.py --images 10000 100000 --peers-up-to 10000

Made-up embeddings of 512 numbers in 100 clusters and ten classes, 5 % of the labels changed, and made-up images of
which 2 % are mirrored copies. imagededup and scikit-activeml get the same vectors, cleanlab the same probabilities.
Seconds are those of all threads together, so that other programs on the machine count little.
"""

import argparse
import importlib.util
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from results import load, machine, save

from twofold.curation import Embedded, clean_embedded, nearest_others, nearest_rows, pick_images
from twofold.curation.clusters import find_clusters
from twofold.curation.layout import lay_out
from twofold.curation.search_index import open_index
from twofold.curation.suspect_labels import find_suspect_labels, out_of_fold_probabilities

DIM, CLUSTERS, CLASSES, CHANGED, COPIES = 512, 100, 10, 0.05, 0.02
ON_A_MAP = 50_000
PICKED, TOP, QUERIES = 100, 20, 10
Made = tuple[Embedded, np.ndarray, np.ndarray]  # images, which labels were changed, pairs of copies


def make(images: int, seed: int = 0) -> Made:
    """Embeddings, labels and paths; the last 2 % are copies of the first."""
    draw = np.random.default_rng(seed)
    centres = draw.normal(size=(CLUSTERS, DIM)).astype(np.float32)
    own = draw.integers(0, CLUSTERS, images)
    h = draw.standard_normal((images, DIM), np.float32)
    h *= 1.5
    for part in np.array_split(np.arange(images), images // 2**16 + 1):
        h[part] += centres[own[part]]
    ids = own % CLASSES
    changed = draw.random(images) < CHANGED
    ids[changed] = (ids[changed] + draw.integers(1, CLASSES, int(changed.sum()))) % CLASSES
    copies = int(COPIES * images)
    pairs = np.stack([np.arange(copies), images - copies + np.arange(copies)], 1)
    h[pairs[:, 1]] = h[pairs[:, 0]] + 0.05 * draw.standard_normal((copies, DIM), np.float32)
    embedded = Embedded(
        h=h,
        paths=[f"{row:07d}.jpg" for row in range(images)],
        labels=[f"class {name}" for name in ids],
        splits=["train"] * images,
    )
    return embedded, changed, pairs


def make_thumbs(images: int, pairs: np.ndarray, seed: int = 0) -> np.ndarray:
    """Coloured blocks with details on them; copies are mirrored."""
    draw = np.random.default_rng(seed)
    thumbs = np.empty((images, 32, 32, 3), np.uint8)
    for part in np.array_split(np.arange(images), images // 2**16 + 1):
        blocks = draw.integers(40, 216, (len(part), 8, 8, 3)).astype(np.uint8)
        thumbs[part] = blocks.repeat(4, 1).repeat(4, 2) + draw.integers(0, 40, (len(part), 32, 32, 3), np.uint8)
    thumbs[pairs[:, 1]] = thumbs[pairs[:, 0], :, ::-1]
    return thumbs


def clean(made: Made) -> dict[str, float]:
    embedded, changed, pairs = made
    found = clean_embedded(make_thumbs(len(embedded), pairs), embedded)
    told = {tuple(group) for group in found.copies.groups}
    assert found.suspects is not None
    return {
        "copies_recall": float(np.mean([tuple(pair) in told for pair in pairs.tolist()])),
        "labels_precision": float(changed[found.suspects.rows].mean()),
        "labels_recall": float(np.isin(np.flatnonzero(changed), found.suspects.rows).mean()),
    }


def pick(made: Made) -> dict[str, float]:
    rows = pick_images(made[0], PICKED).rows
    return {"classes": float(len({made[0].labels[row] for row in rows}))}


def search(made: Made) -> dict[str, float]:
    queries = made[0].h[-QUERIES:] + 0.05
    return {"queries": float(len(nearest_rows(queries, made[0].h, TOP).rows))}


def index(made: Made) -> dict[str, float]:
    with TemporaryDirectory() as folder:
        index = open_index(Path(folder) / "index", encoder="made up", paths=made[0].paths, h=made[0].h)
        return {"recall": index.recall(TOP, sample=200)}


def explore(made: Made) -> dict[str, float]:
    rows = np.sort(np.random.default_rng(0).permutation(len(made[0]))[:ON_A_MAP])
    h = np.ascontiguousarray(made[0].h[rows])
    lay_out(h, nearest_others(h, 15).rows)
    find_clusters(h)
    return {"shown": float(len(rows))}


def imagededup(made: Made) -> dict[str, float]:
    import torch
    from imagededup.methods import CNN
    from imagededup.utils import CustomModel

    cnn = CNN(verbose=False, model_config=CustomModel(model=torch.nn.Identity(), transform=lambda x: x, name="vectors"))
    found = cnn.find_duplicates(
        encoding_map=dict(zip(made[0].paths, made[0].h, strict=True)), min_similarity_threshold=0.98, num_sim_workers=1
    )
    paths = made[0].paths
    return {"copies_recall": float(np.mean([paths[j] in found[paths[i]] for i, j in made[2].tolist()]))}


def suspects(made: Made) -> dict[str, float]:
    found = find_suspect_labels(made[0].h, made[0].class_ids)
    return {"labels_precision": float(made[1][found.rows].mean())}


def cleanlab(made: Made) -> dict[str, float]:
    from cleanlab.filter import find_label_issues

    p = out_of_fold_probabilities(made[0].h, made[0].class_ids, CLASSES)
    return {"labels_precision": float(made[1][find_label_issues(made[0].class_ids, p, n_jobs=1)].mean())}


def activeml(made: Made) -> dict[str, float]:
    from skactiveml.pool import TypiClust

    unknown = np.full(len(made[0]), np.nan)
    rows = TypiClust(random_state=0).query(made[0].h, unknown, batch_size=PICKED)
    return {"classes": float(len({made[0].labels[row] for row in rows}))}


MODULES = {"scikit-activeml": "skactiveml"}
OURS = {one.__name__: one for one in (clean, pick, search, index, explore, suspects)}
PEERS = {"imagededup": imagededup, "cleanlab": cleanlab, "scikit-activeml": activeml}


def installed() -> dict[str, str]:
    """Versions of the peers that are here; of those that are not the kept figures keep theirs."""
    names = [name for name in ("usearch", *PEERS) if importlib.util.find_spec(MODULES.get(name, name))]
    return {name: version(name) for name in names}


def measure(task: Callable[[Made], dict[str, float]], images: int) -> dict[str, Any]:
    made = make(images)
    begun, cpu = time.perf_counter(), time.process_time()
    figures = task(made)
    wall_s, cpu_s = time.perf_counter() - begun, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"wall_s": wall_s, "cpu_s": cpu_s, "peak_bytes": peak, **figures}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, nargs="+", default=[10_000])
    parser.add_argument("--peers-up-to", type=int, default=10_000, help="their tables are images x images")
    parser.add_argument("--tasks", nargs="+", default=[*OURS, *PEERS], choices=[*OURS, *PEERS])
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measure((OURS | PEERS)[options.child], options.images[0])))
        return
    kept = load("curation") or {"rows": []}
    for images in options.images:
        for task in options.tasks:
            if task in PEERS and images > options.peers_up_to:
                continue
            call = [sys.executable, __file__, "--child", task, "--images", str(images)]
            out = subprocess.run(call, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1]
            row = {"task": task, "images": images, **json.loads(out)}
            print(row, flush=True)
            kept["rows"] = [one for one in kept["rows"] if (one["task"], one["images"]) != (task, images)] + [row]
            versions = kept.get("versions", {}) | installed()
            save("curation", {"machine": machine(), "dim": DIM, "versions": versions, "rows": kept["rows"]})


if __name__ == "__main__":
    main()
