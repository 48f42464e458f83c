"""The encoder that a cell is about: trained here, or taken from a cell with the same recipe and seed."""

import contextlib
import hashlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from twofold.data import ImageSet
from twofold.distributed import World
from twofold.recipes.recipe import Recipe
from twofold.studies.engine.folder import StudyFolder, alone
from twofold.training.loop import pretrain

_LATER = {  # settings that came after the first recorded studies
    "data": (
        *("path_column", "label_column", "split_column", "group_column", "group_by"),
        *("range", "range_from", "truncated", "held_out_fraction", "decode", "bands", "pages"),
        *("tile", "stride", "micrometres_per_px", "tile_content"),
    ),
    "views": ("vertical_flip_prob", "rotate_degrees", "grayscale_prob", "jitter", "blur_prob", "colour"),
    "schedule": ("duplicates",),
    "hardware": ("deterministic", "resident"),
    "init": ("init", "init_strict", "init_rate", "init_normalization", "freeze_until"),
}


def pretrained(recipe: Recipe, images: ImageSet, folder: StudyFolder, world: World) -> tuple[Path, float]:
    """The run directory of a recipe in a study's folder, and the seconds that this process waited for another's.

    An interrupted run is continued, a finished one taken; where another process is training it, this one waits. What
    the run prints goes to a log beside it. Raises DivergedError for numbers that are not finite.
    """
    name = run_name(recipe)
    own = folder.folder / "runs"  # where an older version began it, perhaps
    runs = own if (own / name).exists() else folder.runs
    run, log = runs / name, runs / f"{name}.log"
    lock = runs / f".{name}.lock"
    start = time.monotonic()
    with _alone_together(lock, log, world) as file, contextlib.redirect_stdout(file):
        waited_s = time.monotonic() - start
        pretrain(images, out=run, recipe=recipe)
    return run, waited_s


def run_name(recipe: Recipe) -> str:
    """A name for the recipe's run. Settings that came later do not change it while they have their default.

    So an encoder that an older version trained is found.
    """
    values, usual = recipe.to_dict(), Recipe().to_dict()
    for part, settings in _LATER.items():
        for setting in settings:
            if values[part][setting] == usual[part][setting]:
                del values[part][setting]
        if not values[part]:
            del values[part]
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


@contextlib.contextmanager
def _alone_together(lock: Path, log: Path, world: World) -> Iterator[TextIO]:
    with contextlib.ExitStack() as stack:
        world.from_first(lambda: stack.enter_context(alone(lock)))
        yield world.only_first(lambda: stack.enter_context(log.open("a", encoding="utf-8"))) or sys.stdout
