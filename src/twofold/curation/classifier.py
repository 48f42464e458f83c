"""A classifier of embeddings that knows how good it is: fitted on all labels, judged on folds that it did not see.

Legend: n labelled images, m new ones, d features, c classes.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy
from jaxtyping import Bool, Float32, Float64, Int64, Integer

from twofold.console import say, with_progress
from twofold.curation.confidence import answer_threshold, p_values, set_threshold
from twofold.curation.nearest import nearest_others, nearest_rows
from twofold.errors import TwofoldError
from twofold.evaluation.calibration import fit_temperature, softmax
from twofold.evaluation.intervals import effective_count
from twofold.evaluation.labels import FOLDS, Fold, stratified_folds
from twofold.evaluation.linear_probe import FEW_L2_GRID, FEW_SHOT_L2
from twofold.evaluation.logistic_regression import LinearProbe, cross_entropy, fit_linear, fit_scaling
from twofold.files import write_atomically

_FORMAT = "twofold-classifier-1"
_TENSORS = ("weight", "bias", "labelled_h", "held_out_logits", "ids")
_OPTIONAL = ("groups", "judged")
_NEAR = 5  # labelled images that novelty is measured from
_TOLERANCE = 1e-6  # of the fits on folds: a third of the time of a fine fit, cross-entropies agree to 0.1 %


@dataclass(frozen=True, eq=False, kw_only=True)
class Classifier:
    """logits = h W + b, with what its n labelled images say about it: `held_out_logits` are of other folds."""

    classes: list[str]
    weight: Float32[np.ndarray, "d c"]
    bias: Float32[np.ndarray, " c"]
    labelled_h: Float32[np.ndarray, "n d"]
    held_out_logits: Float32[np.ndarray, "n c"]
    ids: Int64[np.ndarray, " n"]  # classes of the labelled images
    groups: Int64[np.ndarray, " n"] | None = None  # of the labelled images: no fold divides one
    judged: Bool[np.ndarray, " n"] | None = None  # those whose class the other folds held; None: all

    @cached_property
    def key(self) -> str:
        """32 hex digits of what it says."""
        parts = [self.weight.tobytes(), self.held_out_logits.tobytes(), "\n".join(self.classes).encode()]
        parts += [] if self.groups is None else [self.groups.tobytes()]
        return blake2b(b"".join(parts), digest_size=16).hexdigest()

    @cached_property
    def temperature(self) -> float:
        """What logits are divided by, so that probabilities mean what they say."""
        logits, ids = self.held_out_logits[self.counted], self.ids[self.counted]
        return fit_temperature(logits, ids, count=self.independent)

    def probabilities(self, h: Float32[np.ndarray, "m d"]) -> Float64[np.ndarray, "m c"]:
        """softmax((h W + b) / temperature). Raises NotFiniteError for an h that is not finite."""
        return softmax(LinearProbe(self.weight, self.bias).logits(h), self.temperature)

    @cached_property
    def held_out(self) -> Float64[np.ndarray, "n c"]:
        """The probabilities of the labelled images, each from labels of other folds."""
        return softmax(self.held_out_logits, self.temperature)

    @cached_property
    def counted(self) -> Bool[np.ndarray, " n"]:
        """The labelled images that say how good it is: all but those of classes that the other folds do not hold."""
        return np.ones(len(self.ids), bool) if self.judged is None else self.judged

    @property
    def counted_groups(self) -> Int64[np.ndarray, " k"] | None:
        """The groups of the images that are counted, or None where nothing is in groups."""
        return None if self.groups is None else self.groups[self.counted]

    @cached_property
    def right(self) -> Bool[np.ndarray, " n"]:
        """Whether each labelled image's class was found from the other folds."""
        return self.held_out.argmax(1) == self.ids

    def answer_threshold(self, most_wrong: float) -> float | None:
        """The confidence from which on at most this share of answers is wrong (at 90 % confidence), None for none."""
        own = self.counted
        return answer_threshold(self.held_out[own].max(1), self.right[own], most_wrong, self.counted_groups)

    def set_threshold(self, coverage: float) -> float:
        """The probability from which on a class is in the set that holds the true one with this coverage."""
        return set_threshold(self.held_out[self.counted], self.ids[self.counted], coverage, self.counted_groups)

    def novelty(self, h: Float32[np.ndarray, "m d"]) -> Float64[np.ndarray, " m"]:
        """p-values in (0, 1]: of images like the labelled ones at most a share a has p <= a."""
        distances = _distances(nearest_rows(h, self.labelled_h, self._near).cosines)
        return p_values(distances, self._own_distances, self.groups)

    @cached_property
    def own_novelty(self) -> Float64[np.ndarray, " n"]:
        """The same for each labelled image among the others."""
        return p_values(self._own_distances, self._own_distances, self.groups)

    @property
    def independent(self) -> float:
        """How many labelled images count by themselves: n, or fewer where they come in groups."""
        groups = self.counted_groups
        return float(self.counted.sum()) if groups is None else effective_count(groups)

    @property
    def _near(self) -> int:
        return min(_NEAR, *(len(kept) for kept, _ in self._apart), len(self.ids) - 1)

    @cached_property
    def _own_distances(self) -> Float32[np.ndarray, " n"]:
        """From the nearest others; where there are groups, from those of other folds, which hold none of its own."""
        if self.groups is None:
            return _distances(nearest_others(self.labelled_h, self._near).cosines)
        distances = np.full(len(self.ids), np.inf, np.float32)  # of a single group nothing is known: no image is unlike
        for kept, cut in self._apart:
            near = nearest_rows(self.labelled_h[cut], self.labelled_h[kept], self._near)
            distances[cut] = _distances(near.cosines)
        return distances

    @cached_property
    def _apart(self) -> list[Fold]:
        return [] if self.groups is None else stratified_folds(self.ids, groups=self.groups)

    def save(self, path: Path, *, encoder: str) -> None:
        """Write one safetensors file; `encoder` is the digest of the encoder whose h it takes."""
        names = [*_TENSORS, *(name for name in _OPTIONAL if getattr(self, name) is not None)]
        tensors = {name: np.ascontiguousarray(getattr(self, name)) for name in names}
        metadata = {"format": _FORMAT, "classes": json.dumps(self.classes), "encoder": encoder}
        write_atomically(path, safetensors.numpy.save(tensors, metadata=metadata))


