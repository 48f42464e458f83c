"""What was predicted for every test image, as a parquet file that stays: any table reader opens it.

A row is one image under one way of measuring and one draw. Columns: path, label, split ("test"; of a cross-validation
"fold 0" to "fold 4", in which it was predicted), group (a number, null where images have none), predicted, probability
(given to `predicted`, in [0, 1]), protocol, encoder, labels ("all", "10" a class, "0.1" of all), seed, and weights
(which set of an untrained encoder, else null).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Int64

from twofold.errors import TwofoldError
from twofold.evaluation.labels import Labels
from twofold.evaluation.predictions import Predictions
from twofold.evaluation.scores import Score
from twofold.files import write_atomically

_IMAGES = b"images"  # how many, in the file's metadata
_FOLD = "fold "  # and its number
_WAY = ("protocol", "encoder", "labels", "seed", "weights")


def write_predictions(
    file: Path,
    predictions: Sequence[Predictions],
    *,
    paths: Sequence[str],
    truth: Int64[np.ndarray, " m"],
    classes: Sequence[str],
    groups: Int64[np.ndarray, " m"] | None = None,
    folds: Mapping[int, Int64[np.ndarray, " m"]] | None = None,
) -> None:
    """Write `predictions` of the m test images in `paths`, whole or not at all; `truth` numbers the `classes`.

    `folds` has, by seed, the fold of a cross-validation that each image was predicted in.
    """
    names = pa.array(list(classes), pa.string())
    m = len(paths)
    images = {
        "path": pa.array(list(paths), pa.string()),
        "label": pa.DictionaryArray.from_arrays(pa.array(truth.astype(np.int32)), names),
        "group": pa.nulls(m, pa.int64()) if groups is None else pa.array(groups),
    }
    tables = [
        pa.table(
            {
                **images,
                "split": _splits(folds[one.seed]) if folds else _repeated("test", m),
                "predicted": pa.DictionaryArray.from_arrays(pa.array(one.predicted.astype(np.int32)), names),
                "probability": pa.array(one.confidence),
                "protocol": _repeated(one.protocol, m),
                "encoder": _repeated(one.encoder, m),
                "labels": _repeated(str(one.labels), m),
                "seed": pa.array(np.full(m, one.seed)),
                "weights": pa.nulls(m, pa.int64()) if one.weights is None else pa.array(np.full(m, one.weights)),
            }
        )
        for one in predictions
    ]
    stream = pa.BufferOutputStream()
    table = pa.concat_tables(tables).unify_dictionaries().replace_schema_metadata({_IMAGES: str(m).encode()})
    pq.write_table(table, stream)
    write_atomically(file, stream.getvalue().to_pybytes())


class KeptPredictions:
    """The predictions of a file that `write_predictions` wrote.

    `paths`, `truth` (names of labels) and `groups` are of the m test images; `scores` has one score for each way of
    measuring and draw, `folds` what `write_predictions` was given. Raises TwofoldError where the file cannot be read.
    """

    def __init__(self, file: Path) -> None:
        try:
            table = pq.read_table(file)
            m = int((table.schema.metadata or {})[_IMAGES])
            ways = table.select(list(_WAY)).take(pa.array(range(0, len(table), m)))
            self.paths: list[str] = table["path"][:m].to_pylist()
            self.truth = np.array(table["label"][:m].to_pylist())
            groups = table["group"][:m].to_pylist()
            splits = np.array(table["split"].to_pylist()).reshape(-1, m)
            predicted = np.array(table["predicted"].to_pylist()).reshape(-1, m)
        except (OSError, pa.ArrowException, KeyError, ValueError) as error:
            raise TwofoldError(
                f"'{file}' cannot be read as predictions ({error}); they are compared image by image. Measure the run "
                "again with 'twofold evaluate'."
            ) from error
        self.groups = None if None in groups else np.array(groups, dtype=np.int64)
        hits = predicted == self.truth
        self.scores = [_score(**way, hits=own) for way, own in zip(ways.to_pylist(), hits, strict=True)]
        seeds = [score.seed for score in self.scores]
        self.folds = {seed: _fold_numbers(own) for seed, own in zip(seeds, splits, strict=True) if own[0] != "test"}


def _score(*, protocol: str, encoder: str, labels: str, seed: int, weights: int | None, hits: np.ndarray) -> Score:
    return Score(
        protocol=protocol,
        encoder=encoder,
        labels=as_labels(labels),
        seed=seed,
        weights=weights,
        hits={"top1": hits},
        others={},  # figures of all images together are not kept image by image
    )


def as_labels(text: str) -> Labels:
    """ "all", "10" (a class) and "0.1" (of all) as they were before they were written."""
    return text if text == "all" else float(text) if "." in text or "e" in text else int(text)


def _splits(folds: Int64[np.ndarray, " m"]) -> pa.DictionaryArray:
    names = [f"{_FOLD}{number}" for number in range(int(folds.max()) + 1)]
    return pa.DictionaryArray.from_arrays(pa.array(folds.astype(np.int32)), names)


def _fold_numbers(splits: np.ndarray) -> Int64[np.ndarray, " m"]:
    return np.array([int(name.removeprefix(_FOLD)) for name in splits.tolist()], np.int64)


def _repeated(value: str, m: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(m, np.int32)), pa.array([value]))
