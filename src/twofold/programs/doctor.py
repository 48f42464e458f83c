"""What is in some data, what is wrong with them, and what decoding them will need."""

from dataclasses import dataclass, replace
from typing import Unpack

from twofold.console import duration, obeys_verbose, say
from twofold.data import AnyData, Finding, as_given, load_images, open_source
from twofold.data.cache import cache_folder
from twofold.data.decode import Rules
from twofold.data.diagnosis import SMALL_PX, decoding_cost, diagnose
from twofold.data.image_set import columns_of
from twofold.data.sources.tiles import divided
from twofold.data.survey import Survey, said_of_finding
from twofold.programs.opening import as_reading
from twofold.programs.recipe import resolve_recipe
from twofold.recipes.data import Reading
from twofold.recipes.kinds import AnyPath, as_data, as_kind, as_optional_path

_ANY_SHARE = 0.999_999  # of unreadable files: here they are counted, not refused


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """The survey, with the findings that pixels showed, and the cost of decoding for pretraining."""

    survey: Survey
    disk_bytes: int  # in the cache
    decode_s: float  # on this machine, with all cores

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings; those of severity "warning" are worth a look before training."""
        return self.survey.findings


@obeys_verbose
def doctor(
    data: AnyData,
    *,
    recipe: AnyPath = "photos",
    cache: AnyPath | None = None,
    allow_outside: bool = False,
    verbose: bool = True,
    **reading: Unpack[Reading],
) -> Diagnosis:
    """Look at `data` as `pretrain` would: print the survey, copies, blank images, findings, and what decoding costs.

    Nothing is trained; small copies of the images are kept in the cache. `recipe` says at what size pretraining will
    keep them. Raises TwofoldError where there is no image that can be read.
    """
    cache, name = as_optional_path("cache", cache), as_data(recipe, "recipe")
    allow_outside, verbose = as_kind("allow_outside", allow_outside, bool), as_kind("verbose", verbose, bool)
    how = as_reading(reading)
    given = as_given(data, cache=cache, allow_outside=allow_outside)
    chosen = resolve_recipe(name, given, cache=cache, settings=dict(how), allow_outside=allow_outside)
    looking = replace(chosen.data, max_unreadable_fraction=_ANY_SHARE)
    files = open_source(given, cache=cache, allow_outside=allow_outside, columns=columns_of(looking))
    source = divided(files, looking, cache)
    images = load_images(source, recipe=looking, store_px=SMALL_PX, cache=cache, show_progress=True)
    assert images.survey is not None
    seen = diagnose(images)
    for finding in seen:
        say(f"  {said_of_finding(finding)}")
    disk_bytes, decode_s = decoding_cost(source, Rules.of(looking, chosen.stored_px))
    place = cache_folder(cache)
    size = f"{disk_bytes / 1e9:,.1f} GB" if disk_bytes >= 1e9 else f"{disk_bytes / 1e6:,.1f} MB"
    say(f"Decoding to a short side of {chosen.stored_px} px needs about {size} in '{place}' and {duration(decode_s)}.")
    survey = replace(images.survey, findings=(*images.survey.findings, *seen))
    warnings = sum(finding.severity != "info" for finding in survey.findings)
    say(f"Findings: {warnings:,} to look at, {len(survey.findings) - warnings:,} decisions. Codes: docs/checks.md.")
    return Diagnosis(survey=survey, disk_bytes=disk_bytes, decode_s=decode_s)
