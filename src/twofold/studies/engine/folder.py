"""The folder of a study, which several processes or machines may share: who measures which cell, and what came out."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from twofold.errors import TwofoldError
from twofold.files import Claim, claim, make_folder, write_json
from twofold.recipes.recipe import Recipe
from twofold.studies.engine.cell import Cell


class StudyFolder:
    """The files of one study, by name."""

    def __init__(self, folder: str | Path, encoders: Path | None = None) -> None:
        """Pretrained encoders lie in `encoders`, which studies of the same images may share; else in the folder."""
        self.folder = Path(folder)
        self.plan = self.folder / "plan.json"
        self.cells = self.folder / "cells"
        self.runs = encoders or self.folder / "runs"
        self.record = self.folder / "study.json"
        self.table = self.folder / "table.md"
        self.figure = self.folder / "figure.svg"
        self.page = self.folder / "report.html"
        self._finished: dict[str, tuple[Cell, dict[str, Any]]] = {}  # what was read once: it does not change

    def create(self) -> None:
        """Make the folders. Raises TwofoldError where they cannot be written."""
        for folder in (self.folder, self.cells, self.runs):
            make_folder(folder, "--out")

    def result(self, cell: Cell) -> Path:
        """Where a finished cell's values are."""
        return self.cells / f"{cell.key}.json"

    def read(self, cell: Cell) -> dict[str, Any] | None:
        """A finished cell's record, or None. It is read once: what happens to the file later is not noticed.

        Raises TwofoldError where it is damaged, or was measured with other settings than the cell has now.
        """
        path = self.result(cell)
        known, record = self._finished.get(cell.key, (None, {}))
        if known == cell:
            return record
        if not path.exists():
            return None
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            written = {name: record[name] for name in ("recipe", "options")}
            needed = record["measure"], record["seconds"]
        except (ValueError, KeyError, TypeError) as error:
            raise TwofoldError(f"'{path}' is damaged ({error}). Remove it: the cell is then measured again.") from error
        assert needed
        if written != described(cell):
            raise TwofoldError(
                f"'{path}' was measured with {written}, but the cell now has {described(cell)}; cells of a study "
                "belong to one grid. Choose a new --out."
            )
        self._finished[cell.key] = cell, record
        return record

    def write(self, cell: Cell, measured: dict[str, Any], seconds: float) -> None:
        """Keep what a cell measured, and how it was made: from then on it is finished."""
        about = {"name": cell.name, "seed": cell.seed, "on": cell.on, **described(cell)}
        write_json(self.result(cell), {**about, **measured, "seconds": round(seconds, 1)})

    @property
    def is_begun(self) -> bool:
        """Whether a plan lies here, or a record from which one can be taken."""
        return self.plan.exists() or self.record.exists()

    def begun_epochs(self) -> float:
        """The epochs of the base recipe that the folder was begun with."""
        path = self.plan if self.plan.exists() else self.record
        return float(json.loads(path.read_text(encoding="utf-8"))["base"]["schedule"]["epochs"])

    def require_plan(self, plan: dict[str, Any]) -> None:
        """Write down what all cells have in common, or see that it is what the folder was begun with.

        Raises TwofoldError naming what differs.
        """
        if not self.plan.exists():
            self._take_over(plan)
            write_json(self.plan, plan)
            return
        begun, now = json.loads(self.plan.read_text(encoding="utf-8")), json.loads(json.dumps(plan))
        _require_same(self.folder, begun, now)

    def _take_over(self, plan: dict[str, Any]) -> None:
        """Cells of a study.json that lies here alone (a copy of one in docs/results) count as finished."""
        if not self.record.exists():
            return
        record = json.loads(self.record.read_text(encoding="utf-8"))
        _require_same(self.folder, _plan_of(record), json.loads(json.dumps(plan)))
        for one in record["cells"]:
            cell = Cell(name=one["name"], seed=one["seed"], on=one["on"])
            write_json(self.result(cell), one)


@contextmanager
def claimed(folder: StudyFolder, cell: Cell) -> Iterator[bool]:
    """Whether this process has the cell for itself; no other has it until the block ends or the process dies."""
    with _locked(folder.cells / f".{cell.key}.lock", wait=False) as held:
        yield held and not folder.result(cell).exists()


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Wait until no other process is in a block of the same path."""
    with _locked(path, wait=True):
        yield


def described(cell: Cell) -> dict[str, Any]:
    """What a cell is, beyond its name and seed, as it comes back from JSON."""
    found: dict[str, Any] = json.loads(json.dumps({"recipe": _plain(cell.settings), "options": dict(cell.options)}))
    return found


def _plain(settings: Any) -> dict[str, Any]:
    known = Recipe().with_settings(**settings).to_dict()
    leaves = {name: value for part in known.values() if isinstance(part, dict) for name, value in part.items()}
    return {name: leaves[name] for name in settings}


@contextmanager
def _locked(path: Path, *, wait: bool) -> Iterator[bool]:
    with ExitStack() as stack:
        try:
            held = stack.enter_context(claim(path, wait=wait))
        except OSError as error:
            raise _no_lock(path, error.strerror or str(error)) from error
        if held is Claim.IMPOSSIBLE:
            raise _no_lock(path, "the file system has no locks")
        yield held is Claim.HELD


def _no_lock(path: Path, reason: str) -> TwofoldError:
    return TwofoldError(
        f"cannot lock '{path}' ({reason}), but cells are shared by locks on files. Choose an --out on a file system "
        "that has them, where you may write."
    )


def _complete(base: dict[str, Any]) -> dict[str, Any]:
    """A base recipe with the leaves that an older version did not have, as it comes back from JSON."""
    found: dict[str, Any] = json.loads(json.dumps(Recipe.from_dict(base).to_dict()))
    return found


def _plan_of(record: dict[str, Any]) -> dict[str, Any]:
    names = ("study", "scale", "labels", "minutes", "base")
    return {name: record.get(name) for name in names} | {"data": record["data"]["fingerprint"]}


def _require_same(folder: Path, begun: dict[str, Any], now: dict[str, Any]) -> None:
    before, after = (_flat({**plan, "base": _complete(plan["base"])}) for plan in (begun, now))
    changed = [name for name in after if before.get(name) != after[name]]
    if changed:
        name = changed[0]
        raise TwofoldError(
            f"{name} is {after[name]!r}, but the study in '{folder}' was begun with {before.get(name)!r}; all cells of "
            "a study have the same. Set it back or choose a new --out."
        )


def _flat(values: dict[str, Any], name: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{name}{key}.") if isinstance(value, dict) else {f"{name}{key}": value}
    return flat