def fit_classifier(
    h: Float32[np.ndarray, "n d"],
    ids: Integer[np.ndarray, " n"],
    classes: list[str],
    *,
    l2: float | None = None,
    groups: Int64[np.ndarray, " n"] | None = None,
) -> Classifier:
    """Multinomial logistic regression on standardised h, and its logits on each of up to five folds left out.

    The weight decay is `l2`; without it, it is chosen on folds of all labels, fixed below five labels a class. No fold
    divides one of the `groups`; images of a class that is in one group alone are learnt from and not judged. Raises
    TwofoldError for fewer than two classes, for a class with fewer than two labels, and where no image can be judged.
    """
    counts = np.bincount(ids, minlength=len(classes))
    if len(classes) < 2 or counts.min() < 2:
        few = f"'{classes[int(counts.argmin())]}' has {counts.min()}" if len(classes) >= 2 else f"there are {classes}"
        raise TwofoldError(
            f"of the labels {few}, but at least two classes with two labels each are needed: one to learn from and one "
            "to check. Label more, or leave out the class."
        )
    judged = judged_rows(ids, groups)
    _say_judged(ids, classes, judged)
    say(f"  fitting a classifier to {len(h):,} labels of {len(classes)} classes")
    fixed = l2 if counts.min() >= FOLDS or l2 is not None else FEW_SHOT_L2
    decay, logits, start = choose_decay(h, ids, FEW_L2_GRID if fixed is None else (fixed,), groups)
    scaling = fit_scaling(h)
    probe = fit_linear(scaling(h), ids, len(classes), decay, start).unscaled(scaling)
    return Classifier(
        classes=classes,
        weight=probe.weight,
        bias=probe.bias,
        labelled_h=np.ascontiguousarray(h),
        held_out_logits=logits,
        ids=ids.astype(np.int64),
        groups=groups,
        judged=judged,
    )


