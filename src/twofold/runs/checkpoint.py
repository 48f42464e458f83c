"""Checkpoints that survive a kill at any moment.

A checkpoint is one file, `step-000000500-<sha256>.pt`, whose name holds the checksum of its content. It is written to a
temporary file in the same folder, synced and renamed; the two newest stay. Loading takes the newest one whose content
matches its name.

On a disk that has become full the older of the two makes room for the new one. Where not even that is enough, the run
goes on and tries again at its next checkpoint.

Where the folder is a mounted bucket, checkpoints are written to a local one and copied in the background; a run goes on
from whichever whole one is newest.
"""

import errno
import hashlib
import io
import json
import re
from pathlib import Path
from typing import Any

import torch

from twofold.console import say, warn
from twofold.files import write_atomically
from twofold.runs.background_copy import BackgroundCopy
from twofold.runs.run_directory import Run

_NAME = re.compile(r"step-(\d{9})-([0-9a-f]{16})\.pt")
_KEPT = 2
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Saver:
    """Writes the checkpoints of a run, to `local` first where that is given. One that cannot be written, or copied, is
    said, and does not end the run.

    `error` is what went wrong with the last one, or None.
    """

    def __init__(self, folder: Path, local: Path | None = None) -> None:
        self._folder, self._first = folder, local or folder
        self._copies = BackgroundCopy(folder) if local else None
        self._copies_fail = False
        self.error: OSError | None = None
        if self._copies and (kept := _checkpoints(self._first)) and not (folder / kept[0].name).exists():
            self._copy(kept[0])  # a copy that failed before this process began

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Write `state` as the checkpoint of `step`, if that is possible."""
        before, self.error = self.error, None
        try:
            path = save_checkpoint(self._first, step, state)
        except OSError as error:
            self.error = error
            if before is None:  # once for any number of failures in a row
                warn(f"{self.describe()}. The run goes on and tries again at its next checkpoint.")
            return
        if before is not None:
            say(f"Checkpoints can be written again: that of step {step:,} is.")
        if self._copies:
            self._tell_of_copies(self._copies.error)
            self._copy(path)

    def finish(self) -> None:
        """Wait until the last one is copied. `error` says afterwards whether it is, or was written at all."""
        if self._copies:
            self._copies.finish()
            self.error = self.error or self._copies.error

    def describe(self) -> str:
        """What could not be written, why, and what is left."""
        assert self.error is not None
        kept = _checkpoints(self._first)
        left = f"that of step {_step(kept[0]):,} is kept" if kept else "there is no earlier one"
        where = f" in '{self._first}'" if self._copies and kept else ""
        return f"the checkpoint '{self.error.filename}' cannot be written ({self.error.strerror}); {left}{where}"

    def _copy(self, path: Path) -> None:
        assert self._copies is not None
        self._copies.put(path, lambda: _keep_newest(self._folder))

    def _tell_of_copies(self, error: OSError | None) -> None:
        """Once for any number of failures in a row."""
        if error and not self._copies_fail:
            warn(
                f"the checkpoint '{error.filename}' cannot be copied ({error.strerror}); it is kept in "
                f"'{self._first}'. The run goes on and copies its next checkpoint."
            )
        if not error and self._copies_fail:
            say("Checkpoints can be copied again.")
        self._copies_fail = error is not None


def save_checkpoint(folder: Path, step: int, state: dict[str, Any]) -> Path:
    """Write `state` (tensors and plain values) as the checkpoint of `step`; older ones but the last go.

    Raises OSError, with the name of the file, where it cannot be written; the newest one is then as it was.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for unfinished in folder.glob(".step-*.pt.*.tmp"):
        unfinished.unlink(missing_ok=True)
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getvalue()
    path = folder / f"step-{step:09d}-{_checksum(content)}.pt"
    try:
        write_atomically(path, content)
    except OSError as error:
        kept = _checkpoints(folder)
        if error.errno not in _FULL or len(kept) < _KEPT or _read(kept[0]) is None:
            raise
        for old in kept[1:]:
            old.unlink()
        write_atomically(path, content)
    _keep_newest(folder)
    return path


def local_folder(run: Run) -> Path | None:
    """Where a run's checkpoints are written first, or None where that is in the run: a folder below `run.through`.

    Its name stands for the run's folder, recipe and start: a new run in the folder of one that was removed does not
    take that one's for its own.
    """
    if run.through is None:
        return None
    record = run.read_recipe()
    about = [str(run.folder.resolve()), record.get("started"), record["recipe"]]
    return run.through / f"{run.folder.name}-{_checksum(json.dumps(about, sort_keys=True).encode())}"


def newest_checkpoint(run: Run) -> dict[str, Any] | None:
    """What a run goes on from: the newest whole checkpoint in it and where they are written first, or None."""
    local = local_folder(run)
    return load_checkpoint(*([local] if local else []), run.checkpoints)


def load_checkpoint(*folders: Path) -> dict[str, Any] | None:
    """The newest whole checkpoint in these folders, or None. A damaged one is passed over."""
    found = [path for folder in folders for path in _checkpoints(folder)]
    for path in sorted(found, key=_step, reverse=True):
        content = _read(path)
        if content is not None:
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return None


def _read(path: Path) -> bytes | None:
    """The content of a checkpoint that is whole, or None."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:  # the run goes on and has just replaced it
        return None
    match = _NAME.fullmatch(path.name)
    return content if match and match.group(2) == _checksum(content) else None


def _step(path: Path) -> int:
    match = _NAME.fullmatch(path.name)
    assert match is not None
    return int(match.group(1))


def _keep_newest(folder: Path) -> None:
    for old in _checkpoints(folder)[_KEPT:]:
        old.unlink(missing_ok=True)


def _checkpoints(folder: Path) -> list[Path]:
    """Newest first."""
    return sorted((p for p in folder.glob("step-*.pt") if _NAME.fullmatch(p.name)), reverse=True)


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
