"""From a folder of images to a run directory with its report."""

import contextlib
from pathlib import Path
from typing import Any, Unpack

from twofold.console import obeys_verbose, say
from twofold.data import AnyData, Source, as_given
from twofold.distributed import open_world
from twofold.errors import TwofoldError, enough_memory, require
from twofold.evaluation import build_gallery, build_knn_monitor
from twofold.models.own import EncoderSource
from twofold.optim.own import BuildOptimizer
from twofold.programs.images import most_searched, open_images
from twofold.programs.objects import as_objects, named_init, names
from twofold.programs.opening import Opener
from twofold.programs.recipe import resolve_recipe
from twofold.programs.report import write_report
from twofold.recipes.kinds import AnyPath, as_data, as_kind, as_optional_path, as_path
from twofold.recipes.named import Found, build_recipe
from twofold.recipes.recipe import HardwareRecipe, Recipe
from twofold.recipes.settings import PlainSettings
from twofold.runs.encoder_file import load
from twofold.runs.run_directory import Run
from twofold.training.loop import pretrain as run_pretraining

_LESS_MEMORY = "Close other programs, or compute with --device cpu."


@obeys_verbose
def pretrain(
    data: AnyData,
    *,
    out: AnyPath,
    recipe: AnyPath | Recipe = "photos",
    encoder: str | EncoderSource | None = None,
    optimizer: str | BuildOptimizer | None = None,
    cache: AnyPath | None = None,
    allow_outside: bool = False,
    profile: int = 0,
    checkpoint_through: AnyPath | None = None,
    verbose: bool = True,
    **settings: Unpack[PlainSettings],
) -> Run:
    """Train an encoder on the images in `data`, without labels; return its run directory.

    data: a folder, a table, the name of a data set; or an object: a `torch.utils.data.Dataset` of images or of (image,
    label), a Hugging Face `Dataset`, a `Source`, or a dict of these by split. All its items are read once to tell them
    apart. Of several processes (torchrun) each makes the same object.

    recipe: a name, a saved recipe.json or a Recipe; `settings` replace its leaves by name, as the flags do:
    `pretrain("photos/", out="run", batch_size=512, epochs=100)`.

    encoder: a name (resnet18, torchvision:NAME, timm:NAME), or any nn.Module from views (n, channels, size_px, size_px)
    in [0, 1] to (n, d) or (n, d, h, w), which is averaged over h and w. A class, or a function that returns a module,
    has fresh weights by the seed; a module is copied, and training begins at its weights. The run keeps the name of its
    class and its weights: give the encoder again to continue, to `load`, `evaluate`, `transfer` and `embed`.

    optimizer: lars, sgd, adamw, or a function from parameter groups to a torch optimizer,
    `lambda groups: torch.optim.SGD(groups, lr=0.1)`. The schedule warms up to its rate and decays from there; norms and
    biases are a group without weight decay. The run keeps the name of its class and its state.

    init (a setting): weights to begin from: a run, an exported encoder, a file or folder of torchvision, timm or
    Hugging Face, a module or a state dict; `init_strict`, `init_rate`, `init_normalization` and `freeze_until` say how.
    What was loaded is printed and kept in recipe.json, the encoder before pretraining in RUN/initial.safetensors.

    verbose=False prints nothing. The same call again continues an interrupted run. Everything else is as in
    `twofold.training.loop.pretrain`, with k-NN accuracy watched where the images have labels.
    """
    out, cache = as_path("out", out), as_optional_path("cache", cache)
    profile, allow_outside = as_kind("profile", profile, int), as_kind("allow_outside", allow_outside, bool)
    through = as_optional_path("checkpoint_through", checkpoint_through)
    name = "" if isinstance(recipe, Recipe) else as_data(recipe, "recipe")
    require(profile >= 0, "profile", profile, "at least 0 steps")
    verbose = as_kind("verbose", verbose, bool)
    objects = as_objects(encoder, optimizer, settings)
    source = as_given(data, cache=cache, allow_outside=allow_outside)
    named = {**names(encoder=encoder, optimizer=optimizer), **named_init(settings)}
    leaves: dict[str, Any] = {**settings, **named}
    with open_world(_device(recipe, leaves)) as world:
        if isinstance(recipe, Recipe):
            chosen = recipe.with_settings(**leaves)
        else:
            chosen = world.in_turn(
                resolve_recipe, name, source, cache=cache, allow_outside=allow_outside, settings=leaves
            )
        run = run_pretraining(
            source,
            out=out,
            recipe=objects.put_into(chosen),
            monitors=(build_knn_monitor,),
            cache=cache,
            allow_outside=allow_outside,
            profile=profile,
            checkpoint_through=through,
        )
    if world.is_first:
        given = None if isinstance(encoder, str) else encoder
        how = Opener(encoder=given, cache=cache, allow_outside=allow_outside, hardware=chosen.hardware)
        gallery_and_report(run.folder, source, how)
    return run


def _device(recipe: AnyPath | Recipe, settings: dict[str, Any]) -> str:
    """The run's device, before the processes meet; what is wrong with the recipe is said once they have met."""
    if settings.get("device") is not None:
        return HardwareRecipe(device=settings["device"]).device
    if isinstance(recipe, Recipe):
        return recipe.hardware.device
    with contextlib.suppress(TwofoldError):
        return build_recipe(str(recipe), _look_at_nothing)[0].hardware.device
    return "auto"


def _look_at_nothing() -> Found:
    raise TwofoldError("a recipe that looks at the images leaves the device to the machine")


def gallery_and_report(run: Path, data: str | Source, how: Opener) -> None:
    """The images' part of the report (neighbours and map), then the report itself."""
    record, loaded = Run(run), load(run, hardware=how.hardware, encoder=how.encoder)
    if not record.gallery.exists():
        own = record.read_recipe()["data"]["fingerprint"]
        images = open_images(loaded, data, how, own=own, quiet=True)
        views, used = loaded.recipe.views, loaded.hardware
        with used.arithmetic(), enough_memory("the report's images", _LESS_MEMORY):
            most = most_searched(record)
            build_gallery(loaded.encoder, images, views=views, hardware=used, out=record.gallery, most=most)
    say(f"Encoder: {record.encoder}")
    write_report(run)
