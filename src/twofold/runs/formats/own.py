"""Twofold's own file: the weights with the recipe that says what they see."""

from pathlib import Path
from typing import cast

from torch import nn

from twofold.errors import TwofoldError
from twofold.models.own import EncoderSource, OwnEncoder
from twofold.runs.encoder_file import load, save_encoder
from twofold.runs.formats.format import Format, Reader, reader
from twofold.runs.loaded import Loaded

_FILE = "encoder.safetensors"


def _write(loaded: Loaded, classifier: nn.Linear | None, folder: Path) -> None:
    if classifier is not None:
        raise TwofoldError(
            "--to safetensors holds the encoder alone; its classifier is a file already. Leave --classifier out."
        )
    save_encoder(folder / _FILE, loaded.encoder, loaded.recipe, loaded.step)


def _read(folder: Path, loaded: Loaded) -> Reader:
    recipe = loaded.recipe.encoder
    source = cast(EncoderSource, recipe.source) if isinstance(recipe, OwnEncoder) else None
    return reader(load(folder / _FILE, "cpu", precision="fp32", encoder=source).encoder)


SAFETENSORS = Format(takes_pixels=False, write=_write, read=_read)
