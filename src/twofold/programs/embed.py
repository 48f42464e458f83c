"""Embeddings of images, to a parquet file."""

from pathlib import Path
from typing import Unpack

from twofold.console import obeys_verbose, say
from twofold.data import AnyData, as_given
from twofold.evaluation import require_place_for_embeddings, write_embeddings
from twofold.files import make_folder
from twofold.models.own import EncoderSource, as_source
from twofold.programs.embedded import encoder_digest, open_embedded
from twofold.programs.images import as_reading, as_unreadable_limit
from twofold.recipes.data import Reading
from twofold.recipes.kinds import AnyPath, as_kind, as_optional_path, as_path
from twofold.recipes.recipe import HardwareRecipe


@obeys_verbose
def embed(
    run: AnyPath,
    data: AnyData,
    *,
    out: AnyPath,
    encoder: EncoderSource | None = None,
    cache: AnyPath | None = None,
    allow_outside: bool = False,
    device: str = "auto",
    precision: str = "auto",
    max_unreadable_fraction: int | float | None = None,
    verbose: bool = True,
    **reading: Unpack[Reading],
) -> Path:
    """Write path, label (where known) and embedding h of every image in `data` to the parquet file `out`.

    `data` is as in `pretrain`, `encoder` as in `load`. Earlier embeddings there are replaced.
    Raises TwofoldError where `out` holds anything else, before any work.
    """
    run, out = as_path("run", run), as_path("out", out)
    cache, allow_outside = as_optional_path("cache", cache), as_kind("allow_outside", allow_outside, bool)
    verbose, encoder = as_kind("verbose", verbose, bool), as_source(encoder)
    hardware = HardwareRecipe(device=device, precision=precision)
    limit, how = as_unreadable_limit(max_unreadable_fraction), as_reading(reading)
    source = as_given(data, cache=cache, allow_outside=allow_outside)
    require_place_for_embeddings(out)
    make_folder(out.parent, "--out")
    opened = open_embedded(
        run,
        source,
        encoder=encoder,
        cache=cache,
        allow_outside=allow_outside,
        hardware=hardware,
        limit=limit,
        reading=how,
    )
    images, embeddings = opened.images, opened.embedded.h
    replaced = ", in place of earlier ones" if out.exists() else ""
    digest = encoder_digest(opened.loaded)
    path = write_embeddings(images.paths, images.labels, embeddings, out, encoder=digest)
    unreadable = f"{len(images.quarantine)} unreadable{replaced}"
    say(f"{len(images):,} embeddings of {embeddings.shape[1]} numbers in {path}, {unreadable}")
    return path
