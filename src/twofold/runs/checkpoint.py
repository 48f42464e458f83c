"""Checkpoints that survive a kill at any moment.

A checkpoint is one file, `step-000000500-<sha256>.pt`, whose name holds the checksum of its content. It is written to a
temporary file in the same folder, synced and renamed; the two newest stay. Loading takes the newest one whose content
matches its name.

On a disk that has become full the older of the two makes room for the new one. Where not even that is enough, the run
goes on and tries again at its next checkpoint.
"""

import errno
import hashlib
import io
import re
from pathlib import Path
from typing import Any

import torch

from twofold.console import say
from twofold.files import write_atomically

_NAME = re.compile(r"step-(\d{9})-([0-9a-f]{16})\.pt")
_KEPT = 2
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Saver:
    """Writes the checkpoints of a run. One that cannot be written is said, and does not end the run.

    `error` is what went wrong with the last one, or None.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.error: OSError | None = None

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Write `state` as the checkpoint of `step`, if that is possible."""
        before, self.error = self.error, None
        try:
            save_checkpoint(self._folder, step, state)
        except OSError as error:
            self.error = error
            if before is None:  # once for any number of failures in a row
                say(f"Warning: {self.describe()}. The run goes on and tries again at its next checkpoint.")
        if before is not None and self.error is None:
            say(f"Checkpoints can be written again: that of step {step:,} is.")

    def describe(self) -> str:
        """What could not be written, why, and what is left."""
        assert self.error is not None
        kept = _checkpoints(self._folder)
        left = f"that of step {_step(kept[0]):,} is kept" if kept else "there is no earlier one"
        return f"the checkpoint '{self.error.filename}' cannot be written ({self.error.strerror}); {left}"


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
    for old in _checkpoints(folder)[_KEPT:]:
        old.unlink()
    return path


def load_checkpoint(folder: Path) -> dict[str, Any] | None:
    """The newest whole checkpoint in `folder`, or None. A damaged one is passed over."""
    for path in _checkpoints(folder):
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


def _checkpoints(folder: Path) -> list[Path]:
    """Newest first."""
    return sorted((p for p in folder.glob("step-*.pt") if _NAME.fullmatch(p.name)), reverse=True)


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
