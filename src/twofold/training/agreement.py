"""What all processes of a run agree on before the first step: the folder, the recipe, the hardware, the images.

Where one of them cannot go on, all raise the same error.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from twofold.data import ImageSet
from twofold.data.held_out import hold_out
from twofold.distributed import World
from twofold.errors import TwofoldError, enough_memory
from twofold.files import make_folder
from twofold.hardware.device import Hardware, resolve_hardware
from twofold.recipes.recipe import Recipe
from twofold.runs.run_directory import Run, open_run, require_same_settings
from twofold.runs.space import require_space
from twofold.training.continuing import continued_hardware, note_harmless
from twofold.training.extension import extended
from twofold.training.step import build_state
from twofold.versions import versions

_LESS_MEMORY = "Give --chunk auto, --chunk 64 or --memory 8GiB, or a smaller --batch-size, --size-px or --encoder."
_MOMENTS = {"lars": 1, "sgd": 1, "adamw": 2}  # that an optimizer keeps for each weight
_MOST_MOMENTS = 2  # of one of the user's, as of Adam


def require_place(data: str | Path, out: str | Path) -> None:
    """Refuse an `out` inside the folder of images, where the run's own images would be trained on."""
    if Path(data).is_dir() and Path(out).resolve().is_relative_to(Path(data).resolve()):
        raise TwofoldError(
            f"--out '{out}' lies inside the data '{data}', but a run writes images of its own. Choose a folder outside."
        )


@contextmanager
def open_together(out: str | Path, world: World, *, through: Path | None) -> Iterator[Run]:
    """The run directory; the first process alone writes to it."""
    with ExitStack() as stack:
        world.from_first(_hold, stack, out, through)
        yield Run(out, through)


def _hold(stack: ExitStack, out: str | Path, through: Path | None) -> None:
    stack.enter_context(open_run(out))
    if through:
        make_folder(through, "--checkpoint-through")


def begun_with(run: Run, recipe: Recipe) -> dict[str, Any] | None:
    """The record of a run that was begun before, or None. Raises TwofoldError where a setting changed.

    Of a finished run of which more is asked for it is that of the part to come, without a plan (`extension`).
    """
    if not run.recipe.exists():
        return None
    record = run.read_recipe()
    if longer := extended(run, record, recipe):
        return longer
    require_same_settings(run, record, recipe)
    return note_harmless(run, record, recipe)


def agreed_hardware(run: Run, begun: dict[str, Any] | None, recipe: Recipe, world: World) -> Hardware:
    """The hardware of a new run, or that of one that was begun. Raises TwofoldError where it is not available."""
    hardware = continued_hardware(run, begun, recipe.hardware) if begun else resolve_hardware(recipe.hardware)
    kind = hardware.device.type
    if world.size > 1 and "cuda" in (kind, world.device.type) and kind != world.device.type:
        raise TwofoldError(
            f"the {world.size} processes came together for {world.device.type}, but '{run.folder}' is trained on "
            f"{kind}. Give --device {kind}."
        )
    return hardware


def held_out(images: ImageSet, begun: dict[str, Any] | None, recipe: Recipe) -> ImageSet:
    """The images with those that never train apart, unless the run was begun by a version that kept none out."""
    if begun and not begun["data"].get("held_out"):
        return images
    return hold_out(images, recipe.data.held_out_fraction, recipe.data.data_seed)


@contextmanager
def computing(recipe: Recipe, hardware: Hardware) -> Iterator[None]:
    """The context of all that a run computes. Raises TwofoldError, which says what to lower, where memory runs out."""
    with hardware.arithmetic(), enough_memory(_work(recipe), _LESS_MEMORY):
        if recipe.hardware.compile:
            torch.compiler.reset()  # after another run in this process it would compile for any size, or not at all
        yield


def _work(recipe: Recipe) -> str:
    schedule, encoder = recipe.schedule, recipe.encoder.encoder
    chunks = f" in chunks of {schedule.fixed_chunk:,}" if schedule.fixed_chunk else ""
    return f"training {encoder} on {schedule.batch_size:,} images of {recipe.views.size_px} px a step{chunks}"


def require_room(run: Run, recipe: Recipe) -> None:
    """Raises TwofoldError where the disk has no room for two checkpoints of the recipe's model and for its encoder."""
    plain = recipe.with_settings(compile=False)
    state = build_state(plain, Hardware(torch.device("cpu"), "fp32"), peak=1.0, world=World())
    weights, encoder = (_bytes(module.state_dict().values()) for module in (state.model, state.model.encoder))
    moments = _MOMENTS.get(recipe.optim.optimizer, _MOST_MOMENTS) * _bytes(state.model.parameters())
    require_space(run, checkpoint=weights + moments, encoder=encoder)


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def require_agreement(world: World, recipe: Recipe, hardware: Hardware, images: ImageSet, *, profile: int) -> None:
    """Raises TwofoldError where a process has another recipe, precision, version or other images than the first."""
    chosen = {"precision": hardware.precision, "images": images.fingerprint, "profile": profile}
    used = versions()
    world.require_same({**recipe.settings(), **chosen, "twofold": used["twofold"], "torch": used["torch"]})
