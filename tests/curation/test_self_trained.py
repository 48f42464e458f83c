"""A classifier on an encoder that learnt from images without labels too: what it is judged on, and when it is taken."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from networks import VIEWS, TinyRows, same, state
from twofold.curation.self_trained import fit_self_trained
from twofold.data import Finding, ImageSet
from twofold.data.pixels import Pixels
from twofold.errors import TwofoldError
from twofold.evaluation import self_trainer
from twofold.evaluation.features import embed_images
from twofold.evaluation.self_trainer import SelfTrainer
from twofold.evaluation.self_training import SelfTraining
from twofold.hardware.device import Hardware

CPU = Hardware(torch.device("cpu"), "fp32")
CLASSES = ["a", "b", "c"]
GENTLE = SelfTraining(rate=0.001, threshold=0.8)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    """90 images of three classes, a bright row each; every third is of test."""
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 90, (90, 1, 8, 8)).astype(np.uint8)
    pixels[np.arange(90), 0, 2 * (np.arange(90) % 3) + 1] += 120
    path = tmp_path_factory.mktemp("pixels") / "pixels"
    path.write_bytes(pixels.tobytes())
    splits = ["test" if row % 5 == 4 else "train" for row in range(90)]
    return ImageSet(
        name="made",
        channels=1,
        fingerprint="f",
        paths=[f"{row}.png" for row in range(90)],
        labels=[None] * 90,
        splits=splits,
        quarantine=[],
        findings=[Finding("TF004", "made by hand")],
        pixels=Pixels(path, np.full((90, 2), 8), 1),
    )


def _fit(images: ImageSet, rows: np.ndarray, steps: int = 4) -> object:
    encoder = TinyRows(100).eval()
    h = embed_images(encoder, images, np.arange(90), views=VIEWS, hardware=CPU)
    return fit_self_trained(encoder, images, h, rows, rows % 3, CLASSES, views=VIEWS, hardware=CPU, steps=steps)


def _taking(how: object) -> Callable[..., object]:
    real = SelfTrainer.choose
    return lambda self, own, **options: replace(real(self, own, **options), how=how)


def test_the_classifier_fits_its_encoder_and_is_judged_on_every_label_by_others(
    images: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[np.ndarray, np.ndarray]] = []
    real = self_trainer.fit_by_self_training

    def watched(network: object, given: object, rows: np.ndarray, targets: object, unlabelled: np.ndarray, **how: Any):
        seen.append((rows, unlabelled))
        return real(network, given, rows, targets, unlabelled, **how)

    monkeypatch.setattr(self_trainer, "fit_by_self_training", watched)
    monkeypatch.setattr(SelfTrainer, "choose", _taking(GENTLE))
    rows = np.arange(24)
    trained = _fit(images, rows)
    assert trained is not None
    classifier = trained.classifier
    assert classifier.held_out_logits.shape == (24, 3)
    assert len(seen) == 7  # to tell the time, five folds, and the last
    for own, unlabelled in seen:
        assert not set(unlabelled.tolist()) & set(images.rows("test").tolist())
        left_out = set(rows.tolist()) - set(own.tolist())
        assert not left_out & set(unlabelled.tolist())
    h = embed_images(trained.encoder, images, np.arange(90), views=VIEWS, hardware=CPU)
    np.testing.assert_allclose(trained.h, h, atol=1e-5)
    np.testing.assert_allclose(classifier.labelled_h, h[rows], atol=1e-5)
    assert not same(state(trained.encoder), state(TinyRows(100)))
    assert (classifier.probabilities(h).argmax(1) == np.arange(90) % 3).mean() > 0.8


def test_where_the_probe_does_better_there_is_none(images: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SelfTrainer, "choose", _taking(None))
    assert _fit(images, np.arange(15)) is None


def test_held_out_logits_stand_by_their_labels(images: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.arange(24)

    def left_out(self: SelfTrainer, own: np.ndarray, fold: tuple, how: object) -> np.ndarray:
        return (np.eye(3)[self.ids[own][fold[1]]] * (2 if how else 1)).astype(np.float32)

    monkeypatch.setattr(SelfTrainer, "_left_out", left_out)
    monkeypatch.setattr(SelfTrainer, "choose", _taking(GENTLE))
    trained = _fit(images, rows)
    assert (trained.classifier.held_out_logits.argmax(1) == rows % 3).all()


def test_too_few_labels_and_no_image_without_one_are_refused(images: ImageSet) -> None:
    with pytest.raises(TwofoldError, match="'c' has 4 labels, but --self-train needs 5 of each class"):
        _fit(images, np.arange(14))
    with pytest.raises(TwofoldError, match="every image of the train split has a label"):
        _fit(images, images.rows("train"))
