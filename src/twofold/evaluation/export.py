"""Embeddings out to a file that any data tool reads, and back."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float32

from twofold.errors import TwofoldError
from twofold.files import require_free, write_atomically

_COLUMNS = ("path", "label", "embedding")
_MADE_BY = {b"twofold": b"embeddings"}  # in the file's metadata
_ENCODER = b"encoder"  # its digest, there too
_CHUNK = 65_536  # rows whose numbers are counted in 32 bits


def write_embeddings(
    paths: Sequence[str],
    labels: Sequence[str | None],
    embeddings: Float32[np.ndarray, "n d"],
    out: Path,
    *,
    encoder: str | None = None,
) -> Path:
    """Write a parquet file with the columns path, label (null where unknown) and embedding (list of float32).

    `encoder` is a digest of what made them, kept in the file's metadata: `read_embeddings` compares it.
    Whole or not at all; parent folders are created, an earlier file of embeddings is replaced. Raises TwofoldError for
    an ending other than .parquet, for a file that holds anything else, and for a place that cannot be written.
    """
    out = Path(out)
    require_place_for_embeddings(out)
    content = _parquet(paths, labels, embeddings, _MADE_BY | ({_ENCODER: encoder.encode()} if encoder else {}))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(out, content)
    except OSError as error:
        raise TwofoldError(
            f"cannot write '{out}' ({error.strerror}); a place that can be written is needed. Change --out."
        ) from error
    return out


def read_embeddings(file: Path, paths: Sequence[str], *, encoder: str) -> Float32[np.ndarray, "n d"]:
    """The embeddings of the images in `paths`, in their order, from a file that `write_embeddings` wrote.

    Raises TwofoldError for a file that cannot be read or is none of ours, for one that another encoder than `encoder`
    made (files without a digest are taken), and for an image that it lacks.
    """
    fix = "Write it anew with 'twofold embed', or let the images be embedded here."
    try:
        table = pq.read_table(file)
        metadata = table.schema.metadata or {}
    except (OSError, pa.ArrowException) as error:
        raise TwofoldError(f"'{file}' cannot be read as a parquet file ({error}). {fix}") from error
    if not set(_COLUMNS) <= set(table.column_names):
        raise TwofoldError(f"'{file}' lacks one of the columns {', '.join(_COLUMNS)}. {fix}")
    if metadata.get(_ENCODER, encoder.encode()) != encoder.encode():
        raise TwofoldError(f"the embeddings in '{file}' are of another encoder than the one that was given. {fix}")
    places = {path: place for place, path in enumerate(table["path"].to_pylist())}
    missing = [path for path in paths if path not in places]
    if missing:
        raise TwofoldError(f"'{file}' lacks {len(missing):,} of {len(paths):,} images, such as {missing[0]!r}. {fix}")
    numbers = table["embedding"].combine_chunks()
    values = numbers.flatten().to_numpy().astype(np.float32, copy=False)
    if len(places) == 0 or len(values) % len(table) or len(set(numbers.value_lengths().to_pylist())) != 1:
        raise TwofoldError(f"the embeddings in '{file}' have no one length. {fix}")
    return values.reshape(len(table), -1)[[places[path] for path in paths]]


def require_place_for_embeddings(out: Path) -> None:
    """Raises TwofoldError for another ending, and for what is there and not ours: to be asked before the work."""
    if out.suffix.lower() != ".parquet":
        raise TwofoldError(
            f"--out is '{out}', but embeddings are written as .parquet. Give '{out.with_suffix('.parquet')}'."
        )
    require_free(out, "--out", is_own=_is_own)


def _is_own(path: Path) -> bool:
    """Whether `write_embeddings` wrote it. Where somebody added to it later, the metadata may stay, not the columns."""
    try:
        schema = pq.read_schema(path)
    except (OSError, pa.ArrowException):
        return False
    return tuple(schema.names) == _COLUMNS and _MADE_BY.items() <= (schema.metadata or {}).items()


def _parquet(
    paths: Sequence[str],
    labels: Sequence[str | None],
    embeddings: Float32[np.ndarray, "n d"],
    metadata: dict[bytes, bytes],
) -> bytes:
    lists = [_lists(embeddings[first : first + _CHUNK]) for first in range(0, len(embeddings), _CHUNK)]
    columns = {
        "path": pa.array(list(paths), pa.string()),
        "label": pa.array(list(labels), pa.string()),
        "embedding": pa.chunked_array(lists, pa.list_(pa.float32())),
    }
    stream = io.BytesIO()
    pq.write_table(pa.table(columns, metadata=metadata), stream)
    return stream.getvalue()


def _lists(embeddings: Float32[np.ndarray, "n d"]) -> pa.ListArray:
    n, d = embeddings.shape
    ends = pa.array(np.arange(n + 1, dtype=np.int32) * d)
    return pa.ListArray.from_arrays(ends, pa.array(np.ascontiguousarray(embeddings).ravel()))
