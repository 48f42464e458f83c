"""Formats that hold the whole computation, preprocessing included: ONNX and torch.export."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from twofold.errors import TwofoldError, import_extra
from twofold.runs.formats.format import Format, Reader
from twofold.runs.formats.from_pixels import FromPixels
from twofold.runs.loaded import Loaded

_OPSET = 18  # onnxruntime reads it from 1.14 on
_ONNX, _PT2 = "encoder.onnx", "encoder.pt2"


def _write_onnx(loaded: Loaded, classifier: nn.Linear | None, folder: Path) -> None:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        import_extra(package, "--to onnx", "onnx")
    with _exporting(loaded, "onnx"):
        torch.onnx.export(
            FromPixels(loaded.encoder, loaded.recipe.views, classifier).eval(),
            (_example(loaded),),
            folder / _ONNX,
            input_names=["images"],
            output_names=["h"] if classifier is None else ["h", "probabilities"],
            dynamic_shapes=_any_size(),
            opset_version=_OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def _read_onnx(folder: Path, loaded: Loaded) -> Reader:  # noqa: ARG001
    runtime = import_extra("onnxruntime", "--to onnx", "onnx")
    session = runtime.InferenceSession(str(folder / _ONNX), providers=["CPUExecutionProvider"])

    def run(images: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        h, *probabilities = session.run(None, {"images": images})
        return h, probabilities[0] if probabilities else None

    return run


def _write_torch_export(loaded: Loaded, classifier: nn.Linear | None, folder: Path) -> None:
    with _exporting(loaded, "torch-export"):
        module = FromPixels(loaded.encoder, loaded.recipe.views, classifier).eval()
        program = torch.export.export(module, (_example(loaded),), dynamic_shapes=_any_size())
        torch.export.save(program, folder / _PT2)


def _read_torch_export(folder: Path, loaded: Loaded) -> Reader:
    with _exporting(loaded, "torch-export"):
        module = torch.export.load(folder / _PT2).module()

    def run(images: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        with torch.no_grad():
            out = module(torch.from_numpy(images))
        return (out[0].numpy(), out[1].numpy()) if isinstance(out, tuple) else (out.numpy(), None)

    return run


ONNX = Format(takes_pixels=True, write=_write_onnx, read=_read_onnx)
TORCH_EXPORT = Format(takes_pixels=True, write=_write_torch_export, read=_read_torch_export)


def _example(loaded: Loaded) -> Tensor:
    """Images whose sizes all differ, so that none of them is taken for another."""
    side = 2 * loaded.recipe.views.embedding_px
    return torch.zeros(3, side + 3, side + 8, loaded.recipe.data.channels, dtype=torch.uint8)


def _any_size() -> tuple[dict[int, Any]]:
    return (dict.fromkeys((0, 1, 2), torch.export.Dim.DYNAMIC),)


@contextlib.contextmanager
def _exporting(loaded: Loaded, to: str) -> Iterator[None]:
    """Without what exporters tell those who write exporters. Raises TwofoldError where a graph cannot be made."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    except TwofoldError:
        raise
    except Exception as error:  # exporters raise errors of many kinds
        first = str(error).strip().partition("\n")[0][:300]
        raise TwofoldError(
            f"the encoder '{loaded.recipe.encoder.encoder}' cannot be written as one graph ({first}), which --to {to} "
            "needs. Give --to safetensors."
        ) from error
    finally:
        logging.disable(level)
