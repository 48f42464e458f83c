"""A trained encoder out of a run or a file."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from twofold.errors import TwofoldError, require
from twofold.files import write_atomically
from twofold.hardware.device import Hardware, resolve_hardware
from twofold.hardware.randomness import weights_of_seed
from twofold.models import build_encoder
from twofold.models.head import build_head
from twofold.models.own import EncoderSource, saved_encoder
from twofold.models.weights import fill
from twofold.recipes.kinds import AnyPath, as_kind, as_path
from twofold.recipes.recipe import HardwareRecipe, Recipe
from twofold.runs.checkpoint import load_checkpoint
from twofold.runs.loaded import Loaded as Loaded
from twofold.runs.run_directory import Run, require_same_encoder

_FORMAT = "twofold-encoder-1"


def load(
    path: AnyPath,
    device: str | torch.device = "auto",
    *,
    precision: str = "auto",
    encoder: EncoderSource | None = None,
    hardware: HardwareRecipe | None = None,
) -> Loaded:
    """The encoder of a run directory (its newest state) or of an exported `encoder.safetensors`, ready to embed images.

    device: auto, cpu, cuda, cuda:N or mps. precision: auto (bf16 where the device has it), bf16 or fp32; `hardware`
    takes the place of both. encoder: for a run that was trained on a module of your own, its class, a function that
    returns one, or such a module, which stays as it is: the run keeps the name and the weights, not the code.
    Raises TwofoldError where there is neither, where the weights do not fit their recipe or the given encoder, where an
    encoder of your own is not given, and where the recipe.json of a run and the recipe in its encoder.safetensors
    differ in what the encoder is or sees.
    """
    path, hardware = as_path("run", path), as_kind("hardware", hardware, HardwareRecipe | None)
    named = HardwareRecipe(device=str(device) if isinstance(device, torch.device) else device, precision=precision)
    hardware = named if hardware is None else _alone(hardware, named)
    if path.is_file():
        recipe, weights = read_encoder_file(path)
        return _loaded(_with_encoder(recipe, encoder, path), weights, hardware, step_of(path))
    run = Run(path)
    record = run.read_recipe()
    if run.encoder.exists():
        recipe, weights = read_encoder_file(run.encoder)
        require_same_encoder(run, record, recipe)
        return _loaded(_with_encoder(recipe, encoder, path), weights, hardware, step_of(run.encoder))
    saved = _newest_checkpoint(run)
    recipe = _with_encoder(Recipe.from_dict(record["recipe"]), encoder, path)
    return _loaded(recipe, _weights(saved, "encoder."), hardware, saved["step"])


def load_head(
    path: AnyPath,
    *,
    hardware: HardwareRecipe | None = None,
    encoder: EncoderSource | None = None,
) -> nn.Sequential:
    """The projection head of a run directory, as in its newest checkpoint, in evaluation mode on the device.

    A run of the head none has the one without layers, z = h. See `layer_outputs` for what is in between. `encoder` is
    as in `load`.
    Raises TwofoldError where there is no run or no checkpoint, where the weights do not fit the recipe, and where the
    run's encoder.safetensors is not the encoder that this head was trained on.
    """
    run, hardware = Run(as_path("run", path)), as_kind("hardware", hardware, HardwareRecipe | None)
    recipe = _with_encoder(Recipe.from_dict(run.read_recipe()["recipe"]), encoder, run.folder)
    if recipe.head.head == "none":
        return build_head(recipe.head, dim=1).eval()  # no layer, so no dim
    saved = _newest_checkpoint(run)
    if run.encoder.exists():
        _require_same_weights(run, _weights(saved, "encoder."), read_encoder_file(run.encoder)[1], saved["step"])
    with weights_of_seed(0):  # which those of the run replace
        encoder = build_encoder(recipe.encoder, channels=recipe.data.channels, size_px=recipe.views.size_px)
        head = build_head(recipe.head, dim=encoder.dim)
    fill(head, _weights(saved, "head."), f"head '{recipe.head.head}'")
    resolve_hardware(hardware or HardwareRecipe()).place(head)
    return head.eval()


def save_encoder(path: Path, encoder: nn.Module, recipe: Recipe, step: int | None = None) -> None:
    """Export weights and recipe as one safetensors file, atomically; with the steps of pretraining, where known."""
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in encoder.state_dict().items()}
    metadata = {"format": _FORMAT, "recipe": json.dumps(recipe.to_dict())}
    metadata |= {} if step is None else {"step": str(step)}
    write_atomically(path, safetensors.torch.save(weights, metadata=metadata))


def build_untrained(recipe: Recipe, seed: int, hardware: Hardware) -> nn.Module:
    """The same encoder with fresh weights: the baseline of every measurement."""
    with weights_of_seed(seed):
        encoder = build_encoder(recipe.encoder, channels=recipe.data.channels, size_px=recipe.views.size_px)
    return hardware.place(encoder).eval()


def _alone(hardware: HardwareRecipe, named: HardwareRecipe) -> HardwareRecipe:
    for name in ("device", "precision"):
        value = getattr(named, name)
        require(value == "auto", name, value, "left out beside hardware", fix="Give a HardwareRecipe that has it.")
    return hardware


def _with_encoder(recipe: Recipe, source: object, where: Path) -> Recipe:
    return replace(recipe, encoder=saved_encoder(recipe.encoder, source, where))


def read_encoder_file(path: Path) -> tuple[Recipe, dict[str, Tensor]]:
    """The recipe and the weights in an exported encoder. Raises TwofoldError for any other file."""
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


def step_of(path: Path) -> int | None:
    """The steps that the encoder in such a file was pretrained for; None where it does not say."""
    with safetensors.safe_open(path, framework="pt") as file:
        step = (file.metadata() or {}).get("step", "")
    return int(step) if step.isdigit() else None


def _loaded(recipe: Recipe, weights: dict[str, Tensor], chosen: HardwareRecipe, step: int | None) -> Loaded:
    hardware = resolve_hardware(chosen)
    with weights_of_seed(0):  # which those given replace
        encoder = build_encoder(recipe.encoder, channels=recipe.data.channels, size_px=recipe.views.size_px)
    fill(encoder, weights, f"encoder '{recipe.encoder.encoder}'")
    hardware.place(encoder).eval()
    return Loaded(encoder, recipe, hardware, step)


def _newest_checkpoint(run: Run) -> dict[str, Any]:
    saved = load_checkpoint(run.checkpoints)
    if saved is None:
        raise TwofoldError(f"the run in '{run.folder}' has no checkpoint yet. Let 'twofold pretrain' run on it first.")
    return saved


def _weights(saved: dict[str, Any], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): w for name, w in saved["model"].items() if name.startswith(prefix)}


def _require_same_weights(run: Run, saved: dict[str, Tensor], exported: dict[str, Tensor], step: int) -> None:
    same = saved.keys() == exported.keys() and all(torch.equal(saved[name], exported[name]) for name in saved)
    if not same:
        raise TwofoldError(
            f"'{run.encoder}' holds other weights than the run's newest checkpoint (step {step:,}), but a head is used "
            "with the encoder that it was trained on. Restore the file that was changed."
        )
