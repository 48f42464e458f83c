"""A whole run on the tiles of large images: from a folder with one to an encoder and the embeddings of its tiles."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

import twofold
from pictures import picture
from small_recipe import SMALL


def test_a_run_on_tiles_names_them_everywhere(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    Image.fromarray(np.concatenate([picture("bars", seed, 64) for seed in range(4)], axis=1)).save(data / "large.tif")
    for seed in range(3):
        Image.fromarray(picture("discs", seed, 32)).save(data / f"small-{seed}.png")
    (data / "broken.png").write_bytes(b"no image")
    run = twofold.pretrain(
        data,
        out=tmp_path / "run",
        recipe=SMALL.with_settings(batch_size=8, tile=32, max_unreadable_fraction=0.5),
        cache=tmp_path / "cache",
    )
    record = json.loads((run.folder / "recipe.json").read_text())
    assert record["derived"]["tiles"].startswith("19 of 4 files, each drawn as often as another in an epoch")
    out = twofold.embed(run.folder, data, out=tmp_path / "h.parquet", cache=tmp_path / "cache")
    paths = pq.read_table(out)["path"].to_pylist()  # type: ignore[no-untyped-call]
    tiles = [f"large.tif#{x},{y},32,32" for y in (0, 32) for x in range(0, 256, 32)]
    assert sorted(paths) == sorted([*tiles, *(f"small-{seed}.png" for seed in range(3))])
