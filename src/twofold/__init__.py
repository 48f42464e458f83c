"""Twofold: SimCLR for people who have many images and few labels.

The public names (docs/python.md) are loaded when they are first used, so that `import twofold` costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twofold.data import Record as Record
    from twofold.data import Source as Source
    from twofold.data import rows_of_step as rows_of_step
    from twofold.distributed import World as World
    from twofold.distributed import open_world as open_world
    from twofold.errors import TwofoldError as TwofoldError
    from twofold.evaluation.knn import knn as knn
    from twofold.evaluation.linear_probe import linear_probe as linear_probe
    from twofold.losses import contrast_accuracy as contrast_accuracy
    from twofold.losses import dcl as dcl
    from twofold.losses import nt_logistic as nt_logistic
    from twofold.losses import nt_xent as nt_xent
    from twofold.losses import triplet as triplet
    from twofold.models import ResNet as ResNet
    from twofold.models import adapt as adapt
    from twofold.models.head import ProjectionHead as ProjectionHead
    from twofold.models.simclr import SimCLR as SimCLR
    from twofold.optim import LARS as LARS
    from twofold.optim import lr_at as lr_at
    from twofold.optim import param_groups as param_groups
    from twofold.programs.bench import bench as bench
    from twofold.programs.cache import list_cache as list_cache
    from twofold.programs.clean import clean as clean
    from twofold.programs.compare import compare as compare
    from twofold.programs.distill import distill as distill
    from twofold.programs.doctor import doctor as doctor
    from twofold.programs.embed import embed as embed
    from twofold.programs.evaluate import evaluate as evaluate
    from twofold.programs.explore import explore as explore
    from twofold.programs.export import export as export
    from twofold.programs.launch import launch as launch
    from twofold.programs.pick import pick as pick
    from twofold.programs.predict import predict as predict
    from twofold.programs.pretrain import pretrain as pretrain
    from twofold.programs.recipes import list_recipes as list_recipes
    from twofold.programs.report import write_report as write_report
    from twofold.programs.sample import sample as sample
    from twofold.programs.search import search as search
    from twofold.programs.study import list_studies as list_studies
    from twofold.programs.study import study as study
    from twofold.programs.transfer import transfer as transfer
    from twofold.recipes.recipe import Op as Op
    from twofold.recipes.recipe import Recipe as Recipe
    from twofold.runs.encoder_file import load as load
    from twofold.runs.loaded import Loaded as Loaded
    from twofold.runs.run_directory import Run as Run
    from twofold.training.chunks import forward_chunks as forward_chunks
    from twofold.views import Augmentation as Augmentation
    from twofold.views import TwoViews as TwoViews

__version__ = "0.1.0"

_HOMES = {
    "Augmentation": "twofold.views",
    "LARS": "twofold.optim",
    "Loaded": "twofold.runs.loaded",
    "Op": "twofold.recipes.recipe",
    "ProjectionHead": "twofold.models.head",
    "Record": "twofold.data",
    "Recipe": "twofold.recipes.recipe",
    "ResNet": "twofold.models",
    "Run": "twofold.runs.run_directory",
    "SimCLR": "twofold.models.simclr",
    "Source": "twofold.data",
    "TwoViews": "twofold.views",
    "TwofoldError": "twofold.errors",
    "World": "twofold.distributed",
    "adapt": "twofold.models",
    "bench": "twofold.programs.bench",
    "clean": "twofold.programs.clean",
    "contrast_accuracy": "twofold.losses",
    "dcl": "twofold.losses",
    "distill": "twofold.programs.distill",
    "doctor": "twofold.programs.doctor",
    "embed": "twofold.programs.embed",
    "evaluate": "twofold.programs.evaluate",
    "explore": "twofold.programs.explore",
    "export": "twofold.programs.export",
    "forward_chunks": "twofold.training.chunks",
    "knn": "twofold.evaluation.knn",
    "launch": "twofold.programs.launch",
    "linear_probe": "twofold.evaluation.linear_probe",
    "list_cache": "twofold.programs.cache",
    "list_recipes": "twofold.programs.recipes",
    "list_studies": "twofold.programs.study",
    "load": "twofold.runs.encoder_file",
    "lr_at": "twofold.optim",
    "nt_logistic": "twofold.losses",
    "nt_xent": "twofold.losses",
    "open_world": "twofold.distributed",
    "param_groups": "twofold.optim",
    "pick": "twofold.programs.pick",
    "predict": "twofold.programs.predict",
    "pretrain": "twofold.programs.pretrain",
    "rows_of_step": "twofold.data",
    "sample": "twofold.programs.sample",
    "search": "twofold.programs.search",
    "study": "twofold.programs.study",
    "transfer": "twofold.programs.transfer",
    "triplet": "twofold.losses",
    "compare": "twofold.programs.compare",
    "write_report": "twofold.programs.report",
}
__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'twofold' has no attribute '{name}'")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
