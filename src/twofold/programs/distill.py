"""A smaller encoder that learnt from a larger one what it says of images, with its classifier."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Unpack

import numpy as np
import torch
from jaxtyping import Bool, Int64

from twofold.console import duration, obeys_verbose, say
from twofold.curation import Classifier, fit_classifier, result_folder
from twofold.curation.classifier import judged_rows
from twofold.curation.given_labels import GivenLabels, given_labels
from twofold.data import AnyData
from twofold.errors import TwofoldError, enough_memory, require
from twofold.evaluation import build_network, embed_images
from twofold.evaluation.distillation import BATCH, fit_by_distillation
from twofold.evaluation.intervals import share_interval
from twofold.evaluation.labels import FOLDS, Fold, stratified_folds
from twofold.evaluation.networks import Network
from twofold.evaluation.self_trainer import apart_from
from twofold.programs.embedded import LESS_MEMORY, Opened, encoder_digest, open_embedded
from twofold.programs.opening import Opening
from twofold.recipes.kinds import AnyPath, as_kind, as_optional_path, as_path
from twofold.recipes.own import is_own
from twofold.recipes.recipe import EncoderRecipe
from twofold.runs.encoder_file import build_untrained, save_encoder
from twofold.runs.loaded import Loaded

_TIMED = 4  # steps


@dataclass(frozen=True, kw_only=True)
class Distilled:
    """What was written, and the share of the labels left out that each gets right, in [0, 1]."""

    folder: Path
    classifier: Classifier
    student: float
    teacher: float


@obeys_verbose
def distill(
    run: AnyPath,
    data: AnyData,
    *,
    to: str,
    labels: AnyPath | None = None,
    width: int | float | None = None,
    epochs: int | float = 30,
    temperature: int | float = 1.0,
    out: AnyPath | None = None,
    verbose: bool = True,
    **opening: Unpack[Opening],
) -> Distilled:
    """Teach a student, the encoder named `to`, what a classifier on the run's encoder says of the images of train.

    `labels` is a CSV file with the columns path and label; where it is left out, the labels of `data`'s train split. A
    fifth of them is kept out of it all and says how well the student does. The student sees every image of train
    `epochs` times, its label never, and learns the teacher's probabilities at `temperature`. One like the run's encoder
    (the same name and `width`) starts from its weights, any other from fresh ones. `out`, RUN/distilled where it is
    left out, then holds encoder.safetensors and classifier.safetensors, for `predict`, `load` and `export`. `data` is
    as in `pretrain`, `encoder` as in `load`. Raises TwofoldError for fewer than five labels of a class.
    """
    run, out, labels = as_path("run", run), as_optional_path("out", out), as_optional_path("labels", labels)
    to, verbose = as_kind("to", to, str), as_kind("verbose", verbose, bool)
    width, epochs = as_kind("width", width, float | None), as_kind("epochs", epochs, float)
    temperature = as_kind("temperature", temperature, float)
    require(epochs > 0, "epochs", epochs, "above 0")
    require(temperature > 0, "temperature", temperature, "above 0")
    opened = open_embedded(run, data, **opening)
    embedded, images, loaded = opened.embedded, opened.images, opened.loaded
    student = _student_recipe(loaded, to, width)
    given = given_labels(embedded, labels, images.name)
    _require_enough(given)
    rows, ids, classes = given.rows, given.ids, given.classes
    groups = embedded.groups_of(rows)
    kept, cut = _left_out(given, groups)
    home = out or (run if run.is_dir() else run.parent) / "distilled"
    question = {
        "images": embedded.key,
        "labels": given.key,
        "student": [to, student.recipe.encoder.width, epochs, temperature],
        **embedded.said_groups(rows),
    }
    folder = result_folder(home, question, given=out is not None)
    taught = apart_from(images, images.rows("train"), rows[cut])
    with loaded.hardware.arithmetic(), enough_memory("distillation", LESS_MEMORY):
        own = None if groups is None else groups[kept]
        teacher_model = fit_classifier(np.ascontiguousarray(embedded.h[rows[kept]]), ids[kept], classes, groups=own)
        network = _taught(opened, student, teacher_model, taught, epochs, temperature)
        h = embed_images(
            network.encoder, images, rows[cut], views=student.recipe.views, hardware=loaded.hardware, name="student"
        )
    classifier = _classifier(network, h, ids[cut], classes, None if groups is None else groups[cut])
    by_teacher = teacher_model.probabilities(embedded.h[rows[cut]]).argmax(1) == ids[cut]
    result = Distilled(
        folder=folder,
        classifier=classifier,
        student=float(classifier.right.mean()),
        teacher=float(by_teacher.mean()),
    )
    save_encoder(folder / "encoder.safetensors", network.encoder, student.recipe)
    classifier.save(
        folder / "classifier.safetensors", encoder=encoder_digest(replace(student, encoder=network.encoder))
    )
    for line in _said(result, by_teacher):
        say(line)
    return result


def _student_recipe(loaded: Loaded, to: str, width: float | None) -> Loaded:
    """The run's recipe with the student's encoder, which has fresh weights, or the run's where both are alike."""
    own = loaded.recipe.encoder
    if is_own(own.encoder) or ":" in own.encoder or ":" in to:
        encoder = EncoderRecipe(encoder=to, width=1.0 if width is None else width)
    else:
        encoder = replace(own, encoder=to, width=own.width if width is None else width)
    recipe = replace(loaded.recipe, encoder=encoder)
    network = loaded.encoder if encoder == own else build_untrained(recipe, 0, loaded.hardware)
    sizes = [sum(parameter.numel() for parameter in one.parameters()) for one in (network, loaded.encoder)]
    if sizes[0] > sizes[1]:
        raise TwofoldError(
            f"the student '{to}' has {sizes[0]:,} weights, but the run's '{own.encoder}' has {sizes[1]:,}, and a "
            "student is no larger than its teacher. Choose a smaller --encoder, or a lower --width."
        )
    return replace(loaded, encoder=network, recipe=recipe)


