"""Labels for the images that have none, from the labels of a few."""

import math
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
    read_labels,
    result_folder,
)
from twofold.curation.answers import LABEL, UNLIKE, UNSURE
from twofold.data import AnyData
from twofold.errors import TwofoldError, require
from twofold.programs.embedded import Opened, encoder_digest, open_embedded
from twofold.programs.opening import Opening
from twofold.recipes.kinds import AnyPath, as_kind, as_optional_path, as_path
from twofold.report.predict_page import write_predict_page


@obeys_verbose
def predict(
    run: AnyPath,
    data: AnyData,
    *,
    labels: AnyPath | None = None,
    classifier: AnyPath | None = None,
    abstain: int | float = 0.05,
    novelty: int | float = 0.01,
    out: AnyPath | None = None,
    verbose: bool = True,
    **opening: Unpack[Opening],
) -> Answers:
    """Label every image of `data`: RUN/predictions holds predictions.csv and .parquet, classifier.safetensors, a page.

    `labels` is a CSV file with the columns path and label, or a folder with one folder a class; where it is left out,
    the labels of `data`'s train split. `classifier` is a classifier.safetensors in their place. Of the images that get
    the decision "label" at most a share `abstain` is expected to be wrong; of images like the labelled ones at most a
    share `novelty` is called "unlike anything labelled". `data` is as in `pretrain`, `encoder` as in `load`.
    Raises TwofoldError where labels are missing, of one class, or one a class, and where `out` holds anything else.
    """
    run, out, verbose = as_path("run", run), as_optional_path("out", out), as_kind("verbose", verbose, bool)
    labels, classifier = as_optional_path("labels", labels), as_optional_path("classifier", classifier)
    abstain, novelty = as_kind("abstain", abstain, float), as_kind("novelty", novelty, float)
    for name, value in (("abstain", abstain), ("novelty", novelty)):
        require(0 < value < 1, name, value, "a fraction between 0 and 1")
    require(labels is None or classifier is None, "classifier", str(classifier), "left out where labels are given")
    opened = open_embedded(run, data, **opening)
    digest, embedded, rows = encoder_digest(opened.loaded), opened.embedded, None
    if classifier is not None:
        model = load_classifier(classifier, encoder=digest)
    elif labels is not None and labels.is_dir():
        folder_of_labels = open_embedded(run, labels, **opening).embedded
        model = _fit(folder_of_labels, folder_of_labels.labels, str(labels))[0]
    else:
        known = _own_labels(embedded) if labels is None else read_labels(labels, embedded.paths, "--labels")
        model, rows = _fit(embedded, known, opened.images.name if labels is None else str(labels))
    answers = answer(
        np.asarray(embedded.h), embedded.paths, model, labelled_rows=rows, most_wrong=abstain, most_flagged=novelty
    )
    question = {"images": embedded.key, "classifier": model.key, "abstain": abstain, "novelty": novelty}
    home = out or (run if run.is_dir() else run.parent) / "predictions"
    folder = result_folder(home, question, given=out is not None)
    _write(answers, opened, folder, digest)
    for line in said_of_answers(answers):
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
            f"Of the labels given at most {answers.most_wrong:.0%} are expected to be wrong ({answered:,} of {count:,} "
            f"labelled images pass; {right:.1%} of these are right, {least:.1%} to {most:.1%})"
        )
    else:
        lines.append(
            f"No image is labelled: the labels are too few, or too often contradicted, to promise at most "
            f"{answers.most_wrong:.0%} wrong. Label more, or raise --abstain"
        )
    if (count + 1) * answers.most_flagged < 1:
        lines.append(
            f"With {count:,} labels no image can be called unlike all at --novelty {answers.most_flagged:g}: "
            f"{math.ceil(1 / answers.most_flagged) - 1:,} are needed"
        )
    return lines


def _own_labels(embedded: Embedded) -> list[str | None]:
    return [label if split == "train" else None for label, split in zip(embedded.labels, embedded.splits, strict=True)]


def _fit(embedded: Embedded, labels: list[str | None], name: str) -> tuple[Classifier, np.ndarray]:
    rows = np.array([row for row, label in enumerate(labels) if label is not None], np.int64)
    classes = sorted({label for label in labels if label is not None})
    if not classes:
        raise TwofoldError(f"'{name}' gives no image a label. Give a file or a folder with labels as --labels.")
    places = {label: place for place, label in enumerate(classes)}
    ids = np.array([places[str(labels[row])] for row in rows], np.int64)
    return fit_classifier(np.ascontiguousarray(embedded.h[rows]), ids, classes), rows


def _write(answers: Answers, opened: Opened, folder: Path, encoder: str) -> None:
    try:
        answers.to_csv(folder / "predictions.csv")
        answers.to_parquet(folder / "predictions.parquet")
        answers.classifier.save(folder / "classifier.safetensors", encoder=encoder)
        write_predict_page(answers, opened.images, folder / "predictions.html", summary=said_of_answers(answers))
    except OSError as error:
        raise TwofoldError(f"cannot write to '{folder}' ({error.strerror}). Change --out.") from error
