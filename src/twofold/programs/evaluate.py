"""A run measured on labelled images."""

from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

import numpy as np

from twofold.console import obeys_verbose, say
from twofold.curation.classifier import fit_classifier, judged_rows
from twofold.data import AnyData, ImageSet, as_given
from twofold.errors import enough_memory
from twofold.evaluation import (
    Evaluation,
    Settings,
    build_evaluation_images,
    build_gallery,
    embed_images,
    evaluate_encoder,
)
from twofold.evaluation.labels import group_numbers
from twofold.evaluation.protocols import INITIAL
from twofold.files import make_folder, write_json
from twofold.programs.embedded import encoder_digest
from twofold.programs.images import most_searched, open_images
from twofold.programs.measurement import (
    LESS_MEMORY,
    add_caveats,
    as_asked,
    as_places,
    as_subject,
    forget,
    keep_predictions,
    load_others,
    run_subject,
    say_chance,
    seen_in_pretraining,
    show,
)
from twofold.programs.objects import notes_on
from twofold.programs.opening import Opener, Opening, as_opener
from twofold.recipes.kinds import AnyPath, as_kind, as_path, as_several
from twofold.report import build_report
from twofold.runs.encoder_file import Loaded, load, load_head
from twofold.runs.evaluation_folder import CLASSIFIER, keep_evaluation
from twofold.runs.other_encoders import OtherEncoder
from twofold.runs.run_directory import Run, writing_alone
from twofold.versions import versions

_LARGEST_CLASSIFIER = 256 * 2**20  # bytes: with it stand the embeddings of what it was fitted on


@obeys_verbose
def evaluate(
    run: AnyPath,
    *,
    data: AnyData,
    protocol: str | Sequence[str] = ("knn", "linear"),
    label_fraction: float | Sequence[float] = (),
    shots: int | Sequence[int] = (1, 5, 10, 50),
    seeds: int = 5,
    few_seeds: int = 20,
    finetune_from: str = "h",
    finetune_schedule: str = "tuned",
    finetune_epochs: int | float | None = None,
    self_train_steps: int = 3000,
    beside: AnyPath | Sequence[AnyPath] = (),
    beside_px: int | None = None,
    verbose: bool = True,
    **opening: Unpack[Opening],
) -> Evaluation:
    """Measure a run on labelled images; print the table, write RUN/evaluation.json and the report.

    The figures, what was predicted for every test image (predictions.parquet) and the linear probe with all labels
    (classifier.safetensors, for `predict`) stay in RUN/evaluations/<data>-<key>.

    `protocol` holds knn, linear, layers (the linear probe on the head's layers too), sgd (the paper's linear probe),
    finetune, self-train (also on the images of train whose labels are not given, for `self_train_steps` steps) and
    supervised (from scratch); with all labels, a `label_fraction` of them and `shots` per class; next
    to the same encoder untrained and raw pixels; mean and 95 % interval. The test split is looked at once.
    A run that began from weights (`init`) is compared with its encoder before pretraining, and any run with the
    encoders `beside`: other runs, exported encoders, or `torchvision:NAME=FILE` and `timm:NAME=FILE` at `beside_px`.
    `finetune_schedule`: "tuned" (fine-tuning starts as the linear probe, and how networks are trained is chosen on the
    labels) or "paper"; `finetune_epochs` replaces the length of either.
    The same call after an interruption continues. `data` is as in `pretrain`. `encoder` is as in `load`: the class of
    a run trained on a module of your own. The untrained encoder then is a new one of that class, or, of a module, that
    module as it is given.
    """
    asked = as_asked(protocol, seeds, finetune_schedule, finetune_epochs)
    settings = Settings(
        protocols=asked.protocols,
        seeds=asked.seeds,
        few_seeds=tuple(range(as_kind("few_seeds", few_seeds, int))),
        shots=as_several("shots", shots, int),
        fractions=as_several("label_fraction", label_fraction, float),
        start=as_kind("finetune_from", finetune_from, str),
        schedule=asked.schedule,
        epochs=asked.epochs,
        self_train_steps=as_kind("self_train_steps", self_train_steps, int),
    )
    verbose, how = as_kind("verbose", verbose, bool), as_opener(opening)
    places, beside_px = as_places("beside", beside), as_kind("beside_px", beside_px, int | None)
    record = Run(as_path("run", run))
    source = as_given(data, cache=how.cache, allow_outside=how.allow_outside)
    begun = record.read_recipe()
    make_folder(record.folder, "RUN")
    loaded = load(record.folder, hardware=how.hardware, encoder=how.encoder)
    others = [*_initial(record, how), *load_others(places, loaded, size_px=beside_px)]
    own = begun["data"]["fingerprint"]
    images = open_images(loaded, source, how, own=own, beside=others)
    seen, notes = seen_in_pretraining(images, own), notes_on(how.encoder)
    for sentence in (*seen, *notes):
        say(f"  {sentence}")
    needs_head = settings.layers or settings.start != "h"
    head = load_head(record.folder, hardware=how.hardware, encoder=how.encoder) if needs_head else None
    with (
        writing_alone(record.evaluation_lock, f"'{record.folder}' is being evaluated by another process", "RUN"),
        enough_memory("the evaluation", LESS_MEMORY),
        loaded.hardware.arithmetic(),
    ):
        evaluation = evaluate_encoder(
            run_subject(loaded, head),
            images,
            settings,
            data=loaded.recipe.data,
            others=[as_subject(other, loaded) for other in others],
            keep=record.evaluation_partial,
            say=say,
        )
        add_caveats(evaluation, images, loaded, seen)
        evaluation.details["stated"] += notes
        evaluation.details.update(hardware=loaded.hardware.describe(), versions=versions())
        keep_evaluation(record)
        write_json(record.evaluation_details, evaluation.details)
        write_json(record.evaluation, [row.to_dict() for row in evaluation.rows])
        _report_images(loaded, images, evaluation, record)
        _keep(images, evaluation, record, loaded)
        path = build_report(record.folder)
        forget(evaluation)  # only now is nothing left that needs it
    show(evaluation)
    say_chance(evaluation)
    say(f"Report: {path}")
    return evaluation


