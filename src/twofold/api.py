"""The programs: what the command line calls and `import twofold` offers, under the same names."""

import contextlib
import math
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np

from twofold.benching import bench_encoders
from twofold.data import look_at, open_source
from twofold.distributed import open_world
from twofold.errors import TwofoldError, enough_memory, require
from twofold.evaluating import evaluate as evaluate
from twofold.evaluating import transfer as transfer
from twofold.evaluation import (
    build_gallery,
    build_knn_monitor,
    embed_images,
    require_place_for_embeddings,
    write_embeddings,
)
from twofold.files import make_folder, require_free, write_json
from twofold.flags import as_flags
from twofold.kinds import AnyPath, as_data, as_kind, as_optional_path, as_path
from twofold.pretraining import pretrain as run_pretraining
from twofold.recipe import HardwareRecipe, Recipe
from twofold.recipes import Found, build_recipe
from twofold.report import build_report
from twofold.runtime.console import console, say, show_settings
from twofold.runtime.device import gpu_gib, resolve_hardware
from twofold.runtime.images import as_unreadable_limit, open_for_training, open_pictures
from twofold.runtime.load import load
from twofold.runtime.record import Run
from twofold.startup import say_found
from twofold.trials import Bench, bench_table, is_bench, trial_line
from twofold.versions import versions

_LESS_MEMORY = "Close other programs, or compute with --device cpu."


def pretrain(
    data: AnyPath,
    *,
    out: AnyPath,
    recipe: AnyPath | Recipe = "photos",
    cache: AnyPath | None = None,
    allow_outside: bool = False,
    profile: int = 0,
    **settings: Any,
) -> Run:
    """Train an encoder on the pictures in `data`, without labels; return its run directory.

    `recipe` is a name, a saved recipe.json or a Recipe; `settings` replace its leaves by name, as the flags do:
    `pretrain("photos/", out="run", batch_size=512, epochs=100)`. Everything else is as in
    `twofold.pretraining.pretrain`, with k-NN accuracy watched where the pictures have labels.
    """
    data, out, cache = as_data(data), as_path("out", out), as_optional_path("cache", cache)
    profile, allow_outside = as_kind("profile", profile, int), as_kind("allow_outside", allow_outside, bool)
    name = "" if isinstance(recipe, Recipe) else as_data(recipe, "recipe")
    require(profile >= 0, "profile", profile, "at least 0 steps")
    with open_world(_device(recipe, settings)) as world:
        if isinstance(recipe, Recipe):
            chosen = recipe.with_settings(**settings)
        else:
            chosen = world.in_turn(
                lambda: resolve_recipe(name, data, cache=cache, allow_outside=allow_outside, settings=settings)
            )
        run = run_pretraining(
            data,
            out=out,
            recipe=chosen,
            monitors=(build_knn_monitor,),
            cache=cache,
            allow_outside=allow_outside,
            profile=profile,
        )
    if world.is_first:
        gallery_and_report(run.folder, data, chosen.hardware, cache=cache, allow_outside=allow_outside)
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
    raise TwofoldError("a recipe that looks at the pictures leaves the device to the machine")


def bench(
    data: AnyPath,
    *,
    recipe: AnyPath = "photos",
    out: AnyPath = "bench.json",
    seconds: int | float = 90.0,
    cache: AnyPath | None = None,
    allow_outside: bool = False,
    **settings: Any,
) -> Bench:
    """Measure encoders and batch sizes on `data` in about `seconds`; print a table and a recommended command.

    The figures go to the file `out` too, in place of earlier ones. Raises TwofoldError for data or settings that cannot
    work, and where `out` holds something else.
    """
    data, out, cache = as_data(data), as_path("out", out), as_optional_path("cache", cache)
    seconds, name = as_kind("seconds", seconds, float), as_data(recipe, "recipe")
    allow_outside = as_kind("allow_outside", allow_outside, bool)
    require(0 < seconds < math.inf, "seconds", seconds, "above 0 and finite")
    require(out.suffix == ".json", "out", str(out), "a file name that ends in .json")
    require_free(out, "--out", is_own=is_bench)
    make_folder(out.parent, "--out")
    chosen = resolve_recipe(name, data, cache=cache, allow_outside=allow_outside, settings=settings)
    hardware = resolve_hardware(chosen.hardware)
    images = open_for_training(chosen, data, cache, allow_outside=allow_outside)
    say_found(images, len(images.rows("train")))
    show_settings("\nHardware", dict(hardware.describe()))
    with hardware.arithmetic():
        found = bench_encoders(chosen, hardware, images, seconds=seconds, say=say)
    console.print(bench_table(found))
    for one in found.failed:
        say(trial_line(one).strip())
    for line in found.skipped:
        say(f"Left out for time: {line}")
    choice = found.choice
    flags = [quote(name), f"--encoder {choice.encoder}"]
    if choice.width != 1 or chosen.encoder.width != 1:
        flags.append(f"--width {choice.width:g}")
    flags.append(f"--batch-size {choice.batch_size}")
    if allow_outside:
        flags.append("--allow-outside")
    others = {name: value for name, value in settings.items() if name not in ("encoder", "width", "batch_size")}
    say(f"Recommended, {found.why}; expect {choice.images_per_s:,.0f} images/s:")
    say(f"  twofold pretrain {quote(data)} --out RUN --recipe {' '.join([*flags, *as_flags(others)])}")
    replaced = ", in place of earlier ones" if out.exists() else ""
    write_json(out, {**found.to_dict(), "hardware": hardware.describe(), "versions": versions()})
    say(f"Figures: {out}{replaced}")
    return found


