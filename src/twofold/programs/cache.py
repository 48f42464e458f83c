"""What is kept in the cache: shown, checked, pruned."""

from twofold.console import obeys_verbose, say
from twofold.data.cache import cache_errors, cache_folder
from twofold.data.inventory import Part, check, parts_of, prune
from twofold.errors import require
from twofold.recipes.kinds import AnyPath, as_kind, as_optional_path


@obeys_verbose
def list_cache(
    cache: AnyPath | None = None,
    *,
    check_images: bool = False,
    prune_unused: bool = False,
    unused_days: float = 30.0,
    verbose: bool = True,
) -> list[Part]:
    """Print and return the parts of the cache: what each holds, its bytes, and when images were last opened from it.

    `check_images` first holds all decoded images against their checksums; damaged ones are decoded again when they are
    next opened. `prune_unused` first removes images of data not opened for `unused_days`, and what earlier versions of
    twofold kept. Only what twofold can make anew is ever removed. Raises TwofoldError where that fails.
    """
    folder = cache_folder(as_optional_path("cache", cache))
    check_images = as_kind("check_images", check_images, bool)
    prune_unused, unused_days = as_kind("prune_unused", prune_unused, bool), as_kind("unused_days", unused_days, float)
    require(unused_days >= 0, "unused_days", unused_days, "0 days or more")
    verbose = as_kind("verbose", verbose, bool)
    with cache_errors(folder):
        if check_images:
            damaged = check(folder)
            for line in damaged:
                say(line)
            say(f"checked: {len(damaged):,} segments with damage")
        if prune_unused:
            say(f"removed: {_size(prune(folder, unused_days))}")
        parts = parts_of(folder)
    say(f"{folder}: {_size(sum(part.bytes for part in parts))}")
    for part in parts:
        images = f"{part.images:,} " if part.images is not None else ""
        used = f", last opened {part.unused_days:,.0f} days ago" if part.unused_days is not None else ""
        say(f"  {part.name}: {_size(part.bytes)}, {images}{part.what}{used}")
    return parts


def _size(count: int) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"
