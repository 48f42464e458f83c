"""A classifier on an encoder of its own, which learnt from the images without labels too.

Legend: m images, n labelled ones, d features, c classes.
"""

import time
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, Int64
from torch import nn

from twofold.console import duration, say
from twofold.curation.classifier import Classifier, judged_rows
from twofold.data import ImageSet
from twofold.errors import TwofoldError
from twofold.evaluation.features import Hardware, embed_images
from twofold.evaluation.labels import FOLDS
from twofold.evaluation.logistic_regression import fit_scaling
from twofold.evaluation.self_trainer import WAYS, SelfTrainer, trial_steps
from twofold.recipes.recipe import ViewsRecipe

_TIMED = 4  # steps


@dataclass(frozen=True, eq=False, kw_only=True)
class SelfTrained:
    """The encoder, its embeddings of all images, and the classifier on them."""

    encoder: nn.Module
    h: Float32[np.ndarray, "m d"]
    classifier: Classifier


def fit_self_trained(
    encoder: nn.Module,
    images: ImageSet,
    h: Float32[np.ndarray, "m d"],
    rows: Int64[np.ndarray, " n"],
    ids: Int64[np.ndarray, " n"],
    classes: list[str],
    *,
    views: ViewsRecipe,
    hardware: Hardware,
    steps: int,
    groups: Int64[np.ndarray, " n"] | None = None,
) -> SelfTrained | None:
    """Self-train a copy of `encoder` on the labels `ids` of `rows` and on all images of train without their labels.

    None where labels that were left out say that the linear probe does better. The classifier's logits of held-out
    labels are those of networks trained for `trial_steps` on the labels of the other folds. Raises TwofoldError for
    fewer than five labels of a class, and where `rows` and train are the same images.
    """
    counts = np.bincount(ids, minlength=len(classes))
    if counts.min() < FOLDS:
        raise TwofoldError(
            f"'{classes[int(counts.argmin())]}' has {counts.min()} labels, but --self-train needs {FOLDS} of each "
            "class, to check whether it does better than the classifier without it. Label more, or leave it out."
        )
    unlabelled = images.rows("train")
    if not len(np.setdiff1d(unlabelled, rows)):
        raise TwofoldError(
            "every image of the train split has a label, but --self-train learns from images without. Leave it out."
        )
    trainer = SelfTrainer(
        encoder=encoder,
        images=images,
        views=views,
        hardware=hardware,
        rows=rows,
        ids=ids,
        classes=len(classes),
        h=h[rows],
        scaling=fit_scaling(h),
        unlabelled=unlabelled,
        groups=groups,
        steps=steps,
    )
    everything = np.arange(len(rows))
    say(f"  self-training on {len(unlabelled):,} images of train, none of test: {duration(_seconds(trainer))} at least")
    choice = trainer.choose(everything, least=len(rows))
    if choice.how is None:
        return None
    network = trainer.train(everything, choice.how, 0)
    tuned = embed_images(network.encoder, images, np.arange(len(images)), views=views, hardware=hardware)
    held_out = np.zeros_like(choice.held_out)
    held_out[choice.cut] = choice.held_out
    classifier = Classifier(
        classes=classes,
        weight=network.classifier.weight.detach().cpu().numpy().T.copy(),
        bias=network.classifier.bias.detach().cpu().numpy().copy(),
        labelled_h=np.ascontiguousarray(tuned[rows]),
        held_out_logits=held_out,
        ids=ids,
        groups=groups,
        judged=judged_rows(ids, groups),
    )
    return SelfTrained(encoder=network.encoder, h=tuned, classifier=classifier)


def _seconds(trainer: SelfTrainer) -> float:
    """About how long one training and the shorter ones of the choice take, by a few steps."""
    began = time.perf_counter()
    replace(trainer, steps=_TIMED).train(np.arange(len(trainer.rows)), WAYS[0], 0)
    return (time.perf_counter() - began) / _TIMED * (trainer.steps + FOLDS * trial_steps(trainer.steps))
