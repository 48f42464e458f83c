"""Embeddings of images, to a parquet file."""

from pathlib import Path
from typing import Unpack

from twofold.console import obeys_verbose, say
from twofold.data import AnyData
from twofold.evaluation import require_place_for_embeddings, write_embeddings
from twofold.files import make_folder
from twofold.programs.embedded import encoder_digest, open_embedded
from twofold.programs.opening import Opening
from twofold.recipes.kinds import AnyPath, as_kind, as_path


@obeys_verbose
def embed(
    run: AnyPath,
    data: AnyData,
    *,
    out: AnyPath,
    verbose: bool = True,
    **opening: Unpack[Opening],
) -> Path:
    """Write path, label (where known) and embedding h of every image in `data` to the parquet file `out`.

    `data` is as in `pretrain`, `encoder` as in `load`. Earlier embeddings there are replaced.
    Raises TwofoldError where `out` holds anything else, before any work.
    """
    run, out, verbose = as_path("run", run), as_path("out", out), as_kind("verbose", verbose, bool)
    require_place_for_embeddings(out)
    make_folder(out.parent, "--out")
    opened = open_embedded(run, data, **opening)
    images, embeddings = opened.images, opened.embedded.h
    replaced = ", in place of earlier ones" if out.exists() else ""
    digest = encoder_digest(opened.loaded)
    path = write_embeddings(images.paths, images.labels, embeddings, out, encoder=digest)
    unreadable = f"{len(images.quarantine)} unreadable{replaced}"
    say(f"{len(images):,} embeddings of {embeddings.shape[1]} numbers in {path}, {unreadable}")
    return path