def _require_enough(given: GivenLabels) -> None:
    counts, names = given.counts, given.classes
    if len(names) < 2 or counts.min() < FOLDS:
        few = f"'{names[int(counts.argmin())]}' has {counts.min()}" if len(names) > 1 else f"there are {names}"
        raise TwofoldError(
            f"of the labels {few}, but at least two classes with {FOLDS} labels each are needed: a fifth of them is "
            "left out to say how well the student does. Label more, or leave out the class."
        )


def _left_out(given: GivenLabels, groups: Int64[np.ndarray, " n"] | None) -> Fold:
    """The fold that judges: of whole groups the one nearest to a fifth whose rest holds and checks every class."""
    folds = stratified_folds(given.ids, groups=groups)
    if groups is None:
        return folds[0]
    enough = []
    for kept, cut in folds:
        judged = judged_rows(given.ids[kept], groups[kept])
        if np.bincount(given.ids[kept], minlength=len(given.classes)).min() >= 2 and (judged is None or judged.any()):
            enough.append((kept, cut))
    if not enough:
        raise TwofoldError(
            f"too few groups (patients, files ...) of a class: there are {len(np.unique(groups)):,} in all. One is "
            "left out to say how well the student does, and the teacher, which needs every class, is checked on "
            "another. Label images of further groups."
        )
    return min(enough, key=lambda fold: abs(len(fold[1]) - len(given.ids) / FOLDS))


def _taught(
    opened: Opened, student: Loaded, model: Classifier, rows: np.ndarray, epochs: float, temperature: float
) -> Network:
    """The student with its classifier, taught on the images `rows`; a few steps of a copy tell the time first."""
    images, hardware = opened.images, student.hardware
    teacher = _network(opened.loaded, len(model.classes))
    with torch.no_grad():
        teacher.classifier.weight.copy_(torch.from_numpy(model.weight.T / model.temperature))
        teacher.classifier.bias.copy_(torch.from_numpy(model.bias / model.temperature))
    steps = max(1, round(epochs * len(rows) / min(BATCH, len(rows))))

    def fit(steps: int) -> Network:
        network = _network(student, len(model.classes))
        fit_by_distillation(
            network,
            teacher,
            images,
            rows,
            views=student.recipe.views,
            hardware=hardware,
            steps=steps,
            temperature=temperature,
        )
        return network

    began = time.perf_counter()
    fit(_TIMED)
    seconds = (time.perf_counter() - began) / _TIMED * steps
    say(
        f"  distilling into '{student.recipe.encoder.encoder}' on {len(rows):,} images of train, none of test, in "
        f"{steps:,} steps: about {duration(seconds)}"
    )
    return fit(steps)


def _network(loaded: Loaded, classes: int) -> Network:
    dim = int(loaded.encoder.dim)  # type: ignore[arg-type]
    return build_network(loaded.encoder, dim=dim, classes=classes, hardware=loaded.hardware, seed=0)


def _classifier(
    network: Network, h: np.ndarray, ids: np.ndarray, classes: list[str], groups: np.ndarray | None
) -> Classifier:
    """The student's, judged by the labels left out, which nothing was taught from."""
    weight = np.ascontiguousarray(network.classifier.weight.detach().cpu().numpy().T)
    bias = network.classifier.bias.detach().cpu().numpy().copy()
    return Classifier(
        classes=classes,
        weight=weight,
        bias=bias,
        labelled_h=h,
        held_out_logits=h @ weight + bias,
        ids=ids,
        groups=groups,
    )


def _said(result: Distilled, by_teacher: Bool[np.ndarray, " c"]) -> list[str]:
    """`by_teacher`: which of the labels left out the classifier on the run's encoder gets right."""
    spans = []
    for right in (result.classifier.right, by_teacher):
        share, low, high = share_interval(right, result.classifier.groups)
        spans.append(f"{share:.1%} ({low:.1%} to {high:.1%})")
    return [
        f"Of {len(by_teacher):,} labels left out the student gets {spans[0]} right, the classifier on the run's "
        f"encoder {spans[1]}",
        f"{result.folder}: encoder.safetensors and classifier.safetensors, for predict, load and export",
    ]