def _initial(record: Run, how: Opener) -> list[OtherEncoder]:
    """The encoder before pretraining, where the run began from weights."""
    if not record.initial.exists():
        return []
    came = load(record.initial, hardware=how.hardware, encoder=how.encoder)
    return [OtherEncoder(name=INITIAL, encoder=came.encoder, views=came.recipe.views)]


def _keep(images: ImageSet, evaluation: Evaluation, record: Run, loaded: Loaded) -> None:
    """In a folder of its own: the figures, what was predicted for every test image, and the main classifier."""
    folder = keep_evaluation(record)
    if folder is None:
        return
    if not (folder / CLASSIFIER).exists():
        _keep_classifier(folder / CLASSIFIER, images, evaluation, loaded)
    keep_predictions(folder, images, evaluation)


def _keep_classifier(path: Path, images: ImageSet, evaluation: Evaluation, loaded: Loaded) -> None:
    """The linear probe with all labels, at the weight decay of its first draw, for `predict --classifier`."""
    main = evaluation.answers.predictions
    if main.l2 is None or (main.encoder, main.labels) != ("trained", "all") or evaluation.train is None:
        return
    (rows, ids), views = evaluation.train, loaded.recipe.views
    size = 4 * len(rows) * loaded.dim
    if np.bincount(ids).min() < 2 or size > _LARGEST_CLASSIFIER:
        few = "a class has a single labelled image, which cannot be both learnt and checked on"
        say(f"  no classifier is kept: {few if size <= _LARGEST_CLASSIFIER else f'it would take {size >> 20:,} MiB'}")
        return
    h = embed_images(loaded.encoder, images, rows, views=views, hardware=loaded.hardware)
    groups = group_numbers(images, rows)
    judged = judged_rows(ids, groups)
    if judged is not None and not judged.any():
        say("  no classifier is kept: each class has images of one group alone, so none could be checked on another")
        return
    model = fit_classifier(h, ids, evaluation.details["classes"], l2=main.l2, groups=groups)
    model.save(path, encoder=encoder_digest(loaded))


def _report_images(loaded: Loaded, images: ImageSet, evaluation: Evaluation, record: Run) -> None:
    """The report's images: neighbours and map, confident mistakes, neighbours across classes."""
    views, answers = loaded.recipe.views, evaluation.answers
    most = most_searched(record)
    build_gallery(loaded.encoder, images, views=views, hardware=loaded.hardware, out=record.gallery, most=most)
    build_evaluation_images(
        images,
        answers.rows,
        answers.truth,
        answers.predictions.predicted,
        answers.predictions.confidence,
        embed_images(loaded.encoder, images, answers.rows, views=views, hardware=loaded.hardware),
        evaluation.details["classes"],
        out=record.evaluation_pictures,
    )
