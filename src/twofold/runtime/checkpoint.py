"""Checkpoints that survive a kill at any moment.

A checkpoint is one file, `step-000000500-<sha256>.pt`, whose name holds the checksum of its content. It is written to a
temporary file in the same folder, synced and renamed; the two newest stay. Loading takes the newest one whose content
matches its name.
"""

import hashlib
import io
import re
from pathlib import Path
from typing import Any

import torch

from twofold.files import write_atomically

_NAME = re.compile(r"step-(\d{9})-([0-9a-f]{16})\.pt")
_KEPT = 2


def save_checkpoint(folder: Path, step: int, state: dict[str, Any]) -> Path:
    """Write `state` (tensors and plain values) as the checkpoint of `step`; older ones but the last go."""
    folder.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getvalue()
    path = folder / f"step-{step:09d}-{_checksum(content)}.pt"
    write_atomically(path, content)
    for old in _checkpoints(folder)[_KEPT:]:
        old.unlink(missing_ok=True)
    for unfinished in folder.glob(".step-*.pt.*.tmp"):
        unfinished.unlink(missing_ok=True)
    return path


def load_checkpoint(folder: Path) -> dict[str, Any] | None:
    """The newest whole checkpoint in `folder`, or None. A damaged one is passed over."""
    for path in _checkpoints(folder):
        try:
            content = path.read_bytes()
        except FileNotFoundError:  # the run goes on and has just replaced it
            continue
        match = _NAME.fullmatch(path.name)
        if match and match.group(2) == _checksum(content):
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return None


def _checkpoints(folder: Path) -> list[Path]:
    """Newest first."""
    return sorted((p for p in folder.glob("step-*.pt") if _NAME.fullmatch(p.name)), reverse=True)


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
