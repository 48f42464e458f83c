"""What an interrupted evaluation goes on from: the predictions of exactly the same measurements."""

from hashlib import blake2b
from pathlib import Path
from typing import Any

from torch import nn

from twofold import __version__
from twofold.evaluation.features import Subject
from twofold.evaluation.predictions import PredictionStore
from twofold.evaluation.scope import Scope

_KEYED_VIEWS = (  # in the key of what is kept; settings that came later play no part in central views, crop and flip
    "size_px",
    "policy",
    "strength",
    "crop_area",
    "flip_prob",
    "interpolation",
    "ops",
    "one_branch",
    "eval_size_px",
    "eval_crop_fraction",
)


def open_store(subject: Subject, scope: Scope, keep: Path | None) -> PredictionStore:
    """What the folder `keep` holds, or will hold, of exactly these measurements."""
    return PredictionStore(keep, _key(subject, scope))


def _key(subject: Subject, scope: Scope) -> dict[str, Any]:
    """Everything that the predictions depend on; `method` is another where the same settings predict otherwise."""
    return {
        "version": __version__,
        "method": 2,  # 1: choices by how many are right, networks on views of size_px, untrained branches at zero
        "name": subject.name,
        "weights": _weights_digest(subject.encoder),
        "head": _weights_digest(subject.head) if subject.head is not None else None,
        "precision": getattr(subject.hardware, "precision", None),
        "pictures": scope.images.fingerprint,  # and splits, but not labels
        "labels": [scope.rows.classes, scope.rows.train.tolist(), scope.rows.train_ids.tolist()],
        "test": scope.rows.test.tolist(),
        "views": f"ViewsRecipe({', '.join(f'{name}={getattr(subject.views, name)!r}' for name in _KEYED_VIEWS)})",
        "settings": scope.settings,
        "folds": [[cut.tolist() for _, cut in folds] for folds in scope.folds.values()],
    }


def _weights_digest(module: nn.Module) -> str:
    digest = blake2b(digest_size=16)
    for name, tensor in module.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
