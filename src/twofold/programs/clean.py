"""Copies, leaks, odd images and suspect labels, as tables and a page. Nothing is deleted or moved."""

from dataclasses import replace
from pathlib import Path
from typing import Unpack

from twofold.console import obeys_verbose, say
from twofold.curation import (
    Cleaning,
    clean_embedded,
    clean_pixels,
    kept_thumbs,
    result_folder,
    write_answer,
    write_csv,
)
from twofold.curation.duplicates import COPY
from twofold.data import AnyData, ImageSet, as_given, load_images
from twofold.data.cache import cache_folder
from twofold.errors import TwofoldError, enough_memory, require
from twofold.files import write_json
from twofold.programs.embedded import LESS_MEMORY, open_embedded
from twofold.programs.opening import Opener, Opening, as_opener
from twofold.programs.report import renew_report
from twofold.recipes.data import DataRecipe
from twofold.recipes.kinds import AnyPath, as_kind, as_optional_path
from twofold.report.clean_page import write_clean_page

_STORE_PX = 128  # of images that only pixels are compared of


@obeys_verbose
def clean(
    run: AnyPath | None,
    data: AnyData,
    *,
    out: AnyPath | None = None,
    embeddings: AnyPath | None = None,
    threshold: int | float = COPY,
    cosine: int | float | None = None,
    verbose: bool = True,
    **opening: Unpack[Opening],
) -> Cleaning:
    """Look for what may be wrong with the images in `data`; write findings.csv, keep.csv and clean.html to a folder.

    `run` is a run, an encoder.safetensors, or None: then pixels alone are compared, before any training. `out` is the
    folder (default: RUN/clean, or clean here). `threshold` is the likeness of pixels from which two images are copies,
    `cosine` that of embeddings from which they are alike (default: five times nearer than the nearest image usually
    is), both in [0.5, 1]. The rest is as in `embed`.
    """
    run, folder = as_optional_path("run", run), as_optional_path("out", out)
    threshold, cosine = as_kind("threshold", threshold, float), as_kind("cosine", cosine, float | None)
    verbose = as_kind("verbose", verbose, bool)
    for name, value in (("threshold", threshold), ("cosine", cosine)):
        require(value is None or 0.5 <= value <= 1, name, value, "in [0.5, 1]")
    if run is None and embeddings is not None:
        raise TwofoldError(
            f"embeddings is '{embeddings}', but without a run pixels alone are compared. Leave --embeddings out, or "
            "give a run."
        )
    how = as_opener(opening)
    cache = cache_folder(how.cache)
    with enough_memory("cleaning", LESS_MEMORY):
        if run is None:
            images = _without_encoder(data, how)
            key, thumbs = images.fingerprint, kept_thumbs(images, cache)
            cleaning = clean_pixels(thumbs, images.paths, images.labels, images.splits, threshold=threshold)
        else:
            opened = open_embedded(run, data, embeddings=embeddings, **opening)
            images, key = opened.images, str(opened.embedded.key)
            thumbs = kept_thumbs(images, cache)
            cleaning = clean_embedded(thumbs, opened.embedded, threshold=threshold, cosine=cosine)
    question = {"command": "clean", "of": key, "threshold": threshold, "cosine": cosine}
    home = folder or (run / "clean" if run is not None and run.is_dir() else Path("clean"))
    target = result_folder(home, question, given=folder is not None)
    _write(cleaning, images, target)
    said = _said(cleaning)
    write_answer(target, "Findings", "clean.html", said)
    for line in said:
        say(f"  {line}")
    if run is not None:
        renew_report(run)
    say(f"Written: {target / 'clean.html'}, findings.csv and keep.csv next to it. No image was changed.")
    return cleaning


def _without_encoder(data: AnyData, how: Opener) -> ImageSet:
    limit = {} if how.limit is None else {"max_unreadable_fraction": how.limit}
    return load_images(
        as_given(data, cache=how.cache, allow_outside=how.allow_outside),
        recipe=replace(DataRecipe(), **how.reading, **limit),  # type: ignore[arg-type]
        store_px=_STORE_PX,
        cache=how.cache,
        show_progress=True,
        allow_outside=how.allow_outside,
    )


def _write(cleaning: Cleaning, images: ImageSet, folder: Path) -> None:
    cleaning.to_csv(folder / "findings.csv")
    write_csv(folder / "keep.csv", cleaning.keep_table())
    effect, suspects = cleaning.leak_effect, cleaning.suspects
    write_json(
        folder / "clean.json",
        {
            "images": len(images),
            "counts": cleaning.counts(),
            "leaks": effect and effect.sentence(),
            "labels": suspects and suspects.sentence(),
        },
    )
    write_clean_page(cleaning, images, folder / "clean.html")


def _said(cleaning: Cleaning) -> list[str]:
    """What was found, as sentences."""
    lines = cleaning.sentences() or ["nothing was found"]
    if cleaning.leak_effect is not None:
        lines.append(cleaning.leak_effect.sentence())
    if cleaning.suspects is not None and (len(cleaning.suspects.ranking) or cleaning.suspects.left_out):
        lines.append(cleaning.suspects.sentence())
    return lines
