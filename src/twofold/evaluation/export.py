"""Embeddings out to a file that any data tool reads, and back."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float32

from twofold.errors import TwofoldError
from twofold.evaluation.embedding_writer import ENDINGS, About, read_about, sibling, write_parts
from twofold.files import require_free

_COLUMNS = ("path", "label", "embedding")
_MADE_BY = {"twofold": "embeddings"}  # in the file's metadata
_ENCODER = b"encoder"  # its digest, there too
_READING = b"reading"  # and how pages and tiles became images
_CHUNK = 65_536  # rows of a part, where all embeddings are there


def write_embeddings(
    paths: Sequence[str],
    labels: Sequence[str | None],
    embeddings: Float32[np.ndarray, "n d"] | Iterable[Float32[np.ndarray, "_ d"]],
    out: Path,
    *,
    about: About | None = None,
    half: bool = False,
) -> Path:
    """Write path, label (null where unknown) and embedding of each image to a .parquet, .csv or .npy file.

    The embeddings are one array or parts of it in order, which are written as they come. `about` is what made them,
    kept with the file: the digest "encoder" is what `read_embeddings` compares. `half`: as float16.
    Whole or not at all; parent folders are created, an earlier file of embeddings is replaced. Raises TwofoldError for
    another ending, for a file that holds anything else, and for a place that cannot be written.
    """
    out = Path(out)
    require_place_for_embeddings(out)
    parts = _chunks(embeddings) if isinstance(embeddings, np.ndarray) else embeddings
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_parts(out, _rows(paths, labels, parts), (about or {}) | _MADE_BY, count=len(paths), half=half)
    except OSError as error:
        raise TwofoldError(
            f"cannot write '{out}' ({error.strerror}); a place that can be written is needed. Change --out."
        ) from error
    return out


def _chunks(embeddings: Float32[np.ndarray, "n d"]) -> Iterable[Float32[np.ndarray, "_ d"]]:
    return (embeddings[first : first + _CHUNK] for first in range(0, len(embeddings), _CHUNK))


def _rows(
    paths: Sequence[str], labels: Sequence[str | None], parts: Iterable[Float32[np.ndarray, "_ d"]]
) -> Iterable[tuple[list[str], list[str | None], Float32[np.ndarray, "_ d"]]]:
    first = 0
    for h in parts:
        yield list(paths[first : first + len(h)]), list(labels[first : first + len(h)]), h
        first += len(h)


def read_embeddings(file: Path, paths: Sequence[str], *, encoder: str, reading: str) -> Float32[np.ndarray, "n d"]:
    """The embeddings of the images in `paths`, in their order, from a file that `write_embeddings` wrote.

    Raises TwofoldError for a file that cannot be read or is none of ours, for one that another encoder than `encoder`
    made, or of images read by other flags than `reading` (files that do not say are taken), and for an image that it
    lacks.
    """
    fix = "Write it again with 'twofold embed', or let the images be embedded here."
    try:
        table = pq.read_table(file)
        metadata = table.schema.metadata or {}
    except (OSError, pa.ArrowException) as error:
        raise TwofoldError(f"'{file}' cannot be read as a parquet file ({error}). {fix}") from error
    if not set(_COLUMNS) <= set(table.column_names):
        raise TwofoldError(f"'{file}' lacks one of the columns {', '.join(_COLUMNS)}. {fix}")
    if metadata.get(_ENCODER, encoder.encode()) != encoder.encode():
        raise TwofoldError(f"the embeddings in '{file}' are of another encoder than the one that was given. {fix}")
    other = metadata.get(_READING, reading.encode()).decode()
    if other != reading:
        raise TwofoldError(f"the images of the embeddings in '{file}' were read by {other}, not by {reading}. {fix}")
    places = {path: place for place, path in enumerate(table["path"].to_pylist())}
    missing = [path for path in paths if path not in places]
    if missing:
        raise TwofoldError(f"'{file}' lacks {len(missing):,} of {len(paths):,} images, such as {missing[0]!r}. {fix}")
    numbers = table["embedding"].combine_chunks()
    values = numbers.flatten().to_numpy().astype(np.float32, copy=False)
    if len(places) == 0 or len(values) % len(table) or len(set(numbers.value_lengths().to_pylist())) != 1:
        raise TwofoldError(f"the embeddings in '{file}' differ in length. {fix}")
    return values.reshape(len(table), -1)[[places[path] for path in paths]]


def require_place_for_embeddings(out: Path) -> None:
    """Raises TwofoldError for another ending, and for what is there and not ours: to be asked before the work."""
    if out.suffix.lower() not in ENDINGS:
        raise TwofoldError(
            f"--out is '{out}', but embeddings are written as {', '.join(ENDINGS)}. "
            f"Give '{out.with_suffix('.parquet')}'."
        )
    require_free(out, "--out", is_own=_is_own)
    if out.suffix.lower() != ".parquet" and not out.exists():
        for path in (sibling(out, ".json"), *([sibling(out, ".rows.csv")] if out.suffix.lower() == ".npy" else [])):
            require_free(path, "--out", is_own=lambda _: False)


def embeddings_about(out: Path) -> About | None:
    """What made the embeddings in a file that `write_embeddings` wrote; None for any other file, and for none."""
    about = read_about(out) if out.is_file() else None
    return about if about and _MADE_BY.items() <= about.items() else None


def _is_own(path: Path) -> bool:
    """Whether `write_embeddings` wrote it. Where somebody added to it later, the metadata may stay, not the columns."""
    return embeddings_about(path) is not None
