"""Weights as Twofold, other programs and Python hold them: tensors by name, and what they expect of images.

A pickle is never read in full: that could run code.
"""

import json
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import torch
from torch import Tensor, nn

from twofold.errors import TwofoldError
from twofold.models import Encoder
from twofold.models.channels import NONE, Normalization
from twofold.recipes.init import InitRecipe
from twofold.recipes.kinds import unfit
from twofold.recipes.own import OWN, is_own, own_name
from twofold.recipes.recipe import Recipe
from twofold.runs.checkpoint import load_checkpoint
from twofold.runs.encoder_file import read_encoder_file, step_of
from twofold.runs.run_directory import Run

MARK = {"normalization": "none"}  # in files that Twofold exports: pixels / 255 is what they expect
_MARKED = "twofold"  # where a pickled state dict keeps it
_WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "encoder")  # of a state dict in a training checkpoint
_IN_FOLDER = ("model.safetensors", "pytorch_model.bin")  # of a Hugging Face folder
_NORMALIZATION_KEYS = (("mean", "std"), ("image_mean", "image_std"))  # of timm, of transformers


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Tensors by the names they have where they come from.

    normalization: what they expect of images in [0, 1]; None where that is not known. head: of the projection head,
    where they are a run's. recipe: that of the encoder, where they are Twofold's own. step: of the run's checkpoint.
    """

    source: str
    tensors: Mapping[str, Tensor]
    head: Mapping[str, Tensor] = field(default_factory=dict)
    normalization: Normalization | None = None
    recipe: Recipe | None = None
    step: int | None = None


@dataclass(frozen=True)
class OwnInit(InitRecipe):
    """Weights that Python hands over. A recipe.json keeps the name of the module's class, or "own:state_dict"."""

    _: KW_ONLY
    weights: object = field(compare=False, repr=False)


def name_of(weights: object) -> str:
    """What a recipe calls weights from Python. Raises TwofoldError for what is no module and no state dict."""
    if isinstance(weights, nn.Module):
        return own_name(type(weights))
    if isinstance(weights, Mapping):
        return f"{OWN}state_dict"
    raise unfit("init", weights, "a path, an nn.Module or a state dict")


def weights_of(recipe: InitRecipe) -> Weights:
    """The weights that a recipe names or holds. Raises TwofoldError where they cannot be read, or are not there."""
    assert recipe.init is not None
    if isinstance(recipe, OwnInit):
        return _of_object(recipe.weights, recipe.init)
    if is_own(recipe.init):
        raise TwofoldError(
            f"init is '{recipe.init}', weights that Python handed over: a recipe keeps their name alone. Give them in "
            "Python: twofold.pretrain(..., init=...)."
        )
    return read_weights(Path(recipe.init).expanduser())


def read_weights(path: Path) -> Weights:
    """A run, a folder of Hugging Face, a .safetensors file, or a pickled state dict (read with weights_only=True).

    Raises TwofoldError, in one line, for anything else.
    """
    if (path / "recipe.json").is_file():
        return _of_run(Run(path))
    if path.is_dir():
        file = next((path / name for name in _IN_FOLDER if (path / name).is_file()), None)
        if file is None:
            raise TwofoldError(
                f"'{path}' holds neither a run (recipe.json) nor weights ({' or '.join(_IN_FOLDER)}). Give the file."
            )
        return read_weights(file)
    if not path.is_file():
        raise _unreadable(path, "there is no such file")
    tensors, note = (_safe if path.suffix == ".safetensors" else _pickled)(path)
    if note.get("format", "").startswith("twofold-encoder"):
        recipe, own = read_encoder_file(path)
        return Weights(source=str(path), tensors=own, normalization=NONE, recipe=recipe, step=step_of(path))
    known = NONE if note.get("normalization") == MARK["normalization"] else _configured(path.parent)
    return Weights(source=str(path), tensors=tensors, normalization=known)


def marked(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict to be pickled that says, once it is read again, that it expects pixels / 255."""
    state = OrderedDict(tensors)
    state._metadata = {_MARKED: MARK}  # type: ignore[attr-defined]  # as torch keeps its own notes
    return state


def _of_run(run: Run) -> Weights:
    recipe, saved = Recipe.from_dict(run.read_recipe()["recipe"]), load_checkpoint(run.checkpoints)
    if saved is None:
        return Weights(
            source=str(run.folder),
            tensors=read_encoder_file(run.encoder)[1],
            normalization=NONE,
            recipe=recipe,
            step=step_of(run.encoder),
        )
    parts: dict[str, dict[str, Tensor]] = {"encoder": {}, "head": {}}
    for name, tensor in saved["model"].items():
        part, _, inner = name.partition(".")
        parts[part][inner] = tensor
    return Weights(
        source=str(run.folder),
        tensors=parts["encoder"],
        head=parts["head"],
        normalization=NONE,
        recipe=recipe,
        step=saved["step"],
    )


def _of_object(weights: object, name: str) -> Weights:
    state = weights.state_dict() if isinstance(weights, nn.Module) else weights
    if not isinstance(state, Mapping) or not all(isinstance(one, Tensor) for one in state.values()):
        raise unfit("init", weights, "a path, an nn.Module or a state dict")
    tensors = {str(key): tensor.detach().cpu() for key, tensor in state.items()}
    known = NONE if isinstance(weights, Encoder) or _is_marked(state) else None
    return Weights(source=name, tensors=tensors, normalization=known)


def _safe(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (OSError, safetensors.SafetensorError) as error:
        raise _unreadable(path, str(error)) from error


def _pickled(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        values: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of many kinds: what is no pickle fails wherever its bytes lead
        code = re.search(r"GLOBAL (\S+)", str(error))
        if code:
            raise TwofoldError(
                f"'{path}' holds more than tensors ('{code[1]}'), and reading that could run its code, which Twofold "
                "never does. Save the state dict alone: torch.save(model.state_dict(), 'weights.pth')."
            ) from error
        reason = str(error) if isinstance(error, OSError) else "it is not a pickled state dict"
        raise _unreadable(path, reason) from error
    for name in _WRAPPERS:
        if isinstance(values, dict) and isinstance(values.get(name), dict):
            values = values[name]
            break
    if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
        raise _unreadable(path, f"it holds a {type(values).__name__}, not tensors by name")
    tensors = {name: tensor for name, tensor in values.items() if isinstance(tensor, Tensor)}
    if not tensors:
        raise _unreadable(path, f"it holds no tensors, but {', '.join(list(values)[:3]) or 'nothing'}")
    return tensors, MARK if _is_marked(values) else {}


def _is_marked(state: object) -> bool:
    return getattr(state, "_metadata", {}).get(_MARKED) == MARK


def _configured(folder: Path) -> Normalization | None:
    """What the configuration files of a Hugging Face folder say."""
    for name, inner in (("config.json", "pretrained_cfg"), ("preprocessor_config.json", None)):
        try:
            values = json.loads((folder / name).read_text(encoding="utf-8"))
            values = values[inner] if inner else values
            for mean, std in _NORMALIZATION_KEYS:
                if mean in values:
                    return Normalization(tuple(map(float, values[mean])), tuple(map(float, values[std])))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


def _unreadable(path: Path, reason: str) -> TwofoldError:
    first = reason.partition("\n")[0]
    return TwofoldError(
        f"'{path}' cannot be read as weights ({first}). Give a run, a state dict (.pth) or a .safetensors file."
    )
