"""A trained encoder out of a run or a file, and pictures into it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from PIL import Image
from torch import Tensor, nn

from twofold.data import UnreadableError, decode
from twofold.encoders import build_encoder
from twofold.errors import TwofoldError
from twofold.recipe import HardwareRecipe, Recipe
from twofold.runtime.checkpoint import load_checkpoint
from twofold.runtime.device import Hardware, resolve_hardware
from twofold.runtime.files import write_atomically
from twofold.runtime.record import Run
from twofold.views import center_view

Picture = str | Path | Image.Image | UInt8[ndarray, "H W c"]
_FORMAT = "twofold-encoder-1"


@dataclass(frozen=True)
class Loaded:
    """A trained encoder with what it needs to be used: `loaded.embed(pictures)`."""

    encoder: nn.Module
    recipe: Recipe
    hardware: Hardware
    step: int | None

    def embed(self, images: Sequence[Picture] | UInt8[Tensor, "n c H W"]) -> Float[ndarray, "n d"]:
        """Embeddings h of pictures: paths, Pillow images, (H, W, c) uint8 arrays, or one uint8 tensor (n, c, H, W).

        Each picture is decoded, turned into its central view and encoded in evaluation mode. Raises TwofoldError for
        a picture that cannot be read and for a number of channels that the encoder does not take.
        """
        views = [self._view(image) for image in images]
        if not views:
            return np.zeros((0, int(getattr(self.encoder, "dim", 0))), np.float32)
        self.encoder.eval()
        with torch.inference_mode(), self.hardware.autocast():
            parts = [self.encoder(part.to(self.hardware.device)).float().cpu() for part in torch.cat(views).split(256)]
        return torch.cat(parts).numpy()

    def _view(self, image: Picture | Tensor) -> Tensor:
        views, channels = self.recipe.views, self.recipe.data.channels
        try:
            pixels = torch.tensor(decode(_content(image, channels), channels=channels, short_px=self.recipe.stored_px))
        except (UnreadableError, OSError) as error:
            name = f"'{image}'" if isinstance(image, str | Path) else "the picture"
            raise TwofoldError(f"{name} cannot be read ({error}). Leave it out or mend it.") from error
        return center_view(
            pixels.permute(2, 0, 1)[None],
            torch.tensor([pixels.shape[:2]]),
            size_px=views.embedding_px,
            crop_fraction=views.eval_crop_fraction,
            interpolation=views.interpolation,
        )


def _content(image: Picture | Tensor, channels: int) -> bytes | Image.Image:
    """What `decode` takes, so that every form of a picture goes the way of a file."""
    if isinstance(image, str | Path):
        return Path(image).read_bytes()
    if isinstance(image, Image.Image):
        return image
    pixels = image.permute(1, 2, 0).cpu().numpy() if isinstance(image, Tensor) else image
    if pixels.shape[2] != channels:
        raise TwofoldError(
            f"the picture has {pixels.shape[2]} channels, but the encoder takes {channels}. "
            "Convert it first, or pass a path or a Pillow image, which is converted."
        )
    return Image.fromarray(np.ascontiguousarray(pixels if channels == 3 else pixels[:, :, 0]))


def load(path: str | Path, *, hardware: HardwareRecipe | None = None) -> Loaded:
    """The encoder of a run directory (its newest state) or of an exported `encoder.safetensors`.

    Raises TwofoldError where there is neither, or where the weights do not fit the recipe beside them.
    """
    path = Path(path)
    if path.is_file():
        return _load_file(path, hardware)
    run = Run(path)
    record = run.read_recipe()
    if run.encoder.exists():
        return _load_file(run.encoder, hardware)
    saved = load_checkpoint(run.checkpoints)
    if saved is None:
        raise TwofoldError(f"the run in '{path}' has no checkpoint yet. Let 'twofold pretrain' run on it first.")
    weights = {k.removeprefix("encoder."): v for k, v in saved["model"].items() if k.startswith("encoder.")}
    return _loaded(Recipe.from_dict(record["recipe"]), weights, hardware, saved["step"])


def save_encoder(path: Path, encoder: nn.Module, recipe: Recipe) -> None:
    """Export weights and recipe as one safetensors file, atomically."""
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in encoder.state_dict().items()}
    metadata = {"format": _FORMAT, "recipe": json.dumps(recipe.to_dict())}
    write_atomically(path, safetensors.torch.save(weights, metadata=metadata))


def build_untrained(recipe: Recipe, seed: int, hardware: Hardware) -> nn.Module:
    """The same encoder with fresh weights: the baseline of every measurement."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = build_encoder(recipe.encoder, channels=recipe.data.channels, size_px=recipe.views.size_px)
    return hardware.place(encoder).eval()


def _load_file(path: Path, hardware: HardwareRecipe | None) -> Loaded:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, safetensors.SafetensorError) as error:
        raise TwofoldError(
            f"'{path}' cannot be read as an encoder ({error}). Give a run or its encoder.safetensors."
        ) from error
    if metadata.get("format") != _FORMAT:
        raise TwofoldError(
            f"'{path}' has the format {metadata.get('format')!r}, but {_FORMAT!r} is needed. "
            "Give a file that 'twofold pretrain' exported."
        )
    return _loaded(Recipe.from_dict(json.loads(metadata["recipe"])), weights, hardware, None)


def _loaded(recipe: Recipe, weights: dict[str, Tensor], chosen: HardwareRecipe | None, step: int | None) -> Loaded:
    hardware = resolve_hardware(chosen or HardwareRecipe())
    encoder = build_encoder(recipe.encoder, channels=recipe.data.channels, size_px=recipe.views.size_px)
    try:
        encoder.load_state_dict(weights)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise TwofoldError(
            f"the weights do not fit the recipe's encoder '{recipe.encoder.encoder}': {first} "
            "Use the weights and the recipe of the same run."
        ) from error
    hardware.place(encoder).eval()
    return Loaded(encoder, recipe, hardware, step)
