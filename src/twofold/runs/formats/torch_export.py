"""torch.export: a file that holds the whole computation, preprocessing included; and how such a file is written."""

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

from twofold.errors import TwofoldError
from twofold.runs.formats.format import Format, Reader
from twofold.runs.formats.from_pixels import FromPixels
from twofold.runs.loaded import Loaded

_FILE = "encoder.pt2"


def _write(loaded: Loaded, classifier: nn.Linear | None, folder: Path) -> None:
    with exporting(loaded, "torch-export"):
        module = FromPixels(loaded.encoder, loaded.recipe.views, classifier).eval()
        program = torch.export.export(module, (example_images(loaded),), dynamic_shapes=any_size())
        torch.export.save(program, folder / _FILE)


def _read(folder: Path, loaded: Loaded) -> Reader:
    with exporting(loaded, "torch-export"):
        module = torch.export.load(folder / _FILE).module()

    def run(images: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        with torch.no_grad():
            out = module(torch.from_numpy(images))
        return (out[0].numpy(), out[1].numpy()) if isinstance(out, tuple) else (out.numpy(), None)

    return run


TORCH_EXPORT = Format(takes_pixels=True, write=_write, read=_read)


def example_images(loaded: Loaded) -> Tensor:
    """Images whose sizes all differ, so that none of them is taken for another."""
    side = 2 * loaded.recipe.views.embedding_px
    return torch.zeros(3, side + 3, side + 8, loaded.recipe.data.channels, dtype=torch.uint8)


def any_size() -> tuple[dict[int, Any]]:
    """Number, height and width of the images are left open."""
    return (dict.fromkeys((0, 1, 2), torch.export.Dim.DYNAMIC),)


@contextlib.contextmanager
def exporting(loaded: Loaded, to: str) -> Iterator[None]:
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
