"""A whole run on the tiles of large images: from a folder with one to an encoder and the embeddings of its tiles."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

import twofold
from pictures import picture
from small_recipe import SMALL
from twofold.errors import TwofoldError
from twofold.recipes.data import DataRecipe, Reading, read_anew


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


def test_tiles_and_pages_may_be_given_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The run saw whole images; later come large ones, and files of several pages."""
    for seed in range(12):
        place = tmp_path / "data" / f"{seed}.png"
        place.parent.mkdir(exist_ok=True)
        Image.fromarray(picture("discs", seed, 32)).save(place)
    cache = tmp_path / "cache"
    run = twofold.pretrain(
        tmp_path / "data", out=tmp_path / "run", recipe=SMALL.with_settings(batch_size=8), cache=cache
    ).folder
    others = tmp_path / "others"
    others.mkdir()
    wide = np.concatenate([picture("bars", seed, 64) for seed in range(2)], axis=1)
    Image.fromarray(wide).save(others / "large.png")
    pages = [Image.fromarray(picture("bars", seed, 32)) for seed in range(3)]
    pages[0].save(others / "stack.tif", save_all=True, append_images=pages[1:])

    def names(**reading: Any) -> list[str]:
        out = twofold.embed(run, others, out=tmp_path / "h.parquet", cache=cache, **reading)
        return sorted(pq.read_table(out)["path"].to_pylist())  # type: ignore[no-untyped-call]

    whole, paged = ["large.png", "stack.tif"], [f"stack.tif#page={page}" for page in (1, 2, 3)]
    tiles = [f"large.png#{x},{y},64,64" for x in (0, 64) for y in (0,)]
    assert names() == whole
    assert names(pages="images") == ["large.png", *paged]
    assert names(tile=64) == [*tiles, "stack.tif"]
    assert names(tile=64, stride=32) == [*(f"large.png#{x},0,64,64" for x in (0, 32, 64)), "stack.tif"]
    file = twofold.embed(run, others, out=tmp_path / "cut.parquet", tile=64, cache=cache)
    with pytest.raises(TwofoldError, match="were read by --pages first --tile 64, not by --pages first"):
        twofold.explore(run, others, embeddings=file, cache=cache)
    twofold.pick(run, others, count=2, tile=64, cache=cache)
    assert "--labels labels.csv --tile 64" in " ".join(capsys.readouterr().out.split())
    seen = twofold.doctor(others, pages="images", cache=cache)
    assert seen.survey.images == 4
    with pytest.raises(TwofoldError, match=r"^tile is 3, but it must be at least 8 pixels"):
        names(tile=3)


def test_a_run_on_tiles_can_embed_images_that_are_not_cut(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for seed in range(2):
        wide = np.concatenate([picture("bars", 4 * seed + part, 64) for part in range(4)], axis=1)
        Image.fromarray(wide).save(data / f"{seed}.png")
    recipe, cache = SMALL.with_settings(batch_size=8, tile=32), tmp_path / "cache"
    run = twofold.pretrain(data, out=tmp_path / "run", recipe=recipe, cache=cache)
    out = twofold.embed(run.folder, data, out=tmp_path / "h.parquet", cache=cache, tile=None)
    assert pq.read_table(out)["path"].to_pylist() == ["0.png", "1.png"]  # type: ignore[no-untyped-call]


def test_a_query_is_read_as_the_images_are(tmp_path: Path) -> None:
    """By pages as channels: an image of the data is most like itself."""
    data, cache = tmp_path / "data", tmp_path / "cache"
    data.mkdir()
    draw = np.random.default_rng(0)
    for seed in range(6):
        pages = [Image.fromarray(draw.integers(0, 256, (32, 32), np.uint8)) for _ in range(3)]
        pages[0].save(data / f"{seed}.tif", save_all=True, append_images=pages[1:])
    run = twofold.pretrain(data, out=tmp_path / "run", recipe=SMALL.with_settings(batch_size=4), cache=cache).folder
    hits = twofold.search(run, data, query=data / "3.tif", top=1, pages="channels", cache=cache)
    ((path, cosine),) = hits.of(0)
    assert path == "3.tif"
    assert cosine == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, (64, 48, 0.5)),
        ({"stride": 32}, (64, 32, 0.5)),
        ({"tile": 16}, (16, None, 0.5)),
        ({"tile": 16, "stride": 8}, (16, 8, 0.5)),
        ({"tile": None}, (None, None, None)),
        ({"micrometres_per_px": None}, (64, 48, None)),
    ],
)
def test_another_tile_leaves_the_stride_of_the_runs_own_behind(given: Reading, expected: tuple[Any, ...]) -> None:
    own = DataRecipe(tile=64, stride=48, micrometres_per_px=0.5)
    anew = read_anew(own, given)
    assert (anew.tile, anew.stride, anew.micrometres_per_px) == expected
