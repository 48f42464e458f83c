"""What was predicted for every test image, and where it is kept until an interrupted evaluation continues."""

import copy
import dataclasses
import io
import json
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float32, Float64, Int64, Integer

from twofold.evaluation.intervals import share_interval
from twofold.evaluation.labels import Labels
from twofold.evaluation.protocols import ENCODERS
from twofold.files import write_atomically

T = TypeVar("T")
RANKS = 5
_ARRAYS = ("ranked", "confidence")


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """Predictions for every test row, by one protocol on one encoder with one seed.

    Those with the same `weights`, those of an untrained encoder, are not independent: they count as one.
    """

    protocol: str
    encoder: str
    labels: Labels
    seed: int
    ranked: Int64[np.ndarray, "m r"]  # classes, the likeliest first, five at most
    confidence: Float32[np.ndarray, " m"]  # probability given to the first, in [0, 1]
    l2: float | None = None
    base_lr: float | None = None
    training: dict[str, Any] | None = None  # how the network was trained, where that was chosen
    weights: int | None = None
    converged: bool = True
    seconds: float = 0.0  # that it took; what was made together is counted at the first

    @property
    def predicted(self) -> Int64[np.ndarray, " m"]:
        """The likeliest class of each row."""
        return self.ranked[:, 0]


def rank_classes(
    scores: Float32[np.ndarray, "m k"] | Float64[np.ndarray, "m k"],
) -> Int64[np.ndarray, "m r"]:
    """The five classes (or all) with the highest scores, highest first; of equals the lower class first."""
    return np.argsort(-scores, axis=1, kind="stable")[:, :RANKS].astype(np.int64)


def softmax_confidence(logits: Float32[np.ndarray, "m k"]) -> Float32[np.ndarray, " m"]:
    """The largest of softmax(logits) in each row: 1 / sum_j exp(logit_j - max logit)."""
    shifted = logits.astype(np.float64) - logits.max(1, keepdims=True)
    return (1 / np.exp(shifted).sum(1)).astype(np.float32)


def per_class(
    truth: Integer[np.ndarray, " n"], predicted: Integer[np.ndarray, " n"], classes: int
) -> Float64[np.ndarray, " {classes}"]:
    """Share of each class's rows that are right (its recall); nan for a class that `truth` does not hold."""
    counts = np.bincount(truth, minlength=classes)
    right = np.bincount(truth[truth == predicted], minlength=classes)
    return np.divide(right, counts, out=np.full(len(counts), np.nan), where=counts > 0)


def top1(truth: Integer[np.ndarray, " n"], predicted: Integer[np.ndarray, " n"]) -> float:
    """Share of the rows that are right, over all rows at once (never a mean of batch means)."""
    return float((truth == predicted).mean())


def confusion(
    truth: Integer[np.ndarray, " n"], predicted: Integer[np.ndarray, " n"], classes: int
) -> Int64[np.ndarray, "classes classes"]:
    """Counts: rows are the truth, columns the prediction."""
    counts = np.bincount(truth.astype(np.int64) * classes + predicted, minlength=classes**2)
    return counts.astype(np.int64).reshape(classes, classes)


def majority_answer(
    train_ids: Int64[np.ndarray, " n"], truth: Int64[np.ndarray, " m"], classes: Sequence[str]
) -> dict[str, Any]:
    """What predicting the most frequent class of train gets on test, whatever the image."""
    most = int(np.bincount(train_ids).argmax())
    top1, even = float((truth == most).mean()), 1 / len(np.unique(truth))
    return {"class": classes[most], "top1": top1, "mean_per_class": even}


def class_intervals(
    classes: Sequence[str],
    truth: Int64[np.ndarray, " m"],
    predicted: Int64[np.ndarray, " m"],
    groups: Int64[np.ndarray, " m"] | None = None,
) -> list[dict[str, Any]]:
    """The share of each class that is right, with its interval over the class's test images, or their `groups`."""
    shown = []
    for place, name in enumerate(classes):
        own = truth == place
        share, low, high = share_interval(predicted[own] == place, None if groups is None else groups[own])
        shown.append({"class": name, "count": int(own.sum()), "share": share, "low": low, "high": high})
    return shown


