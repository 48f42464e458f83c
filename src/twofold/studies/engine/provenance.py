"""With what a cell was made: versions, hardware, date, and a digest of the code that measures."""

import functools
import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import twofold
from twofold.hardware.device import Hardware
from twofold.versions import versions

_MEASURING = ("data", "evaluation", "models", "studies/engine", "training", "views")  # what decides a cell's values


def made_here(hardware: Hardware) -> dict[str, Any]:
    """What stands in every cell's record beside its values; the date is that of today in UTC."""
    date = datetime.now(UTC).date().isoformat()
    return {"versions": versions(), "hardware": hardware.describe(), "date": date, "code": code_digest()}


@functools.cache
def code_digest() -> str:
    """12 hexadecimal digits of the SHA-256 of the source files that decide what a cell measures."""
    root, digest = Path(twofold.__file__).parent, hashlib.sha256()
    for path in sorted(path for part in _MEASURING for path in (root / part).rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]
