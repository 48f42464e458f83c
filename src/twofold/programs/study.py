"""The program that reruns the paper's studies."""

import math
from pathlib import Path
from typing import Any

from twofold.console import duration, obeys_verbose, say
from twofold.data.sources.addresses import shown_address
from twofold.errors import TwofoldError, require, unknown_name
from twofold.hardware.device import resolve_hardware
from twofold.recipes.kinds import AnyPath, as_data, as_kind, as_optional_path
from twofold.studies import STUDIES
from twofold.studies.engine.cell import Cell
from twofold.studies.engine.estimate import build_estimate, views_per_s
from twofold.studies.engine.grid import planned_cells
from twofold.studies.engine.results import Results
from twofold.studies.engine.run import run_study
from twofold.studies.engine.scale import Scale, get_scale

_LISTED_IMAGES, _LISTED_ASKED = 50_000, 10_000  # CIFAR-10's


@obeys_verbose
def study(
    name: str,
    *,
    data: AnyPath | None = None,
    scale: str | Scale = "laptop",
    seeds: int | None = None,
    minutes: int | float | None = None,
    out: AnyPath | None = None,
    encoders: AnyPath | None = None,
    plan: bool = False,
    cache: AnyPath | None = None,
    allow_outside: bool = False,
    verbose: bool = True,
) -> dict[str, Any]:
    """Run the study `name` on labelled images; return its record, which is also OUT/study.json.

    `out` (studies/NAME by default) gets table.md, figure.svg and report.html too. The same call again skips finished
    cells; several at once with one `out` share them. Encoders of the same images and settings are trained once for
    all studies that share the folder `encoders` (studies/encoders where no `out` is given, else OUT/runs). `minutes`
    is how long the base recipe trains, `plan` only prints what would be done. Raises TwofoldError for an unknown study
    and for data or settings that cannot work.
    """
    name, scale = as_kind("name", name, str), as_kind("scale", scale, str | Scale)
    seeds, minutes = as_kind("seeds", seeds, int | None), as_kind("minutes", minutes, float | None)
    plan, data = as_kind("plan", plan, bool), None if data is None else as_data(data)
    out, cache = as_optional_path("out", out), as_optional_path("cache", cache)
    allow_outside = as_kind("allow_outside", allow_outside, bool)
    verbose = as_kind("verbose", verbose, bool)
    if name not in STUDIES:
        raise unknown_name("study", name, ("list", *STUDIES))
    _require_seeds(seeds)
    require(minutes is None or 0 < minutes < math.inf, "minutes", minutes, "above 0 and finite")
    chosen = (get_scale(scale) if isinstance(scale, str) else scale).of(name)
    if data is None and chosen.data is None:
        raise TwofoldError(
            f"data is None, but the scale {chosen.name} has no images of its own. Give --data ILSVRC2012/, a folder "
            "with train/CLASS/ and the official validation images as test/CLASS/."
        )
    shared = as_optional_path("encoders", encoders)
    if out is None and shared is None:
        shared = Path("studies") / "encoders"
    place = Path("studies") / name if out is None else out
    flags = [f"--data {Path(shown_address(str(data))).name}"] if data else []
    flags += [f"--scale {chosen.name}" if chosen.name != "laptop" else ""]
    flags += [f"--seeds {seeds}" if seeds not in (None, chosen.seeds) else ""]
    flags += [f"--minutes {minutes:g}" if minutes else ""]
    return run_study(
        STUDIES[name],
        chosen,
        data=data or chosen.data or "",
        out=place,
        seeds=chosen.seeds if seeds is None else seeds,
        command=" ".join(["twofold study", name, *filter(None, flags)]),
        minutes=minutes,
        encoders=shared,
        cache=cache,
        allow_outside=allow_outside,
        plan_only=plan,
    )


def _require_seeds(seeds: int | None) -> None:
    require(seeds is None or seeds >= 1, "seeds", seeds, "at least 1 (an interval needs 2, a claim should have 3)")


@obeys_verbose
def list_studies(scale: str = "laptop", seeds: int | None = None, *, verbose: bool = True) -> None:
    """Print what each study asks, what the paper found, and how long it takes on this machine, which is measured."""
    verbose = as_kind("verbose", verbose, bool)
    _require_seeds(seeds)
    chosen = get_scale(scale)
    hardware = resolve_hardware(chosen.base.hardware)
    with hardware.arithmetic():
        rate = views_per_s(chosen.base, hardware)

    def estimate(own: Scale, cells: list[Cell]) -> float:
        return build_estimate(own, hardware, images=_LISTED_IMAGES, asked=_LISTED_ASKED, base_views_per_s=rate)(cells)

    for study in STUDIES.values():
        own = chosen.of(study.name)
        count = own.seeds if seeds is None else seeds
        cells = planned_cells(study, own, count, Results())
        say(study.name)
        say(f"    {study.asks}")
        say(f"    The paper: {study.paper}")
        say(f"    {len(cells)} cells with {count} seeds, about {duration(estimate(own, cells))} here for one process\n")
    say(f"Times: scale {chosen.name}, {_LISTED_IMAGES:,} images to train on, {rate:,.0f} views/s measured just now.")
