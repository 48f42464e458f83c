"""Encoders to measure beside a run: another run, an exported file, or a foreign network with weights from a file."""

from dataclasses import dataclass, replace
from pathlib import Path

import safetensors.torch
import torch
from jaxtyping import Float
from torch import Tensor, nn

from twofold.errors import TwofoldError
from twofold.hardware.randomness import weights_of_seed
from twofold.models import build_encoder
from twofold.recipes.recipe import EncoderRecipe, ViewsRecipe
from twofold.runs.encoder_file import Loaded, load

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as the weights of both libraries expect
_CLASSIFIERS = ("fc.", "classifier.", "head.", "heads.")


@dataclass(frozen=True, kw_only=True)
class Beside:
    """An encoder with the name it has in a table and the views it sees."""

    name: str
    encoder: nn.Module
    views: ViewsRecipe


class Normalised(nn.Module):
    """Views in [0, 1] -> (views - mean) / std of ImageNet -> the encoder."""

    mean: Tensor
    std: Tensor

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.dim = int(encoder.dim)  # type: ignore[arg-type]
        self.register_buffer("mean", torch.tensor(_MEAN)[:, None, None])
        self.register_buffer("std", torch.tensor(_STD)[:, None, None])

    def forward(self, views: Float[Tensor, "n 3 s1 s2"]) -> Float[Tensor, "n d"]:
        """Views (n, 3, s, s) in [0, 1] -> h (n, d)."""
        return self.encoder((views - self.mean) / self.std)


def load_beside(text: str, like: Loaded, *, size_px: int | None = None) -> Beside:
    """A run directory, an encoder.safetensors, or `torchvision:NAME=FILE` and `timm:NAME=FILE`.

    A foreign network gets ImageNet's normalisation and views of `size_px` (default: those of the run `like`).
    Raises TwofoldError for weights that do not fit, and for an encoder that takes other channels than the run's.
    """
    if text.startswith(("torchvision:", "timm:")):
        name, equals, file = text.partition("=")
        if not equals:
            raise TwofoldError(f"'{text}' names no weights, but they must come from a file. Write {name}=FILE.")
        return _foreign(name, Path(file), like, size_px)
    loaded = load(text)
    ours, theirs = like.recipe.data.channels, loaded.recipe.data.channels
    if ours != theirs:
        raise TwofoldError(
            f"the encoder of '{text}' takes {theirs} channels, but that of the run takes {ours}; both are measured on "
            "the same images. Compare runs with the same --channels."
        )
    return Beside(
        name=Path(text).stem if Path(text).is_file() else text, encoder=loaded.encoder, views=loaded.recipe.views
    )


def _foreign(name: str, file: Path, like: Loaded, size_px: int | None) -> Beside:
    channels = like.recipe.data.channels
    if channels != 3:
        raise TwofoldError(f"'{name}' takes 3 channels, but the run takes {channels}. Compare it with a run in colour.")
    views = like.recipe.views
    if size_px is not None:
        views = replace(views, size_px=size_px, eval_size_px=None)
    with weights_of_seed(0):  # which the file's replace
        encoder = build_encoder(EncoderRecipe(encoder=name), channels=3, size_px=views.embedding_px)
    weights = {key: value for key, value in _read(file).items() if not key.startswith(_CLASSIFIERS)}
    try:
        encoder.module.load_state_dict(weights)  # type: ignore[union-attr]
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise TwofoldError(
            f"the weights in '{file}' do not fit '{name}' ({reason}). Give the file of that network."
        ) from error
    placed = like.hardware.place(Normalised(encoder)).eval()
    return Beside(name=name, encoder=placed, views=views)


def _read(file: Path) -> dict[str, Tensor]:
    try:
        if file.suffix == ".safetensors":
            return safetensors.torch.load_file(file)
        values = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # of many kinds: what is no pickle fails wherever its bytes lead
        raise _no_weights(file, str(error)) from error
    weights = values.get("state_dict", values) if isinstance(values, dict) else values
    if not isinstance(weights, dict) or not all(isinstance(name, str) for name in weights):
        raise _no_weights(file, f"it holds a {type(weights).__name__}, not tensors by name")
    return weights


def _no_weights(file: Path, reason: str) -> TwofoldError:
    first = reason.partition("\n")[0]
    return TwofoldError(
        f"'{file}' cannot be read as weights ({first}). Give a state dict (.pth) or a .safetensors file."
    )