def chosen(predictions: Sequence[Predictions]) -> dict[str, Any]:
    """What was chosen: L2 per encoder with all labels, and per encoder and budget; and of networks.

    Of these per protocol and budget the rate and, where more was chosen, all of it.
    """
    with_all: dict[str, list[float]] = {}
    with_few: dict[str, dict[str, list[float]]] = {}
    rates: dict[str, dict[str, float]] = {}
    trainings: dict[str, dict[str, dict[str, Any]]] = {}
    for one in predictions:
        if one.base_lr is not None:
            own = one.encoder in ENCODERS
            name = one.protocol if own else f"{one.protocol}, {one.encoder}"
            rates.setdefault(name, {})[str(one.labels)] = one.base_lr
            if one.training is not None:
                trainings.setdefault(name, {})[str(one.labels)] = one.training
        elif one.l2 is not None and one.labels == "all":
            with_all.setdefault(one.encoder, []).append(one.l2)
        elif one.l2 is not None:
            with_few.setdefault(one.encoder, {}).setdefault(str(one.labels), []).append(one.l2)
    return {
        "chosen_l2": with_all,
        "chosen_l2_few": with_few,
        "chosen_base_lr": rates,
        "chosen_training": trainings,
    }


class PredictionStore:
    """Predictions and choices by name, each made once for one `key`; without a folder nothing is kept.

    `key` holds everything that they depend on. Each key has a folder of its own in `folder`; everything else there is
    left alone. A damaged file is made again.
    """

    def __init__(self, folder: Path | None, key: dict[str, Any]) -> None:
        self._folder = folder / _digest(key) if folder else None
        self._within = ""

    def within(self, part: str) -> "PredictionStore":
        """The same store for names of a part, such as a fold: equal names of two parts are apart."""
        other = copy.copy(self)
        other._within = f"{self._within}{part}/"
        return other

    def has(self, name: str) -> bool:
        """Whether predictions are kept under that name."""
        return self._folder is not None and self._path(name, "npz").is_file()

    def predictions(self, name: str, make: Callable[[], list[Predictions]]) -> list[Predictions]:
        """The predictions kept under that name; else those that `make` gives, kept from now on."""
        return self._kept(name, "npz", make, _pack, _unpack)

    def value(self, name: str, make: Callable[[], Any]) -> Any:
        """The same for a value of JSON."""
        return self._kept(name, "json", make, lambda value: json.dumps(value).encode(), json.loads)

    def forget(self) -> None:
        """Delete what was kept for this key: the results have been written."""
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
        return self._folder / f"{blake2b((self._within + name).encode(), digest_size=10).hexdigest()}.{kind}"


def _pack(predictions: list[Predictions]) -> bytes:
    arrays: dict[str, Any] = {}
    plain = []
    for place, one in enumerate(predictions):
        values = {field.name: getattr(one, field.name) for field in dataclasses.fields(one)}
        arrays |= {f"{name}-{place}": values.pop(name) for name in _ARRAYS}
        plain.append(values)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, plain=np.array(json.dumps(plain)), **arrays)
    return buffer.getvalue()


def _unpack(content: bytes) -> list[Predictions]:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            plain = json.loads(str(file["plain"]))
            return [
                Predictions(**values, **{name: file[f"{name}-{place}"] for name in _ARRAYS})
                for place, values in enumerate(plain)
            ]
    except Exception as error:  # of many kinds, from zip to zlib
        raise ValueError("damaged") from error


def _digest(key: dict[str, Any]) -> str:
    return blake2b(json.dumps(key, sort_keys=True, default=str).encode(), digest_size=16).hexdigest()
