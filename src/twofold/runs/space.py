"""Whether a disk has room for what a run will write."""

import shutil
from pathlib import Path

from twofold.console import warn
from twofold.errors import TwofoldError
from twofold.runs.checkpoint import local_folder
from twofold.runs.run_directory import Run

_MIB = 2**20


def require_space(run: Run, *, checkpoint: int, encoder: int) -> None:
    """Refuse a run whose checkpoints will not fit, before anything is computed; warn where they barely do.

    `checkpoint` and `encoder` are sizes in bytes. Two checkpoints are kept and a third is written beside them; what the
    run has written before is counted as its own. Where checkpoints are written elsewhere first, that disk counts: the
    run may lie on a bucket, which has no size. Raises TwofoldError where not even two and the encoder fit.
    """
    folder = run.through or run.folder
    try:
        free = shutil.disk_usage(folder).free
    except OSError:  # a file system that does not tell
        return
    local = local_folder(run) if run.recipe.exists() else None
    own = sum(_size(path) for path in [run.encoder, *(local or run.checkpoints).glob("step-*")])
    least, comfortable = 2 * checkpoint + encoder, 3 * checkpoint + encoder
    found = (
        f"'{folder}' has {_mib(free + own)} free for this run, but two checkpoints of "
        f"{_mib(checkpoint)} and the encoder"
    )
    if free + own < least:
        raise TwofoldError(
            f"{found} need {_mib(least)}. Free {_mib(least - free - own)}, or choose an --out on another disk."
        )
    if free + own < comfortable:
        warn(
            f"{found}, with a third while it is written, need {_mib(comfortable)}. The older one "
            "will be given up for the new one."
        )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _mib(size: int) -> str:
    value = size / _MIB
    return f"{value:,.0f} MiB" if value >= 10 else f"{value:.2g} MiB"
