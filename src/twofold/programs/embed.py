"""Embeddings of images, to a file."""

import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Unpack

import numpy as np
from jaxtyping import Float32

from twofold.console import obeys_verbose, say, with_progress
from twofold.data import AnyData, ImageSet
from twofold.errors import require
from twofold.evaluation import embeddings_about, require_place_for_embeddings, write_embeddings
from twofold.files import make_folder
from twofold.programs.embedded import (
    content_key,
    embed_rows,
    encoder_digest,
    open_embedded,
    open_encoder,
    said_reading,
)
from twofold.programs.opening import Opening, as_opener
from twofold.recipes.kinds import AnyPath, as_kind, as_path
from twofold.runs.encoder_file import Loaded

_AT_ONCE = 4096  # images of a part: memory holds the embeddings of one


@obeys_verbose
def embed(
    run: AnyPath,
    data: AnyData,
    *,
    out: AnyPath,
    shard: str | None = None,
    float16: bool = False,
    verbose: bool = True,
    **opening: Unpack[Opening],
) -> Path:
    """Write path, label (where known) and embedding h of every image in `data` to `out`, a .parquet, .csv or .npy file.

    `data` is as in `pretrain`, `encoder` as in `load`. The run, the step, the encoder's digest, the settings and the
    unreadable files are kept with it. Earlier embeddings there are replaced. `shard` "2/8" embeds the second eighth of
    the images, to OUT-00002-of-00008.parquet, and leaves a file alone that holds it already. Returns the file.
    Raises TwofoldError where `out` holds anything else, before any work.
    """
    run, out, verbose = as_path("run", run), as_path("out", out), as_kind("verbose", verbose, bool)
    part, float16 = _as_shard(as_kind("shard", shard, str | None)), as_kind("float16", float16, bool)
    out = _shard_of(out, part)
    require_place_for_embeddings(out)
    make_folder(out.parent, "--out")
    if part is None:
        opened = open_embedded(run, data, **opening)
        loaded, images, rows = opened.loaded, opened.images, np.arange(len(opened.images))
        parts = _kept(opened.embedded.h)
    else:
        loaded, images = open_encoder(run, data, as_opener(opening))
        rows = np.array_split(np.arange(len(images)), part[1])[part[0] - 1]
        parts = _embedded(loaded, images, rows)
    about = _about(run, loaded, images, shard=shard, float16=float16)
    before = embeddings_about(out)
    if part and before and before["content"] == about["content"]:
        say(f"{out} holds these embeddings already")
        return out
    paths, labels = [images.paths[row] for row in rows.tolist()], [images.labels[row] for row in rows.tolist()]
    write_embeddings(paths, labels, parts, out, about=about, half=float16)
    replaced = ", in place of earlier ones" if before else ""
    say(f"{len(rows):,} embeddings of {loaded.dim} numbers in {out}, {len(images.quarantine)} unreadable{replaced}")
    return out


def _kept(h: Float32[np.ndarray, "n d"]) -> Iterator[Float32[np.ndarray, "m d"]]:
    return (h[start : start + _AT_ONCE] for start in range(0, len(h), _AT_ONCE))


def _embedded(loaded: Loaded, images: ImageSet, rows: np.ndarray) -> Iterator[Float32[np.ndarray, "m d"]]:
    starts = range(0, len(rows), _AT_ONCE)
    for start in with_progress(starts, "Embedding images", step=_AT_ONCE, total=len(rows)):
        yield embed_rows(loaded, images, rows[start : start + _AT_ONCE])


def _about(run: Path, loaded: Loaded, images: ImageSet, *, shard: str | None, float16: bool) -> dict[str, str]:
    """What makes the embeddings, as texts."""
    settings = {"views": asdict(loaded.recipe.views), "precision": loaded.hardware.precision, "float16": float16}
    return {
        "run": str(run),
        "step": "unknown" if loaded.step is None else str(loaded.step),
        "encoder": encoder_digest(loaded),
        "reading": said_reading(loaded),
        "content": f"{content_key(loaded, images)} {shard or 'all'}{' float16' if float16 else ''}",
        "data": images.name,
        "settings": json.dumps(settings, default=repr),
        "unreadable": json.dumps([asdict(one) for one in images.quarantine]),
    }


def _as_shard(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    is_part = match is not None and 1 <= int(match[1]) <= int(match[2])
    require(is_part, "shard", text, "I/N with 1 <= I <= N, such as 2/8")
    assert match is not None
    return int(match[1]), int(match[2])


def _shard_of(out: Path, part: tuple[int, int] | None) -> Path:
    return out if part is None else out.with_name(f"{out.stem}-{part[0]:05d}-of-{part[1]:05d}{out.suffix}")
