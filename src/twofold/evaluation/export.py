"""Embeddings out to a file that any data tool reads."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float32

from twofold.errors import TwofoldError
from twofold.files import write_atomically

_CHUNK = 65_536  # rows whose numbers are counted in 32 bits


def write_embeddings(
    paths: Sequence[str], labels: Sequence[str | None], embeddings: Float32[np.ndarray, "n d"], out: Path
) -> Path:
    """Write a parquet file with the columns path, label (null where unknown) and embedding (list of float32).

    Whole or not at all; parent folders are created. Raises TwofoldError for an ending other than .parquet and for a
    place that cannot be written.
    """
    out = Path(out)
    require_parquet(out)
    content = _parquet(paths, labels, embeddings)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(out, content)
    except OSError as error:
        raise TwofoldError(
            f"cannot write '{out}' ({error.strerror}); a place that can be written is needed. Change --out."
        ) from error
    return out


def require_parquet(out: Path) -> None:
    """Raises TwofoldError for another ending: to be asked before the work, not after it."""
    if out.suffix.lower() != ".parquet":
        raise TwofoldError(
            f"--out is '{out}', but embeddings are written as .parquet. Give '{out.with_suffix('.parquet')}'."
        )


def _parquet(paths: Sequence[str], labels: Sequence[str | None], embeddings: Float32[np.ndarray, "n d"]) -> bytes:
    lists = [_lists(embeddings[first : first + _CHUNK]) for first in range(0, len(embeddings), _CHUNK)]
    columns = {
        "path": pa.array(list(paths), pa.string()),
        "label": pa.array(list(labels), pa.string()),
        "embedding": pa.chunked_array(lists, pa.list_(pa.float32())),
    }
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


def _lists(embeddings: Float32[np.ndarray, "n d"]) -> pa.ListArray:
    n, d = embeddings.shape
    ends = pa.array(np.arange(n + 1, dtype=np.int32) * d)
    return pa.ListArray.from_arrays(ends, pa.array(np.ascontiguousarray(embeddings).ravel()))