def resolve_recipe(
    name: str, data: str, *, cache: Path | None, settings: dict[str, Any], allow_outside: bool = False
) -> Recipe:
    """The recipe called `name` or in that file, with `settings` put in; says why it picked what it picked."""

    def look() -> Found:
        source = open_source(data, cache=cache, allow_outside=allow_outside)
        facts = look_at(source)
        return Found(
            pictures=sum(record.split in (None, "train") for record in source.records),
            short_side_px=facts.short_side_px,
            channels=facts.channels,
            gpu_gib=gpu_gib(HardwareRecipe(device=settings.get("device") or "auto").device),
        )

    chosen, reasons = build_recipe(name, look)
    if reasons:
        say(f"Recipe {name} picked:")
    for reason in reasons:
        say(f"  {reason}")
    return chosen.with_settings(**settings)


def embed(
    run: AnyPath,
    data: AnyPath,
    *,
    out: AnyPath,
    cache: AnyPath | None = None,
    allow_outside: bool = False,
    device: str = "auto",
    precision: str = "auto",
    max_unreadable_fraction: int | float | None = None,
) -> Path:
    """Write path, label (where known) and embedding h of every picture in `data` to the parquet file `out`.

    Earlier embeddings there are replaced. Raises TwofoldError where `out` holds anything else, before any work.
    """
    run, data, out = as_path("run", run), as_data(data), as_path("out", out)
    cache, allow_outside = as_optional_path("cache", cache), as_kind("allow_outside", allow_outside, bool)
    hardware = HardwareRecipe(device=device, precision=precision)
    limit = as_unreadable_limit(max_unreadable_fraction)
    require_place_for_embeddings(out)
    make_folder(out.parent, "--out")
    loaded = load(run, hardware=hardware)
    own = Run(run).read_recipe()["data"]["fingerprint"] if run.is_dir() else None
    images = open_pictures(loaded, data, cache, own=own, allow_outside=allow_outside, limit=limit)
    with loaded.hardware.arithmetic(), enough_memory("embedding", _LESS_MEMORY):
        embeddings = embed_images(
            loaded.encoder, images, np.arange(len(images)), views=loaded.recipe.views, hardware=loaded.hardware
        )
    replaced = ", in place of earlier ones" if out.exists() else ""
    path = write_embeddings(images.paths, images.labels, embeddings, out)
    unreadable = f"{len(images.quarantine)} unreadable{replaced}"
    say(f"{len(images):,} embeddings of {embeddings.shape[1]} numbers in {path}, {unreadable}")
    return path


def report(run: AnyPath) -> Path:
    """Write RUN/report.html anew from the files of the run."""
    record = Run(as_path("run", run))
    record.read_recipe()
    path = build_report(record.folder)
    say(f"Report: {path}")
    return path


def gallery_and_report(
    run: Path, data: str, hardware: HardwareRecipe, *, cache: Path | None, allow_outside: bool = False
) -> None:
    """The pictures' part of the report (neighbours and map), then the report itself."""
    record, loaded = Run(run), load(run, hardware=hardware)
    if not record.gallery.exists():
        own = record.read_recipe()["data"]["fingerprint"]
        images = open_pictures(loaded, data, cache, own=own, allow_outside=allow_outside)
        views, used = loaded.recipe.views, loaded.hardware
        with used.arithmetic(), enough_memory("the report's pictures", _LESS_MEMORY):
            build_gallery(loaded.encoder, images, views=views, hardware=used, out=record.gallery)
    say(f"Encoder: {record.encoder}")
    report(run)
