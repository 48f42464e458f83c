"""Encoder in, numbers out. Knows nothing of pretraining."""

from twofold.evaluation.comparing import Difference, difference_sentence
from twofold.evaluation.embed import Hardware, embed_images, frozen, pixels
from twofold.evaluation.evaluate import Answers, Evaluation, evaluate_encoder
from twofold.evaluation.export import require_place_for_embeddings, write_embeddings
from twofold.evaluation.gallery import build_gallery
from twofold.evaluation.knn import predict_knn
from twofold.evaluation.labelled import find_labelled
from twofold.evaluation.linear import LinearProbe, Scaling, fit_linear, fit_scaling
from twofold.evaluation.metrics import binomial_half_width, confusion, interval, mean_per_class, top1
from twofold.evaluation.monitors import build_knn_monitor
from twofold.evaluation.network import build_network, fit_network
from twofold.evaluation.pictures import build_evaluation_pictures
from twofold.evaluation.selection import Choice, choose_l2, fit_few, fit_probes
from twofold.evaluation.subject import Subject
from twofold.evaluation.table import Row, results_table
from twofold.evaluation.text_curve import text_curve
from twofold.evaluation.transfer import evaluate_target, transfer_settings
from twofold.evaluation.tuning import make_schedule

__all__ = [
    "Answers",
    "Choice",
    "Difference",
    "Evaluation",
    "Hardware",
    "LinearProbe",
    "Row",
    "Scaling",
    "Subject",
    "binomial_half_width",
    "build_evaluation_pictures",
    "build_gallery",
    "build_knn_monitor",
    "build_network",
    "choose_l2",
    "confusion",
    "difference_sentence",
    "embed_images",
    "evaluate_encoder",
    "evaluate_target",
    "find_labelled",
    "fit_few",
    "fit_linear",
    "fit_network",
    "fit_probes",
    "fit_scaling",
    "frozen",
    "interval",
    "make_schedule",
    "mean_per_class",
    "pixels",
    "predict_knn",
    "require_place_for_embeddings",
    "results_table",
    "text_curve",
    "top1",
    "transfer_settings",
    "write_embeddings",
]
