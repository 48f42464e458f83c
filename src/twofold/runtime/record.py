"""The run directory: what was asked, what happened, what came out. One writer at a time."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from twofold.errors import TwofoldError
from twofold.recipe import Recipe
from twofold.runtime.files import make_folder, write_atomically, write_json


class Run:
    """The files of one run, by name."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.recipe = self.folder / "recipe.json"
        self.metrics = self.folder / "metrics.jsonl"
        self.profile = self.folder / "profile.json"
        self.quarantine = self.folder / "quarantine.jsonl"
        self.checkpoints = self.folder / "checkpoints"
        self.encoder = self.folder / "encoder.safetensors"
        self.views = self.folder / "views.png"
        self.tensorboard = self.folder / "tensorboard"
        self.gallery = self.folder / "gallery.npz"
        self.evaluation = self.folder / "evaluation.json"
        self.evaluation_details = self.folder / "evaluation_details.json"
        self.evaluation_pictures = self.folder / "evaluation_pictures.npz"
        self.transfer = self.folder / "transfer.json"
        self.transfer_details = self.folder / "transfer_details.json"

    def read_recipe(self) -> dict[str, Any]:
        """The content of recipe.json. Raises TwofoldError where there is no run."""
        if not self.recipe.is_file():
            raise TwofoldError(
                f"'{self.folder}' is not a run: it has no recipe.json. "
                "Give the folder that 'twofold pretrain --out' wrote."
            )
        try:
            record = json.loads(self.recipe.read_text(encoding="utf-8"))
            Recipe.from_dict(record["recipe"])
            needed = record["plan"]["steps"], record["derived"], record["data"]["fingerprint"]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise TwofoldError(f"'{self.recipe}' is damaged ({error}). Restore it or start in a new --out.") from error
        assert needed
        return record


@contextmanager
def open_run(folder: str | Path) -> Iterator[Run]:
    """Create or reopen a run directory for writing, alone.

    Raises TwofoldError where it cannot be written, holds something else, or another process writes to it.
    """
    run = Run(folder)
    if run.folder.is_dir() and not run.recipe.exists():
        strangers = [p.name for p in run.folder.iterdir() if not p.name.startswith(".") and p.name not in _OWN_NAMES]
        if strangers:
            raise TwofoldError(
                f"'{run.folder}' holds other files ('{sorted(strangers)[0]}'), but a run needs a folder of its own. "
                "Choose a new --out."
            )
    make_folder(run.folder, "--out")
    with (run.folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise TwofoldError(
                f"'{run.folder}' is in use by another process. Wait for it or choose another --out."
            ) from None
        yield run


def write_quarantine(run: Run, rows: list[dict[str, str]]) -> None:
    """One line a file that could not be read: {"path", "reason"}."""
    write_atomically(run.quarantine, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode())


def write_recipe(run: Run, record: dict[str, Any]) -> None:
    """Write recipe.json: from then on the folder is a run."""
    write_json(run.recipe, record)


def require_same_settings(run: Run, record: dict[str, Any], requested: Recipe) -> None:
    """Refuse to continue a run under another recipe, by name."""
    before = Recipe.from_dict(record["recipe"]).settings()
    now = Recipe.from_dict(json.loads(json.dumps(requested.to_dict()))).settings()  # lists and tuples are the same
    changed = [name for name, value in now.items() if before[name] != value]
    if changed:
        name = changed[0]
        raise TwofoldError(
            f"{name} is {now[name]!r}, but the run in '{run.folder}' was begun with {before[name]!r}"
            f"{_more(changed)}; a run continues with the settings it was begun with. Set it back or choose a new --out."
        )


def require_same_pictures(run: Run, record: dict[str, Any], fingerprint: str) -> None:
    """Refuse to continue a run on other pictures."""
    if record["data"]["fingerprint"] != fingerprint:
        raise TwofoldError(
            f"the pictures differ from those that the run in '{run.folder}' was begun with "
            f"({record['data']['fingerprint'][:12]}, now {fingerprint[:12]}). Restore them or choose a new --out."
        )


def _more(changed: list[str]) -> str:
    return f" (also changed: {', '.join(changed[1:])})" if changed[1:] else ""


_OWN_NAMES = {"quarantine.jsonl", "views.png"}  # written before recipe.json, which makes the folder a run
