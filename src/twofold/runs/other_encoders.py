"""Encoders to compare a run with: another run, an exported file, or a library's network with weights from a file."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from twofold.errors import TwofoldError
from twofold.hardware.randomness import weights_of_seed
from twofold.models import build_encoder
from twofold.models.channels import IMAGENET
from twofold.models.matching import library_module, without_classifier
from twofold.recipes.recipe import EncoderRecipe, ViewsRecipe
from twofold.runs.encoder_file import Loaded, load
from twofold.runs.weights import read_weights


@dataclass(frozen=True, kw_only=True)
class OtherEncoder:
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
        self.register_buffer("mean", torch.tensor(IMAGENET.mean)[:, None, None])
        self.register_buffer("std", torch.tensor(IMAGENET.std)[:, None, None])

    def forward(self, views: Float[Tensor, "n 3 s1 s2"]) -> Float[Tensor, "n d"]:
        """Views (n, 3, s, s) in [0, 1] -> h (n, d)."""
        return self.encoder((views - self.mean) / self.std)


def load_other(text: str, like: Loaded, *, size_px: int | None = None) -> OtherEncoder:
    """A run directory, an encoder.safetensors, or `torchvision:NAME=FILE` and `timm:NAME=FILE`.

    A network of a library gets ImageNet's normalisation and views of `size_px` (default: those of the run `like`).
    Raises TwofoldError for weights that do not fit, and for an encoder that takes other channels than the run's.
    """
    if text.startswith(("torchvision:", "timm:")):
        name, equals, file = text.partition("=")
        if not equals:
            raise TwofoldError(f"'{text}' names no weights, but they must come from a file. Write {name}=FILE.")
        return _of_library(name, Path(file), like, size_px)
    loaded = load(text)
    ours, theirs = like.recipe.data.channels, loaded.recipe.data.channels
    if ours != theirs:
        raise TwofoldError(
            f"the encoder of '{text}' takes {theirs} channels, but that of the run takes {ours}; both are measured on "
            "the same images. Compare runs with the same --channels."
        )
    return OtherEncoder(
        name=Path(text).stem if Path(text).is_file() else text, encoder=loaded.encoder, views=loaded.recipe.views
    )


def _of_library(name: str, file: Path, like: Loaded, size_px: int | None) -> OtherEncoder:
    channels = like.recipe.data.channels
    if channels != 3:
        raise TwofoldError(f"'{name}' takes 3 channels, but the run takes {channels}. Compare it with a run in colour.")
    views = like.recipe.views
    if size_px is not None:
        views = replace(views, size_px=size_px, eval_size_px=None)
    with weights_of_seed(0):  # which the file's replace
        encoder = build_encoder(EncoderRecipe(encoder=name), channels=3, size_px=views.embedding_px)
    try:
        library_module(encoder).load_state_dict(without_classifier(read_weights(file).tensors))
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise TwofoldError(
            f"the weights in '{file}' do not fit '{name}' ({reason}). Give the file of that network."
        ) from error
    placed = like.hardware.place(Normalised(encoder)).eval()
    return OtherEncoder(name=name, encoder=placed, views=views)
