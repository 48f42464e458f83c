"""Encoder in, numbers out. Knows nothing of pretraining.

Usable alone on plain tensors: `knn` and `linear_probe`. A whole evaluation is `evaluate_encoder`.
"""

from twofold.evaluation.evaluate import Answers, Evaluation, evaluate_encoder
from twofold.evaluation.export import (
    embeddings_about,
    read_embeddings,
    require_place_for_embeddings,
    write_embeddings,
)
from twofold.evaluation.features import Hardware, Subject, embed_images, frozen, pixels
from twofold.evaluation.gallery import build_evaluation_images, build_gallery
from twofold.evaluation.imbalance import mean_per_class
from twofold.evaluation.intervals import chance_sentences, mean_interval
from twofold.evaluation.knn import build_knn_monitor, knn
from twofold.evaluation.labels import measured_rows, read_truth
from twofold.evaluation.linear_probe import LinearProbeResult, fit_few, fit_probes, linear_probe
from twofold.evaluation.logistic_regression import LinearProbe, Scaling, fit_linear, fit_scaling
from twofold.evaluation.networks import build_network, fit_network
from twofold.evaluation.prediction_file import KeptPredictions, write_predictions
from twofold.evaluation.predictions import confusion, top1
from twofold.evaluation.schedules import TRAINING_SETTINGS, make_schedule
from twofold.evaluation.scope import Settings, transfer_settings
from twofold.evaluation.scores import Difference, Row
from twofold.evaluation.sentences import difference_sentence, majority_sentence
from twofold.evaluation.table import results_table, text_curve

__all__ = [
    "TRAINING_SETTINGS",
    "Answers",
    "Difference",
    "Evaluation",
    "Hardware",
    "KeptPredictions",
    "LinearProbe",
    "LinearProbeResult",
    "Row",
    "Scaling",
    "Settings",
    "Subject",
    "build_evaluation_images",
    "build_gallery",
    "build_knn_monitor",
    "build_network",
    "chance_sentences",
    "confusion",
    "difference_sentence",
    "embed_images",
    "embeddings_about",
    "evaluate_encoder",
    "fit_few",
    "fit_linear",
    "fit_network",
    "fit_probes",
    "fit_scaling",
    "frozen",
    "knn",
    "linear_probe",
    "majority_sentence",
    "make_schedule",
    "mean_interval",
    "mean_per_class",
    "measured_rows",
    "pixels",
    "read_embeddings",
    "read_truth",
    "require_place_for_embeddings",
    "results_table",
    "text_curve",
    "top1",
    "transfer_settings",
    "write_embeddings",
    "write_predictions",
]
