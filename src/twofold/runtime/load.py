"""A trained encoder out of a run or a file, and pictures into it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
from twofold.files import write_atomically
from twofold.finite import require_finite
from twofold.heads import build_head
from twofold.recipe import HardwareRecipe, Recipe
from twofold.runtime.checkpoint import load_checkpoint
from twofold.runtime.device import Hardware, resolve_hardware
from twofold.runtime.record import Run, require_same_encoder
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
        h = torch.cat(parts)
        require_finite(h)
        return h.numpy()

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

    Raises TwofoldError where there is neither, where the weights do not fit their recipe, and where the recipe.json of
    a run and the recipe in its encoder.safetensors differ in what the encoder is or sees.
    """
    path = Path(path)
    if path.is_file():
        return _load_file(path, hardware)
    run = Run(path)
    record = run.read_recipe()
    if run.encoder.exists():
        recipe, weights = _read_file(run.encoder)
        require_same_encoder(run, record, recipe)
        return _loaded(recipe, weights, hardware, None)
    saved = _newest_checkpoint(run)
    return _loaded(Recipe.from_dict(record["recipe"]), _weights(saved, "encoder."), hardware, saved["step"])


def load_head(path: str | Path, *, hardware: HardwareRecipe | None = None) -> nn.Sequential:
    """The projection head of a run directory, as in its newest checkpoint, in evaluation mode on the device.

    A run of the head none has the one without layers, z = h. See `twofold.heads.layer_outputs` for what is in between.
    Raises TwofoldError where there is no run or no checkpoint, where the weights do not fit the recipe, and where the
    run's encoder.safetensors is not the encoder that this head was trained on.
    """
    run = Run(path)
    recipe = Recipe.from_dict(run.read_recipe()["recipe"])
    if recipe.head.head == "none":
        return build_head(recipe.head, dim=1).eval()  # no layer, so no dim
    saved = _newest_checkpoint(run)
    if run.encoder.exists():
        _require_twin(run, _weights(saved, "encoder."), _read_file(run.encoder)[1], saved["step"])
    encoder = build_encoder(recipe.encoder, channels=recipe.data.channels, size_px=recipe.views.size_px)
    head = build_head(recipe.head, dim=encoder.dim)
    _fill(head, _weights(saved, "head."), f"head '{recipe.head.head}'")
    resolve_hardware(hardware or HardwareRecipe()).place(head)
    return head.eval()


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
    recipe, weights = _read_file(path)
    return _loaded(recipe, weights, hardware, None)


def _read_file(path: Path) -> tuple[Recipe, dict[str, Tensor]]:
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
    try:
        return Recipe.from_dict(json.loads(metadata["recipe"])), weights
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TwofoldError(
            f"the recipe in '{path}' is damaged ({error}). Give a file that 'twofold pretrain' exported."
        ) from error


def _loaded(recipe: Recipe, weights: dict[str, Tensor], chosen: HardwareRecipe | None, step: int | None) -> Loaded:
    hardware = resolve_hardware(chosen or HardwareRecipe())
    encoder = build_encoder(recipe.encoder, channels=recipe.data.channels, size_px=recipe.views.size_px)
    _fill(encoder, weights, f"encoder '{recipe.encoder.encoder}'")
    hardware.place(encoder).eval()
    return Loaded(encoder, recipe, hardware, step)


def _newest_checkpoint(run: Run) -> dict[str, Any]:
    saved = load_checkpoint(run.checkpoints)
    if saved is None:
        raise TwofoldError(f"the run in '{run.folder}' has no checkpoint yet. Let 'twofold pretrain' run on it first.")
    return saved


def _weights(saved: dict[str, Any], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): w for name, w in saved["model"].items() if name.startswith(prefix)}


def _fill(module: nn.Module, weights: dict[str, Tensor], kind: str) -> None:
    """Put weights into a module that the recipe names, all of them and no others."""
    needed = module.state_dict()
    missing, strange = [n for n in needed if n not in weights], [n for n in weights if n not in needed]
    wrong = [n for n in needed if n in weights and needed[n].shape != weights[n].shape]
    found = []
    if wrong:
        shapes = f"{tuple(weights[wrong[0]].shape)}, not {tuple(needed[wrong[0]].shape)}"
        found.append(f"{len(wrong)} have another shape (first '{wrong[0]}': {shapes})")
    if missing:
        found.append(f"{len(missing)} are missing (first '{missing[0]}')")
    if strange:
        found.append(f"{len(strange)} are unknown to it (first '{strange[0]}')")
    if found:
        raise TwofoldError(
            f"the weights do not fit the recipe's {kind}, which has {len(needed)} tensors: {', '.join(found)}. "
            "Use the weights and the recipe of the same run."
        )
    module.load_state_dict(weights)


def _require_twin(run: Run, saved: dict[str, Tensor], exported: dict[str, Tensor], step: int) -> None:
    same = saved.keys() == exported.keys() and all(torch.equal(saved[name], exported[name]) for name in saved)
    if not same:
        raise TwofoldError(
            f"'{run.encoder}' holds other weights than the run's newest checkpoint (step {step:,}), but a head is used "
            "with the encoder that it was trained on. Restore the file that was changed."
        )
