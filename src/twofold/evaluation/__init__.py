"""Encoder in, numbers out. Knows nothing of pretraining."""

from twofold.evaluation.embed import Hardware, embed_images, frozen, pixels
from twofold.evaluation.evaluate import Evaluation, evaluate_encoder
from twofold.evaluation.export import require_parquet, write_embeddings
from twofold.evaluation.gallery import build_gallery
from twofold.evaluation.knn import predict_knn
from twofold.evaluation.linear import LinearProbe, Scaling, fit_linear, fit_scaling
from twofold.evaluation.metrics import binomial_half_width, confusion, interval, mean_per_class, top1
from twofold.evaluation.monitors import build_knn_monitor
from twofold.evaluation.pictures import build_evaluation_pictures
from twofold.evaluation.selection import Choice, choose_l2, fit_few, fit_probes
from twofold.evaluation.table import Row, results_table

__all__ = [
    "Choice",
    "Evaluation",
    "Hardware",
    "LinearProbe",
    "Row",
    "Scaling",
    "binomial_half_width",
    "build_evaluation_pictures",
    "build_gallery",
    "build_knn_monitor",
    "choose_l2",
    "confusion",
    "embed_images",
    "evaluate_encoder",
    "fit_few",
    "fit_linear",
    "fit_probes",
    "fit_scaling",
    "frozen",
    "interval",
    "mean_per_class",
    "pixels",
    "predict_knn",
    "require_parquet",
    "results_table",
    "top1",
    "write_embeddings",
]
