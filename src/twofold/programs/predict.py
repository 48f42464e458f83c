"""Labels for the images that have none, from the labels of a few."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Unpack

import numpy as np

from twofold.console import obeys_verbose, say
from twofold.curation import (
    Answers,
    Classifier,
    Embedded,
    answer,
    fit_classifier,
    load_classifier,
    result_folder,
    write_answer,
)
from twofold.curation.answers import LABEL, UNLIKE, UNSURE
from twofold.curation.given_labels import GivenLabels, given_labels, number_labels
from twofold.curation.self_trained import fit_self_trained
from twofold.data import AnyData
from twofold.errors import TwofoldError, enough_memory, require
from twofold.programs.embedded import LESS_MEMORY, Opened, content_key, encoder_digest, open_embedded
from twofold.programs.opening import Opening
from twofold.programs.report import renew_report
from twofold.recipes.kinds import AnyPath, as_kind, as_optional_path, as_path
from twofold.report.predict_page import write_predict_page
from twofold.runs.encoder_file import save_encoder


@obeys_verbose
def predict(
    run: AnyPath,
    data: AnyData,
    *,
    labels: AnyPath | None = None,
    classifier: AnyPath | None = None,
    self_train: bool = False,
    self_train_steps: int = 3000,
    abstain: int | float = 0.05,
    novelty: int | float = 0.01,
    out: AnyPath | None = None,
    verbose: bool = True,
    **opening: Unpack[Opening],
) -> Answers:
    """Label every image of `data`: RUN/predictions holds predictions.csv and .parquet, classifier.safetensors, a page.

    `labels` is a CSV file with the columns path and label, or a folder with one folder a class; where it is left out,
    the labels of `data`'s train split. `classifier` is a classifier.safetensors in their place. Of the images that get
    the decision "label" at most a share `abstain` is wrong, at 90 % confidence; of images like the labelled ones at
    most a share `novelty` is called "unlike anything labelled". `data` is as in `pretrain`, `encoder` as in `load`.
    With `self_train` a copy of the encoder learns from the labels and, for `self_train_steps` steps, from the images of
    train that have none; it is written as encoder.safetensors, to which the classifier then belongs. Where labels that
    were left out say that this is no better, it is not done.
    Raises TwofoldError where labels are missing, where fewer than two classes have two, and where `out` holds anything
    else.
    """
    run, out, verbose = as_path("run", run), as_optional_path("out", out), as_kind("verbose", verbose, bool)
    labels, classifier = as_optional_path("labels", labels), as_optional_path("classifier", classifier)
    abstain, novelty = as_kind("abstain", abstain, float), as_kind("novelty", novelty, float)
    self_train, steps = as_kind("self_train", self_train, bool), as_kind("self_train_steps", self_train_steps, int)
    require(steps >= 1, "self_train_steps", steps, "at least 1")
    for name, value in (("abstain", abstain), ("novelty", novelty)):
        require(0 < value < 1, name, value, "a fraction between 0 and 1")
    require(labels is None or classifier is None, "classifier", str(classifier), "left out where labels are given")
    if self_train and (classifier is not None or (labels is not None and labels.is_dir())):
        raise TwofoldError(
            f"--self-train is given with '{classifier or labels}', but it learns from labels of the images themselves. "
            "Give a table of labels, or leave it out."
        )
    home, promise = _home(run, out), {"abstain": abstain, "novelty": novelty}
    opened = open_embedded(run, data, **opening)
    digest, embedded, rows, tuned = encoder_digest(opened.loaded), opened.embedded, None, None
    if classifier is not None:
        model = load_classifier(classifier, encoder=digest)
    elif labels is not None and labels.is_dir():
        folder_of_labels = open_embedded(run, labels, **opening).embedded
        given = number_labels(folder_of_labels.labels, str(labels))
        model = _fitted(folder_of_labels, given)
    else:
        given = given_labels(embedded, labels, opened.images.name)
        rows = given.rows
        if self_train:  # a folder that is taken is said before the work
            learnt = {"labels": given.key, "self_train_steps": steps, **embedded.said_groups(rows)}
            folder = result_folder(home, {"images": embedded.key, **learnt, **promise}, given=out is not None)
        tuned = _self_trained(opened, given, steps) if self_train else None
        if tuned is None:
            model = _fitted(embedded, given)
        else:
            opened, model = tuned
            digest, embedded = encoder_digest(opened.loaded), opened.embedded
    answers = answer(
        np.asarray(embedded.h), embedded.paths, model, labelled_rows=rows, most_wrong=abstain, most_flagged=novelty
    )
    if not self_train:
        question = {"images": embedded.key, "classifier": model.key, **promise}
        folder = result_folder(home, question, given=out is not None)
    _write(answers, opened, folder, digest)
    if tuned is not None:
        save_encoder(folder / "encoder.safetensors", opened.loaded.encoder, opened.loaded.recipe)
        say(f"  the classifier belongs to {folder / 'encoder.safetensors'}, to be given in the place of a run")
    said = said_of_answers(answers)
    write_answer(folder, "Predictions", "predictions.html", said)
    renew_report(run)
    for line in said:
        say(line)
    say(f"{folder / 'predictions.csv'}, predictions.parquet, classifier.safetensors, predictions.html")
    return answers


def said_of_answers(answers: Answers) -> list[str]:
    """The expected accuracy and the decisions, as sentences."""
    model, expected, counts = answers.classifier, answers.expected, answers.decisions
    share, low, high, count = expected["all"]
    lines = [
        f"{count:,} labelled images of {len(model.classes)} classes; expected accuracy {share:.1%} "
        f"({low:.1%} to {high:.1%}), each of them judged by the labels of others",
        f"{counts.count(LABEL):,} labelled, {counts.count(UNSURE):,} unsure, {counts.count(UNLIKE):,} unlike anything "
        "labelled",
    ]
    if "answered" in expected:
        right, least, most, answered = expected["answered"]
        lines.append(
            f"At most {answers.most_wrong:.0%} of the labels given are wrong, at 90% confidence ({answered:,} of "
            f"{count:,} labelled images pass; {right:.1%} of these are right, {least:.1%} to {most:.1%})"
        )
    else:
        lines.append(
            f"No image is labelled: the labels are too few, or too often contradicted, to promise at most "
            f"{answers.most_wrong:.0%} wrong. Label more, or raise --abstain"
        )
    if model.groups is not None:
        lines.append(
            f"The labelled images come in {len(np.unique(model.groups)):,} groups, none of which is both learnt from "
            f"and judged: what is said is about images of new groups, and rests on as much as {model.independent:.0f} "
            "single images would give"
        )
    if (model.independent + 1) * answers.most_flagged < 1:
        lines.append(
            f"With {count:,} labels no image can be called unlike all at --novelty {answers.most_flagged:g}: "
            f"{math.ceil(1 / answers.most_flagged) - 1:,} {'' if model.groups is None else 'of different groups '}are "
            "needed"
        )
    return lines


def _fitted(embedded: Embedded, given: GivenLabels) -> Classifier:
    h = np.ascontiguousarray(embedded.h[given.rows])
    return fit_classifier(h, given.ids, given.classes, groups=embedded.groups_of(given.rows))


def _home(run: Path, out: Path | None) -> Path:
    return out or (run if run.is_dir() else run.parent) / "predictions"


def _self_trained(opened: Opened, given: GivenLabels, steps: int) -> tuple[Opened, Classifier] | None:
    """What was opened with the encoder that learnt from all images, and its classifier; None: the probe does better."""
    loaded = opened.loaded
    with loaded.hardware.arithmetic(), enough_memory("self-training", LESS_MEMORY):
        trained = fit_self_trained(
            loaded.encoder,
            opened.images,
            np.asarray(opened.embedded.h),
            given.rows,
            given.ids,
            given.classes,
            groups=opened.embedded.groups_of(given.rows),
            views=loaded.recipe.views,
            hardware=loaded.hardware,
            steps=steps,
        )
    if trained is None:
        say("  self-training is no better on labels that were left out: the classifier without it is taken")
        return None
    tuned = replace(loaded, encoder=trained.encoder)
    embedded = replace(opened.embedded, h=trained.h, key=content_key(tuned, opened.images))
    return Opened(loaded=tuned, images=opened.images, embedded=embedded), trained.classifier


def _write(answers: Answers, opened: Opened, folder: Path, encoder: str) -> None:
    try:
        answers.to_csv(folder / "predictions.csv")
        answers.to_parquet(folder / "predictions.parquet")
        answers.classifier.save(folder / "classifier.safetensors", encoder=encoder)
        write_predict_page(answers, opened.images, folder / "predictions.html", summary=said_of_answers(answers))
    except OSError as error:
        raise TwofoldError(f"cannot write to '{folder}' ({error.strerror}). Change --out.") from error
