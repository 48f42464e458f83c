"""An encoder written for another program, and held against the images before it is handed over."""

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Unpack

import numpy as np
import torch
from torch import nn

from twofold.console import obeys_verbose, say
from twofold.curation import Classifier, fit_classifier, load_classifier, read_labels, result_folder
from twofold.curation.agreement import Agreement, agreement, voted
from twofold.curation.given_labels import number_labels
from twofold.data import AnyData, ImageSet, as_given
from twofold.errors import TwofoldError, require, require_choice
from twofold.evaluation import embed_images
from twofold.evaluation.labels import group_numbers
from twofold.files import write_atomically, write_json
from twofold.models.own import EncoderSource
from twofold.programs.embedded import encoder_digest
from twofold.programs.images import open_images
from twofold.programs.opening import as_opener
from twofold.recipes.data import Reading
from twofold.recipes.kinds import AnyPath, as_kind, as_optional_path, as_path
from twofold.runs.encoder_file import Loaded, load
from twofold.runs.formats import FORMATS, Format
from twofold.runs.formats.format import Reader
from twofold.runs.run_directory import Run
from twofold.views import center_view

_IMAGES = 256  # of the user's, on which both must agree
_BATCH = 32
_TIMED_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written, and what was measured of it."""

    folder: Path
    bytes: int
    images_per_s: float  # on this machine's CPU, 32 at a time, from decoded images or from views
    agreement: Agreement


@obeys_verbose
def export(
    run: AnyPath,
    *,
    to: str,
    data: AnyData | None = None,
    labels: AnyPath | None = None,
    classifier: AnyPath | None = None,
    out: AnyPath | None = None,
    encoder: EncoderSource | None = None,
    cache: AnyPath | None = None,
    allow_outside: bool = False,
    max_unreadable_fraction: int | float | None = None,
    verbose: bool = True,
    **reading: Unpack[Reading],
) -> Exported:
    """Write the encoder of a run as onnx, torch-export, torchvision, timm, safetensors or hf.

    What was written is read back as its users read it, and must agree with the encoder on 256 images of `data` (those
    of the run, where it is left out): else nothing is written. onnx and torch-export take decoded images (n, H, W, c)
    uint8 of any size and hold the preprocessing; the others take views in [0, 1]; none wants a normalisation.
    `classifier` is the classifier.safetensors that `predict` wrote, which then goes with the encoder: ONNX and
    torch.export give probabilities too, the others have it as their last layer; classes.json holds the classes.
    `labels`, a CSV file with path and label for images of `data`, fits that classifier here, in its place.
    `out` is a folder, RUN/export-FORMAT where it is left out. `data` is as in `pretrain`, `encoder` as in `load`.
    Raises TwofoldError where the format has no such encoder, a package is missing, or the two do not agree.
    """
    run, to = as_path("run", run), as_kind("to", to, str)
    require_choice("to", to, tuple(FORMATS))
    out = as_optional_path("out", out)
    labels, classifier = as_optional_path("labels", labels), as_optional_path("classifier", classifier)
    require(labels is None or classifier is None, "classifier", str(classifier), "left out where labels are given")
    verbose = as_kind("verbose", verbose, bool)
    how = as_opener(
        {
            "encoder": encoder,
            "cache": cache,
            "allow_outside": allow_outside,
            "device": "cpu",
            "precision": "fp32",
            "max_unreadable_fraction": max_unreadable_fraction,
            **reading,
        }
    )
    given = as_given(_own_data(run) if data is None else data, cache=how.cache, allow_outside=how.allow_outside)
    loaded = load(run, hardware=how.hardware, encoder=how.encoder)
    own = Run(run).read_recipe()["data"]["fingerprint"] if run.is_dir() else None
    with TemporaryDirectory() as name:
        candidate, form = Path(name), FORMATS[to]
        images = open_images(loaded, given, how, own=own)
        model = None if classifier is None else load_classifier(classifier, encoder=encoder_digest(loaded))
        if labels is not None:
            model = _fitted(loaded, images, labels)
        form.write(loaded, None if model is None else _layer(model), candidate)
        if model is not None:
            write_json(candidate / "classes.json", model.classes)
        read = form.read(candidate, loaded)
        compared = _compare(loaded, images, form, read, model)
        compared.require(f"what was written as {to}")
        speed = _images_per_s(loaded, form, read)
        home = out or (run if run.is_dir() else run.parent) / f"export-{to}"
        question = {"export": to, "encoder": encoder_digest(loaded), "classes": model and model.key}
        folder = result_folder(home, question, given=out is not None)
        files = sorted(path for path in candidate.iterdir() if path.is_file())
        for path in files:
            write_atomically(folder / path.name, path.read_bytes())
        size = sum(path.stat().st_size for path in files)
    exported = Exported(folder=folder, bytes=size, images_per_s=speed, agreement=compared)
    write_json(folder / "agreement.json", asdict(compared) | {"bytes": size, "images_per_s": speed})
    for line in _said(exported, to):
        say(line)
    return exported


def _own_data(run: Path) -> str:
    if not run.is_dir():
        raise TwofoldError(f"'{run}' is a file, which names no images to compare on. Give --data.")
    return str(Run(run).read_recipe()["data"]["name"])


def _fitted(loaded: Loaded, images: ImageSet, table: Path) -> Classifier:
    labels = number_labels(read_labels(table, images.paths, "--labels"), str(table))
    h = embed_images(loaded.encoder, images, labels.rows, views=loaded.recipe.views, hardware=loaded.hardware)
    return fit_classifier(h, labels.ids, labels.classes, groups=group_numbers(images, labels.rows))


def _layer(model: Classifier) -> nn.Linear:
    """Its softmax gives the calibrated probabilities."""
    layer = nn.Linear(*model.weight.shape)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(model.weight.T / model.temperature))
        layer.bias.copy_(torch.from_numpy(model.bias / model.temperature))
    return layer


def _compare(loaded: Loaded, images: ImageSet, form: Format, read: Reader, model: Classifier | None) -> Agreement:
    rows = np.sort(np.random.default_rng(0).permutation(len(images))[:_IMAGES])
    h = embed_images(loaded.encoder, images, rows, views=loaded.recipe.views, hardware=loaded.hardware)
    answers = [_of_image(loaded, images, int(row), form, read) for row in rows]
    other = np.concatenate([part for part, _ in answers])
    if model is not None:
        scores = np.concatenate([part for _, part in answers if part is not None])
        return agreement(h, other, classes=(model.probabilities(h).argmax(1), scores.argmax(1)))
    ids = images.class_ids[rows]
    labels = len(set(ids.tolist())) >= 2 and ids.min() >= 0
    return agreement(h, other, classes=(voted(h, ids), voted(other, ids)) if labels else None)


def _of_image(
    loaded: Loaded, images: ImageSet, row: int, form: Format, read: Reader
) -> tuple[np.ndarray, np.ndarray | None]:
    batch = images.read(np.array([row]))
    if form.takes_pixels:
        return read(np.ascontiguousarray(batch.images.permute(0, 2, 3, 1).numpy()))
    views = loaded.recipe.views
    view = center_view(
        batch.images,
        batch.sizes,
        size_px=views.embedding_px,
        crop_fraction=views.eval_crop_fraction,
        interpolation=views.interpolation,
    )
    return read(view.numpy())


def _images_per_s(loaded: Loaded, form: Format, read: Reader) -> float:
    """From images as the store keeps them, or from views."""
    side, channels = loaded.recipe.views.embedding_px, loaded.recipe.data.channels
    draw = torch.Generator().manual_seed(0)
    if form.takes_pixels:
        stored = (_BATCH, loaded.recipe.stored_px or side, loaded.recipe.stored_px or side, channels)
        batch = torch.randint(0, 256, stored, generator=draw, dtype=torch.uint8).numpy()
    else:
        batch = torch.rand(_BATCH, channels, side, side, generator=draw).numpy()
    read(batch)
    begun, passes = time.perf_counter(), 0
    while (passed := time.perf_counter() - begun) < _TIMED_S or not passes:
        read(batch)
        passes += 1
    return passes * _BATCH / passed


def _said(exported: Exported, to: str) -> list[str]:
    compared = exported.agreement
    top1 = "" if compared.same_top1 is None else f", top-1 class {compared.same_top1:.1%}"
    takes = "decoded images (n, H, W, c) in uint8" if FORMATS[to].takes_pixels else "views (n, c, s, s) in [0, 1]"
    return [
        f"Agreement on {compared.images} images: numbers within {compared.largest_difference:.2g} of their root mean "
        f"square, nearest neighbour {compared.same_neighbour:.1%}{top1}",
        f"{exported.folder}: {to}, {exported.bytes / 1e6:.1f} MB, {exported.images_per_s:,.0f} images/s on this CPU "
        f"(after decoding). It takes {takes}; no normalisation.",
    ]
