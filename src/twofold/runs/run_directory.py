"""The run directory: what was asked, what happened, what came out. One writer at a time."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from shlex import quote
from typing import Any

from twofold.console import warn
from twofold.errors import TwofoldError
from twofold.files import Claim, claim, make_folder, write_atomically, write_json
from twofold.recipes.kinds import AnyPath, as_path
from twofold.recipes.recipe import Recipe
from twofold.recipes.written_flags import as_flags


class Run:
    """The files of one run, by name."""

    def __init__(self, folder: AnyPath, through: Path | None = None) -> None:
        """`through`: a local folder where checkpoints are written first, and copied from (`checkpoint.Saver`)."""
        self.folder = as_path("run", folder)
        self.through = through
        self.recipe = self.folder / "recipe.json"
        self.metrics = self.folder / "metrics.jsonl"
        self.profile = self.folder / "profile.json"
        self.quarantine = self.folder / "quarantine.jsonl"
        self.checkpoints = self.folder / "checkpoints"
        self.encoder = self.folder / "encoder.safetensors"
        self.initial = (
            self.folder / "initial.safetensors"
        )  # the encoder before pretraining, where it began from weights
        self.views = self.folder / "views.png"
        self.tensorboard = self.folder / "tensorboard"
        self.gallery = self.folder / "gallery.npz"
        self.evaluation = self.folder / "evaluation.json"
        self.evaluation_details = self.folder / "evaluation_details.json"
        self.evaluation_pictures = self.folder / "evaluation_pictures.npz"
        self.evaluations = self.folder / "evaluations"
        self.report = self.folder / "report.html"
        self.transfer = self.folder / "transfer.json"
        self.transfer_details = self.folder / "transfer_details.json"
        self.transfers = self.folder / "transfers"
        self.evaluation_partial = self.folder / "evaluation.partial"
        self.transfer_partial = self.folder / "transfer.partial"
        self.evaluation_lock = self.folder / ".evaluation.lock"
        self.transfer_lock = self.folder / ".transfer.lock"

    def __fspath__(self) -> str:
        """The folder: a run is taken wherever the path of one is."""
        return str(self.folder)

    def __repr__(self) -> str:
        return f"Run('{self.folder}')"

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
def open_run(folder: AnyPath) -> Iterator[Run]:
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
    with writing_alone(run.folder / ".lock", f"'{run.folder}' is in use by another process", "--out"):
        yield run


@contextmanager
def writing_alone(lock: Path, taken: str, flag: str) -> Iterator[None]:
    """Hold `lock` as long as the block runs; where the file system has no locks, say so and go on.

    Raises TwofoldError, beginning with the sentence `taken`, where another process holds it.
    """
    with ExitStack() as stack:
        try:
            held = stack.enter_context(claim(lock))
        except OSError as error:
            raise TwofoldError(
                f"'{lock}' cannot be opened for writing ({error.strerror}), but it keeps two processes apart. "
                f"Change its permissions or choose another {flag}."
            ) from error
        if held is Claim.TAKEN:
            raise TwofoldError(f"{taken}. Wait for it or choose another {flag}.")
        if held is Claim.IMPOSSIBLE:
            warn(f"the file system of '{lock.parent}' has no locks. Let only one process at a time write there.")
        yield


def write_quarantine(run: Run, rows: list[dict[str, str]]) -> None:
    """One line a file that could not be read: {"path", "reason"}."""
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    write_atomically(run.quarantine, text.encode(errors="backslashreplace"))  # as in `write_json`


def write_recipe(run: Run, record: dict[str, Any]) -> None:
    """Write recipe.json: from then on the folder is a run."""
    write_json(run.recipe, record)


def require_same_settings(run: Run, record: dict[str, Any], requested: Recipe) -> None:
    """Refuse to continue a run under another recipe, by name, with the command that begins a new one from its weights.

    Settings that touch neither weights nor images may change. The device and the precision are compared elsewhere, by
    what they were resolved to, where the record holds that. A range that is left to the data is measured on the same
    images again.
    """
    resolved = record.get("hardware", {})
    before = Recipe.from_dict(record["recipe"]).settings()
    now = Recipe.from_dict(json.loads(json.dumps(requested.to_dict()))).settings()  # lists and tuples are the same
    changed = [
        name
        for name, value in now.items()
        if before[name] != value
        and not (name in _RESOLVED and name in resolved)
        and (name, value) != ("range", None)
        and name not in HARMLESS
    ]
    if changed:
        name = changed[0]
        raise TwofoldError(
            f"{name} is {now[name]!r}, but the run in '{run.folder}' was begun with {before[name]!r}"
            f"{_more(changed)}; a run continues with the settings it was begun with. Set it back or choose a new "
            f"--out; from its weights: {other_run(run, record['data'].get('name', 'DATA'), **{name: now[name]})}."
        )


def require_same_encoder(run: Run, record: dict[str, Any], exported: Recipe) -> None:
    """Refuse an exported encoder that is not, or does not see images as, what the run's recipe.json says."""
    written, own = Recipe.from_dict(record["recipe"]).settings(), exported.settings()
    differing = [name for name in _OF_THE_ENCODER if written[name] != own[name]]
    if differing:
        name = differing[0]
        raise TwofoldError(
            f"{name} is {written[name]!r} in '{run.recipe}', but {own[name]!r} in '{run.encoder}'"
            f"{_more(differing, 'differing')}; an encoder is used with the settings that it was trained with. "
            "Restore the file that was changed, or use the encoder.safetensors alone: it holds its own settings."
        )


def require_same_pictures(run: Run, record: dict[str, Any], fingerprint: str) -> None:
    """Refuse to continue a run on other images."""
    if record["data"]["fingerprint"] != fingerprint:
        raise TwofoldError(
            f"the images differ from those that the run in '{run.folder}' was begun with "
            f"({record['data']['fingerprint'][:12]}, now {fingerprint[:12]}). Restore them or choose a new --out; from "
            f"its weights: {other_run(run, record['data'].get('name', 'DATA'))}. A finished run goes on with more "
            "images where --epochs or --minutes are more, too."
        )


def other_run(run: Run, data: str, **settings: Any) -> str:
    """The command that begins a new run from the weights and settings of this one, with other `settings`."""
    folder, recipe = quote(str(run.folder)), quote(str(run.recipe))
    flags = " ".join(as_flags(settings))
    return f"'twofold pretrain {quote(data)} --out NEW --init {folder} --recipe {recipe}{' ' if flags else ''}{flags}'"


def _more(names: list[str], how: str = "changed") -> str:
    return f" (also {how}: {', '.join(names[1:])})" if names[1:] else ""


HARMLESS = ("checkpoint_minutes", "monitor_share", "resident", "max_unreadable_fraction")  # for weights and images
_RESOLVED = ("device", "precision")
_OF_THE_ENCODER = (  # what it is, then what it sees
    "encoder",
    "width",
    "stages",
    "stem",
    "channels",
    "bands",
    "pages",
    "tile",
    "micrometres_per_px",
    "range",
    "range_from",
    "size_px",
    "eval_size_px",
    "eval_crop_fraction",
    "interpolation",
    "store_px",
)
_OWN_NAMES = {"quarantine.jsonl", "views.png"}  # written before recipe.json, which makes the folder a run
