"""ONNX: a file that holds the whole computation, preprocessing included."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from twofold.errors import import_extra
from twofold.runs.formats.format import Format, Reader
from twofold.runs.formats.from_pixels import FromPixels
from twofold.runs.formats.torch_export import any_size, example_images, exporting
from twofold.runs.loaded import Loaded

_OPSET = 18  # onnxruntime reads it from 1.14 on
_FILE = "encoder.onnx"


def _write(loaded: Loaded, classifier: nn.Linear | None, folder: Path) -> None:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        import_extra(package, "--to onnx", "onnx")
    with exporting(loaded, "onnx"):
        torch.onnx.export(
            FromPixels(loaded.encoder, loaded.recipe.views, classifier).eval(),
            (example_images(loaded),),
            folder / _FILE,
            input_names=["images"],
            output_names=["h"] if classifier is None else ["h", "probabilities"],
            dynamic_shapes=any_size(),
            opset_version=_OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def _read(folder: Path, loaded: Loaded) -> Reader:  # noqa: ARG001
    runtime = import_extra("onnxruntime", "--to onnx", "onnx")
    session = runtime.InferenceSession(str(folder / _FILE), providers=["CPUExecutionProvider"])

    def run(images: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        h, *probabilities = session.run(None, {"images": images})
        return h, probabilities[0] if probabilities else None

    return run


ONNX = Format(takes_pixels=True, write=_write, read=_read)
