"""What has been measured so far, on disk, so that an interrupted evaluation goes on where it stopped."""

import dataclasses
import io
import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from twofold.evaluation.attempt import Attempt
from twofold.files import write_atomically

T = TypeVar("T")
_ARRAYS = ("ranked", "confidence")


class Ledger:
    """Attempts and choices by name, each made once for one `key`; without a folder nothing is kept.

    `key` holds everything that the figures depend on. Each key has a folder of its own in `folder`, and what lies
    beside it is left alone. A file that is damaged is made again.
    """

    def __init__(self, folder: Path | None, key: dict[str, Any]) -> None:
        self._folder = folder / _digest(key) if folder else None

    def has(self, name: str) -> bool:
        """Whether attempts are kept under that name."""
        return self._folder is not None and self._path(name, "npz").is_file()

    def attempts(self, name: str, make: Callable[[], list[Attempt]]) -> list[Attempt]:
        """The attempts kept under that name; else those that `make` gives, kept from now on."""
        return self._kept(name, "npz", make, _pack, _unpack)

    def value(self, name: str, make: Callable[[], Any]) -> Any:
        """The same for a value of JSON."""
        return self._kept(name, "json", make, lambda value: json.dumps(value).encode(), json.loads)

    def forget(self) -> None:
        """Delete what was kept for this key: the table has been written."""
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
            with suppress(OSError):  # other keys lie there, or nothing does
                self._folder.parent.rmdir()

    def _kept(
        self, name: str, kind: str, make: Callable[[], T], pack: Callable[[T], bytes], unpack: Callable[[bytes], T]
    ) -> T:
        if self._folder is None:
            return make()
        path = self._path(name, kind)
        try:
            return unpack(path.read_bytes())
        except (OSError, ValueError, KeyError, EOFError):
            pass
        value = make()
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, pack(value))
        return value

    def _path(self, name: str, kind: str) -> Path:
        assert self._folder is not None
        return self._folder / f"{blake2b(name.encode(), digest_size=10).hexdigest()}.{kind}"


def _pack(attempts: list[Attempt]) -> bytes:
    arrays: dict[str, Any] = {}
    plain = []
    for place, attempt in enumerate(attempts):
        values = {field.name: getattr(attempt, field.name) for field in dataclasses.fields(attempt)}
        arrays |= {f"{name}-{place}": values.pop(name) for name in _ARRAYS}
        plain.append(values)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, plain=np.array(json.dumps(plain)), **arrays)
    return buffer.getvalue()


def _unpack(content: bytes) -> list[Attempt]:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            plain = json.loads(str(file["plain"]))
            return [
                Attempt(**values, **{name: file[f"{name}-{place}"] for name in _ARRAYS})
                for place, values in enumerate(plain)
            ]
    except Exception as error:  # of many kinds, from zip to zlib
        raise ValueError("damaged") from error


def _digest(key: dict[str, Any]) -> str:
    return blake2b(json.dumps(key, sort_keys=True, default=str).encode(), digest_size=16).hexdigest()
