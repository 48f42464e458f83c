"""The images of a program that puts an encoder to use, with their embeddings: read from a file, kept, or made."""

import json
from dataclasses import asdict, dataclass, replace
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Unpack

import numpy as np
from jaxtyping import Float32, Int64

from twofold.console import say
from twofold.curation import Embedded, kept_embeddings
from twofold.data import AnyData, ImageSet, as_given
from twofold.data.cache import cache_folder
from twofold.errors import enough_memory
from twofold.evaluation import embed_images, read_embeddings
from twofold.evaluation.labels import group_numbers
from twofold.programs.images import open_images
from twofold.programs.opening import Opener, Opening, as_opener
from twofold.recipes.data import read_anew
from twofold.recipes.kinds import AnyPath, as_optional_path
from twofold.recipes.written_flags import as_flags
from twofold.runs.encoder_file import Loaded, load
from twofold.runs.run_directory import Run

LESS_MEMORY = "Close other programs, or compute with --device cpu."


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A run's encoder, images, and the embeddings of these by that."""

    loaded: Loaded
    images: ImageSet
    embedded: Embedded


def open_embedded(run: Path, data: AnyData, *, embeddings: AnyPath | None = None, **opening: Unpack[Opening]) -> Opened:
    """Open `data` as the encoder of `run` takes it, and embed it.

    Embeddings are kept in the cache under what they are made of (`content_key`), so a second program starts at once;
    `embeddings` names a file of `twofold embed` to read them from instead. Raises TwofoldError where that file is of
    another encoder, of other images or of images read otherwise, and, before any work, for a keyword that cannot be.
    """
    how, embeddings = as_opener(opening), as_optional_path("embeddings", embeddings)
    loaded, images = open_encoder(run, data, how)
    key, cache = content_key(loaded, images), cache_folder(how.cache)
    if embeddings is not None:
        h = read_embeddings(embeddings, images.paths, encoder=encoder_digest(loaded), reading=said_reading(loaded))
        key = blake2b(f"{key} from {blake2b(h.tobytes()).hexdigest()}".encode(), digest_size=16).hexdigest()
        say(f"  embeddings from {embeddings}")
    else:
        h = kept_embeddings(cache, key, len(images), partial(embed_rows, loaded, images))
    embedded = Embedded(
        h=h,
        paths=images.paths,
        labels=images.labels,
        splits=images.splits,
        groups=group_numbers(images, np.arange(len(images))),
        key=key,
        cache=cache,
    )
    return Opened(loaded=loaded, images=images, embedded=embedded)


def open_encoder(run: Path, data: AnyData, how: Opener) -> tuple[Loaded, ImageSet]:
    """The encoder of a run, and images as it takes them; what `how` says of reading takes the place of its recipe's."""
    given = as_given(data, cache=how.cache, allow_outside=how.allow_outside)
    loaded = load(run, hardware=how.hardware, encoder=how.encoder)
    recipe = loaded.recipe
    loaded = replace(loaded, recipe=replace(recipe, data=read_anew(recipe.data, how.reading)))
    own = Run(run).read_recipe()["data"]["fingerprint"] if run.is_dir() else None
    return loaded, open_images(loaded, given, how, own=own)


def embed_rows(loaded: Loaded, images: ImageSet, rows: Int64[np.ndarray, " m"]) -> Float32[np.ndarray, "m d"]:
    """The embeddings of some images. Raises TwofoldError where the memory is not enough."""
    with loaded.hardware.arithmetic(), enough_memory("embedding", LESS_MEMORY):
        return embed_images(loaded.encoder, images, rows, views=loaded.recipe.views, hardware=loaded.hardware)


def encoder_digest(loaded: Loaded) -> str:
    """32 hex digits of the weights and of what decides the view that they see."""
    digest = blake2b(digest_size=16)
    for name, tensor in sorted(loaded.encoder.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().float().contiguous().numpy().tobytes())
    digest.update(json.dumps(asdict(loaded.recipe.views), default=repr, sort_keys=True).encode())
    return digest.hexdigest()


def said_reading(loaded: Loaded) -> str:
    """How pages and tiles become images, as flags."""
    data = loaded.recipe.data
    names = ("pages", "tile", "stride", "micrometres_per_px")
    return " ".join(as_flags({name: getattr(data, name) for name in names if getattr(data, name) is not None}))


def content_key(loaded: Loaded, images: ImageSet) -> str:
    """32 hex digits of the encoder, its precision, and the images with their splits."""
    parts = [encoder_digest(loaded), loaded.hardware.precision, images.fingerprint]
    return blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()