def judged_rows(
    ids: Integer[np.ndarray, " n"], groups: Int64[np.ndarray, " n"] | None
) -> Bool[np.ndarray, " n"] | None:
    """The images whose class is among the others when their group is left out with its fold; None: all of them."""
    if groups is None:
        return None
    judged = np.zeros(len(ids), bool)
    for kept, cut in stratified_folds(ids, groups=groups):
        judged[cut] = np.isin(ids[cut], ids[kept])
    return None if judged.all() else judged


def _say_judged(ids: Integer[np.ndarray, " n"], classes: list[str], judged: Bool[np.ndarray, " n"] | None) -> None:
    """Names the classes that cannot be judged. Raises TwofoldError where none can."""
    if judged is None:
        return
    if not judged.any():
        raise TwofoldError(
            f"each class has labelled images ({len(ids):,} in all) of one group alone, such as one patient, slide or "
            "file, and images of one group are not both learnt from and checked on. Label images of further groups."
        )
    alone = [name for k, name in enumerate(classes) if not judged[ids == k].any()]
    if alone:
        say(
            f"  of one group each: {', '.join(map(repr, alone))}. Whether such a class is recognised in another group "
            "cannot be told: it is learnt, and not judged"
        )


def choose_decay(
    h: Float32[np.ndarray, "n d"],
    ids: Integer[np.ndarray, " n"],
    grid: Sequence[float],
    groups: Int64[np.ndarray, " n"] | None = None,
) -> tuple[float, Float32[np.ndarray, "n c"], LinearProbe]:
    """The weight decay of `grid`, strong to weak, with the least cross-entropy on images of the folds left out.

    With it the logits of these images, and the probe of the first fold, near which that of all labels lies. The path
    ends after two values in a row whose cross-entropy rose.
    """
    folds, classes, judged = stratified_folds(ids, groups=groups), int(ids.max()) + 1, judged_rows(ids, groups)
    counted = slice(None) if judged is None else judged
    scalings = [fit_scaling(h[kept]) for kept, _ in folds]
    zero = LinearProbe(np.zeros((h.shape[1], classes), np.float32), np.zeros(classes, np.float32))
    probes = [zero] * len(folds)
    tried: list[tuple[float, Float32[np.ndarray, "n c"], LinearProbe]] = []
    losses: list[float] = []
    for l2 in with_progress(grid, "Fitting the classifier", step=1, total=len(grid)):
        logits = np.zeros((len(h), classes), np.float32)
        for place, ((kept, cut), scaling) in enumerate(zip(folds, scalings, strict=True)):
            probes[place] = fit_linear(scaling(h[kept]), ids[kept], classes, l2, probes[place], tolerance=_TOLERANCE)
            logits[cut] = probes[place].logits(scaling(h[cut]))
        tried.append((l2, logits, probes[0]))
        losses.append(cross_entropy(logits[counted], ids[counted]))
        if len(losses) > 2 and losses[-3] < losses[-2] < losses[-1]:
            break
    return tried[losses.index(min(losses))]


def load_classifier(path: Path, *, encoder: str) -> Classifier:
    """Read what `save` wrote. Raises TwofoldError for another file, and for the classifier of another encoder."""
    fix = "Give the classifier.safetensors that 'twofold predict' or 'twofold evaluate' wrote for this run."
    try:
        with safetensors.safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, safetensors.SafetensorError) as error:
        raise TwofoldError(f"'{path}' cannot be read as a classifier ({error}). {fix}") from error
    if metadata.get("format") != _FORMAT or set(tensors) - set(_OPTIONAL) != set(_TENSORS):
        raise TwofoldError(f"'{path}' is not a classifier ({_FORMAT} is needed). {fix}")
    if metadata["encoder"] != encoder:
        raise TwofoldError(f"the classifier in '{path}' was fitted on another encoder than the one given. {fix}")
    return Classifier(classes=json.loads(metadata["classes"]), **tensors)


def _distances(cosines: Float32[np.ndarray, "m k"]) -> Float32[np.ndarray, " m"]:
    """1 - the mean cosine of the nearest labelled images."""
    return (1 - cosines.mean(1)).astype(np.float32)
