"""What a machine does with a folder of images: encoders and batch sizes, measured."""

import math
from shlex import quote
from typing import Unpack

from twofold.console import console, obeys_verbose, say, show_settings
from twofold.data import AnyData, as_given
from twofold.data.for_training import open_for_training
from twofold.errors import require
from twofold.files import make_folder, require_free, write_json
from twofold.hardware.device import resolve_hardware
from twofold.programs.recipe import resolve_recipe
from twofold.recipes.kinds import AnyPath, as_data, as_kind, as_optional_path, as_path
from twofold.recipes.settings import Settings
from twofold.recipes.written_flags import as_flags
from twofold.speed.sweep import bench_encoders
from twofold.speed.trials import Bench, bench_table, is_bench, trial_line
from twofold.training.start import say_counts
from twofold.versions import versions


@obeys_verbose
def bench(
    data: AnyData,
    *,
    recipe: AnyPath = "photos",
    out: AnyPath = "bench.json",
    seconds: int | float = 90.0,
    cache: AnyPath | None = None,
    allow_outside: bool = False,
    verbose: bool = True,
    **settings: Unpack[Settings],
) -> Bench:
    """Measure encoders and batch sizes on `data` in about `seconds`; print a table and a recommended command.

    The figures go to the file `out` too, in place of earlier ones. Raises TwofoldError for data or settings that cannot
    work, and where `out` holds something else.
    """
    out, cache = as_path("out", out), as_optional_path("cache", cache)
    seconds, name = as_kind("seconds", seconds, float), as_data(recipe, "recipe")
    allow_outside = as_kind("allow_outside", allow_outside, bool)
    verbose = as_kind("verbose", verbose, bool)
    require(0 < seconds < math.inf, "seconds", seconds, "above 0 and finite")
    require(out.suffix == ".json", "out", str(out), "a file name that ends in .json")
    source = as_given(data, cache=cache, allow_outside=allow_outside)
    require_free(out, "--out", is_own=is_bench)
    make_folder(out.parent, "--out")
    chosen = resolve_recipe(name, source, cache=cache, allow_outside=allow_outside, settings=dict(settings))
    hardware = resolve_hardware(chosen.hardware)
    images = open_for_training(chosen, source, cache, allow_outside=allow_outside)
    say_counts(images)
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
    others = {name: chosen.settings()[name] for name in settings if name not in ("encoder", "width", "batch_size")}
    say(f"Recommended, {found.why}; expect {choice.images_per_s:,.0f} images/s:")
    where = quote(source) if isinstance(source, str) else "DATA"  # an object has no name on a command line
    say(f"  twofold pretrain {where} --out RUN --recipe {' '.join([*flags, *as_flags(others)])}")
    replaced = ", in place of earlier ones" if out.exists() else ""
    write_json(out, {**found.to_dict(), "hardware": hardware.describe(), "versions": versions()})
    say(f"Figures: {out}{replaced}")
    return found
