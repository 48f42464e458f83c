"""A trained encoder out of a run or a file, and pictures into it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor, nn

from twofold.data.parallel import in_order
from twofold.errors import TwofoldError, enough_memory, require
from twofold.files import write_atomically
from twofold.hardware.device import Hardware, resolve_hardware
from twofold.hardware.randomness import weights_of_seed
from twofold.models import build_encoder
from twofold.models.finite import require_finite
from twofold.models.heads import build_head
from twofold.recipes.kinds import AnyPath, as_kind, as_path
from twofold.recipes.recipe import HardwareRecipe, Recipe
from twofold.runs.checkpoint import load_checkpoint
from twofold.runs.inputs import one_by_one, read_image
from twofold.runs.run_directory import Run, require_same_encoder
from twofold.views import center_view

_FORMAT = "twofold-encoder-1"


@dataclass(frozen=True)
class Loaded:
    """A trained encoder with what it needs to be used: `loaded.embed(pictures)`."""

    encoder: nn.Module
    recipe: Recipe
    hardware: Hardware
    step: int | None

    def embed(self, images: object, *, batch_size: int = 256) -> Float[ndarray, "n d"]:
        """Embeddings h of a sequence, an iterator or a batch of images, a row each; of a single one, (1, d).

        An image is a path, the bytes of a file, an open file, a Pillow image, an array (H, W) or (H, W, c) or a tensor
        (c, H, W); a batch is an array (n, H, W, c) or a tensor (n, c, H, W). Pixels are uint8 in 0..255 or float in
        [0, 1], which is rounded to 8 bits; all forms of the same pixels give the same h (`read_image` has the rules).
        Each image is turned into its central view and encoded in evaluation mode, `batch_size` at a time.
        Raises TwofoldError for what is no image or cannot be read, and for embeddings that are not finite.
        """
        parts = list(self.embed_iter(images, batch_size=batch_size))
        return np.concatenate(parts) if parts else np.zeros((0, int(getattr(self.encoder, "dim", 0))), np.float32)

    def embed_iter(self, images: object, *, batch_size: int = 256) -> Iterator[Float[ndarray, "m d"]]:
        """What `embed` gives, in parts of `batch_size` rows. No more images are taken than the parts asked for need.

        So it may go on for ever: `for h in encoder.embed_iter(camera()): ...`.
        """
        batch_size = as_kind("batch_size", batch_size, int)
        require(batch_size >= 1, "batch_size", batch_size, "at least 1", fix="Leave it out for 256.")
        return self._parts(one_by_one(images), batch_size)

    def _parts(self, images: Iterator[Any], batch_size: int) -> Iterator[Float[ndarray, "m d"]]:
        place = 0
        while batch := list(islice(images, batch_size)):
            with enough_memory(f"{len(batch)} images at a time", "Give a smaller batch_size."):
                x = torch.cat(self._views(batch, place))
                self.encoder.eval()
                with torch.inference_mode(), self.hardware.arithmetic(), self.hardware.autocast():
                    h = self.encoder(x.to(self.hardware.device)).float().cpu().numpy()
            require_finite(h)
            yield h
            place += len(batch)

    def _views(self, batch: list[Any], place: int) -> list[Float[Tensor, "1 c s s"]]:
        """Decoded by all cores, cut by one."""
        views, channels, short_px = self.recipe.views, self.recipe.data.channels, self.recipe.stored_px

        def read(index: int) -> UInt8[ndarray, "H W c"]:
            return read_image(batch[index], place + index, channels=channels, short_px=short_px)

        return [
            center_view(
                torch.tensor(pixels).permute(2, 0, 1)[None],
                torch.tensor([pixels.shape[:2]]),
                size_px=views.embedding_px,
                crop_fraction=views.eval_crop_fraction,
                interpolation=views.interpolation,
            )
            for pixels in in_order(read, len(batch), text="Decoding images", show=False)
        ]


def load(path: AnyPath, *, hardware: HardwareRecipe | None = None) -> Loaded:
    """The encoder of a run directory (its newest state) or of an exported `encoder.safetensors`.

    Raises TwofoldError where there is neither, where the weights do not fit their recipe, and where the recipe.json of
    a run and the recipe in its encoder.safetensors differ in what the encoder is or sees.
    """
    path, hardware = as_path("run", path), as_kind("hardware", hardware, HardwareRecipe | None)
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


def load_head(path: AnyPath, *, hardware: HardwareRecipe | None = None) -> nn.Sequential:
    """The projection head of a run directory, as in its newest checkpoint, in evaluation mode on the device.

    A run of the head none has the one without layers, z = h. See `layer_outputs` for what is in between.
    Raises TwofoldError where there is no run or no checkpoint, where the weights do not fit the recipe, and where the
    run's encoder.safetensors is not the encoder that this head was trained on.
    """
    run, hardware = Run(as_path("run", path)), as_kind("hardware", hardware, HardwareRecipe | None)
    recipe = Recipe.from_dict(run.read_recipe()["recipe"])
    if recipe.head.head == "none":
        return build_head(recipe.head, dim=1).eval()  # no layer, so no dim
    saved = _newest_checkpoint(run)
    if run.encoder.exists():
        _require_twin(run, _weights(saved, "encoder."), _read_file(run.encoder)[1], saved["step"])
    with weights_of_seed(0):  # which those of the run replace
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
    with weights_of_seed(seed):
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
    with weights_of_seed(0):  # which those given replace
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
