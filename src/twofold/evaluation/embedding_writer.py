"""Embeddings to a file part by part: memory holds one part, and the file is whole or not there.

    FILE.parquet    path, label, embedding (a list of float32, or of float16); a group of rows for each part
    FILE.csv        path, label, h0, h1, ...
    FILE.npy        (n, d) float32 or float16, and FILE.rows.csv with the path and label of each row

A parquet file holds in its metadata what it was made of; beside the others lies FILE.csv.json or FILE.npy.json.
"""

import csv
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float32
from numpy.lib import format as npy

from twofold.errors import TwofoldError
from twofold.files import Claim, claim, replace_whole, write_atomically

Part = tuple[list[str], list[str | None], Float32[np.ndarray, "_ d"]]  # paths, labels, embeddings
About = dict[str, str]
ENDINGS = (".parquet", ".csv", ".npy")


def write_parts(out: Path, parts: Iterable[Part], about: About, *, count: int, half: bool) -> int:
    """Write all parts, `count` rows in all, to `out`, in the form of its ending; returns the length d of an embedding.

    `half`: as float16 (in a .csv the digits that tell it). Raises OSError where that fails, and TwofoldError where
    another process writes to this file.
    """
    write = {".parquet": _parquet, ".csv": _csv, ".npy": _npy}[out.suffix.lower()]
    with _alone(out) as partial:
        dim = write(partial, out, parts, about, count, np.dtype(np.float16 if half else np.float32))
        if out.suffix.lower() != ".parquet":
            write_atomically(sibling(out, ".json"), json.dumps(about, indent=1).encode(errors="backslashreplace"))
        replace_whole(partial, out)
    return dim


def sibling(out: Path, end: str) -> Path:
    """A file that belongs to `out`."""
    return out.with_name(out.name + end)


def read_about(out: Path) -> About | None:
    """What a file of embeddings was made of; None for any other file."""
    try:
        if out.suffix.lower() == ".parquet":
            schema = pq.read_schema(out)
            about = {
                key.decode(): value.decode() for key, value in (schema.metadata or {}).items() if key[:5] != b"ARROW"
            }
            return about if schema.names == ["path", "label", "embedding"] else None
        about = json.loads(sibling(out, ".json").read_text(encoding="utf-8"))
        return about if isinstance(about, dict) else None
    except (OSError, ValueError, pa.ArrowException):
        return None


@contextmanager
def _alone(out: Path) -> Iterator[Path]:
    """The file to write to, which a killed process may have left, while no other writes to it."""
    lock, partial = out.with_name(f".{out.name}.lock"), out.with_name(f".{out.name}.partial")
    with claim(lock) as held:
        if held is Claim.TAKEN:
            raise TwofoldError(f"another process is writing '{out}'. Wait for it, or choose another name for --out.")
        try:
            yield partial
        finally:
            partial.unlink(missing_ok=True)
            if held is Claim.HELD:
                with suppress(PermissionError):  # Windows keeps a file that is open
                    lock.unlink(missing_ok=True)


def _parquet(partial: Path, _: Path, parts: Iterable[Part], about: About, _count: int, dtype: "np.dtype[Any]") -> int:
    kind = pa.list_(pa.from_numpy_dtype(dtype))
    schema = pa.schema({"path": pa.string(), "label": pa.string(), "embedding": kind}, metadata=about)
    dim = 0
    with pq.ParquetWriter(partial, schema) as writer:
        for paths, labels, h in parts:
            dim = h.shape[1]
            ends = pa.array(np.arange(len(h) + 1, dtype=np.int32) * dim)
            lists = pa.ListArray.from_arrays(ends, pa.array(np.ascontiguousarray(h, dtype).ravel()))
            writer.write_table(pa.table([paths, labels, lists], schema=schema))
    return dim


def _csv(partial: Path, _: Path, parts: Iterable[Part], _about: About, _count: int, dtype: "np.dtype[Any]") -> int:
    dim = -1
    with partial.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file)
        for paths, labels, h in parts:
            if dim < 0:
                dim = h.shape[1]
                lines.writerow(["path", "label", *(f"h{place}" for place in range(dim))])
            numbers = h.astype(dtype).astype(str)
            lines.writerows([path, label or "", *row] for path, label, row in zip(paths, labels, numbers, strict=True))
        if dim < 0:
            lines.writerow(["path", "label"])
    return max(dim, 0)


def _npy(partial: Path, out: Path, parts: Iterable[Part], _about: About, count: int, dtype: "np.dtype[Any]") -> int:
    dim = -1
    rows = partial.with_name(partial.name + ".rows")
    try:
        with partial.open("wb") as file, rows.open("w", encoding="utf-8", newline="") as names:
            lines = csv.writer(names)
            lines.writerow(["path", "label"])
            for paths, labels, h in parts:
                if dim < 0:
                    dim = h.shape[1]
                    _npy_header(file, (count, dim), dtype)
                file.write(np.ascontiguousarray(h, dtype).data)
                lines.writerows((path, label or "") for path, label in zip(paths, labels, strict=True))
            if dim < 0:
                _npy_header(file, (0, 0), dtype)
        replace_whole(rows, sibling(out, ".rows.csv"))
    finally:
        rows.unlink(missing_ok=True)
    return max(dim, 0)


def _npy_header(file: Any, shape: tuple[int, int], dtype: "np.dtype[Any]") -> None:
    about = {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    npy.write_array_header_1_0(file, about)
