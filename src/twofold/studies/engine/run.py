"""Running a study: claim a cell, measure it, keep it; until none is left, alone or with other processes."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twofold.console import console, duration, say
from twofold.data import ImageSet
from twofold.data.for_training import open_for_training
from twofold.distributed import World, open_world
from twofold.errors import NotFiniteError, import_extra
from twofold.files import write_atomically, write_json
from twofold.hardware.device import Hardware, resolve_hardware
from twofold.studies.engine.attempts import attempt
from twofold.studies.engine.baseline import untrained_top1
from twofold.studies.engine.cell import Cell
from twofold.studies.engine.estimate import build_estimate, views_per_s
from twofold.studies.engine.folder import StudyFolder, alone, claimed
from twofold.studies.engine.grid import find, known_cells, planned_cells
from twofold.studies.engine.measures import MEASURES, Measured, Task, needs_pretraining
from twofold.studies.engine.pretrained import pretrained
from twofold.studies.engine.provenance import made_here
from twofold.studies.engine.record import build_record
from twofold.studies.engine.results import Values
from twofold.studies.engine.scale import Scale
from twofold.studies.engine.study import Study
from twofold.studies.show.figure import draw_study
from twofold.studies.show.page import build_page
from twofold.studies.show.table import study_lines, study_markdown

_POLL_S = 2.0


@dataclass(frozen=True, kw_only=True)
class Work:
    """A study with all that its cells need; `estimate` gives the seconds that cells take one after the other."""

    study: Study
    scale: Scale
    seeds: int
    folder: StudyFolder
    images: ImageSet
    hardware: Hardware
    world: World
    estimate: Callable[[Sequence[Cell]], float]

    def known(self) -> list[Cell]:
        """The cells that follow from what is finished."""
        return known_cells(self.study, self.scale, self.seeds, self.folder)

    def planned(self, known: list[Cell]) -> list[Cell]:
        """As many cells as there will be in the end."""
        return planned_cells(self.study, self.scale, self.seeds, find(self.folder, known, self.scale))

    def record(self, known: list[Cell], planned: list[Cell], command: str, minutes: float | None) -> dict[str, Any]:
        """Everything so far."""
        return build_record(
            self.study,
            self.scale,
            self.folder,
            cells=known,
            planned=len(planned),
            images=self.images,
            hardware=self.hardware,
            command=command,
            minutes=minutes,
        )


def run_study(
    study: Study,
    scale: Scale,
    *,
    data: str | Path,
    out: str | Path,
    seeds: int,
    command: str,
    minutes: float | None = None,
    encoders: Path | None = None,
    cache: Path | None = None,
    allow_outside: bool = False,
    plan_only: bool = False,
) -> dict[str, Any]:
    """Measure all cells of a study that are not yet in the folder `out`, and write its table, figure and report there.

    Cells that are finished are skipped; a cell that was interrupted continues where its pretraining stopped. Processes
    that share `out` divide the cells: each is measured by one of them. Under a launcher (torchrun) all its processes
    train a cell together. `minutes` sets how long the base recipe trains: it is turned into epochs by a measurement
    when `out` is begun, and kept. Encoders lie in `encoders`, by images and settings, where studies share them (else
    in `out`). `plan_only` prints the plan and measures nothing. Raises TwofoldError for data that
    cannot be measured on, and for an `out` that was begun with another study, scale, base recipe or other images.
    """
    if not plan_only:
        import_extra("matplotlib", "the figure of a study", "studies")  # seen before hours of work, not after
    with open_world(scale.base.hardware.device) as world, ExitStack() as stack:
        console.other_speaks = console.other_speaks or not world.is_first
        hardware = world.in_turn(resolve_hardware, scale.base.hardware)
        stack.enter_context(hardware.arithmetic())
        images = world.in_turn(
            open_for_training, scale.base, data, cache, allow_outside=allow_outside, show_progress=world.is_first
        )
        folder = StudyFolder(out, None if encoders is None else encoders / images.fingerprint[:16])
        rate = world.from_first(views_per_s, scale.base, hardware)
        train, test = len(images.rows("train")), len(images.rows("test"))
        scale = world.from_first(_begin, folder, study, scale, images, minutes, rate, plan_only=plan_only)
        work = Work(
            study=study,
            scale=scale,
            seeds=seeds,
            folder=folder,
            images=images,
            hardware=hardware,
            world=world,
            estimate=build_estimate(scale, hardware, images=train, asked=test, base_views_per_s=rate),
        )
        world.from_first(_say_plan, work)
        if not plan_only:
            _measure_all(work, command, minutes)
        # in all processes: where one left and failed at that, a launcher would end the first while it writes
        return world.from_first(_conclude, work, command, minutes, plan_only=plan_only)


def _begin(
    folder: StudyFolder,
    study: Study,
    scale: Scale,
    images: ImageSet,
    minutes: float | None,
    rate: float,
    *,
    plan_only: bool,
) -> Scale:
    """The scale with its epochs decided; the folder begun, or seen to belong to it. One process at a time."""
    if minutes is not None:
        scale = scale.with_settings(epochs=float(f"{minutes * 60 * rate / 2 / len(images.rows('train')):.2g}"))
    if plan_only and not folder.is_begun:
        return scale
    folder.create()
    with alone(folder.folder / ".plan.lock"):
        if minutes is not None and folder.is_begun:
            scale = scale.with_settings(epochs=folder.begun_epochs())
        about = {"study": study.name, "scale": scale.name, "labels": scale.labels, "minutes": minutes}
        folder.require_plan({**about, "base": scale.base.to_dict(), "data": images.fingerprint})
    return scale


def _measure_all(work: Work, command: str, minutes: float | None) -> None:
    """The loop over cells: take the first that nobody has, until all are finished."""
    begin, expected, world, waiting = time.monotonic(), 0.0, work.world, False
    while left := world.from_first(lambda: [cell for cell in work.known() if work.folder.read(cell) is None]):
        tried = ((cell, _measure_claimed(cell, work)) for cell in left)
        measured = next(((cell, values) for cell, values in tried if values is not None), None)
        if measured is None:
            if not waiting:
                say(f"Waiting for {len(left)} cells that other processes have.")
            waiting = True
            time.sleep(_POLL_S)
            continue
        waiting = False
        cell, values = measured
        expected += work.estimate([cell])
        pace = (time.monotonic() - begin) / expected  # of this process, which may share the machine with others
        world.from_first(_record, cell, values, work, pace, command, minutes)


def _record(cell: Cell, values: Values, work: Work, pace: float, command: str, minutes: float | None) -> None:
    known = work.known()
    planned = work.planned(known)
    _say_measured(cell, values, work, planned, pace)
    write_json(work.folder.record, work.record(known, planned, command, minutes))


def _measure_claimed(cell: Cell, work: Work) -> Values | None:
    """The values of a cell, measured and kept; None where another process has it or has finished it."""
    start, waited_s = time.monotonic(), [0.0]
    with _claimed_together(work.folder, cell, work.world) as ours:
        if not ours:
            return None
        record = attempt(cell, lambda slower: _measure(cell, work, slower, waited_s))
        made = {"made": made_here(work.hardware)}
        work.world.from_first(work.folder.write, cell, {**record, **made}, time.monotonic() - start - sum(waited_s))
    return dict(record["measure"])


def _measure(cell: Cell, work: Work, slower: float, waited_s: list[float]) -> Measured:
    """One try of a cell, its rates divided by `slower`; what diverges gets what guessing gets."""
    recipe = work.scale.base.with_settings(**cell.settings, seed=cell.seed)
    if slower != 1:
        recipe = recipe.with_settings(base_lr=float(f"{recipe.optim.base_lr / slower:.6g}"))
    try:
        run = None
        if needs_pretraining(cell):
            run, waited = pretrained(recipe, work.images, work.folder, work.world)
            waited_s.append(waited)
        task = Task(
            cell=cell,
            recipe=recipe,
            images=work.images,
            hardware=work.hardware,
            run=run,
            labels=work.scale.labels,
            baseline=lambda task: untrained_top1(task, work.folder.runs),
            slower=slower,
        )
        return work.world.from_first(MEASURES[cell.measure], task)
    except NotFiniteError:
        return Measured(values={"top1": 1 / len(work.images.classes), "diverged": 1.0}, learnt=False)


@contextmanager
def _claimed_together(folder: StudyFolder, cell: Cell, world: World) -> Iterator[bool]:
    with ExitStack() as stack:
        yield world.from_first(lambda: stack.enter_context(claimed(folder, cell)))


def _say_plan(work: Work) -> None:
    study, images, known = work.study, work.images, work.known()
    cells = work.planned(known)
    finished = [cell for cell in known if work.folder.read(cell)]
    left = [cell for cell in cells if cell not in finished]
    say(f"{study.name}: {study.asks}")
    say(f"The paper: {study.paper}")
    say(f"Images: {images.name}, {len(images.rows('train')):,} to train on, {len(images.rows('test')):,} to test on")
    say(f"Cells: {len(cells)}, of which {len(finished)} are finished; a standard cell is {work.scale.epochs:g} epochs")
    later = f"; {len(cells) - len(known)} more depend on results" if len(cells) > len(known) else ""
    say("  " + "; ".join(dict.fromkeys(cell.name for cell in known)) + later)
    say(f"Time: about {duration(work.estimate(left))} for one process; others with the same --out take their share\n")


def _say_measured(cell: Cell, values: Values, work: Work, cells: list[Cell], pace: float) -> None:
    left = [one for one in cells if work.folder.read(one) is None]
    text = ", ".join(f"{name} {value:.3f}" for name, value in values.items())
    time_left = duration(pace * work.estimate(left))
    say(f"[{len(cells) - len(left)} of {len(cells)}] {cell.key}: {text}; {time_left} left for one process")


def _conclude(work: Work, command: str, minutes: float | None, *, plan_only: bool) -> dict[str, Any]:
    """The record, in the folder too unless nothing was measured."""
    known = work.known()
    record = work.record(known, work.planned(known), command, minutes)
    if not plan_only:
        _write(work.folder, record)
    return record


def _write(folder: StudyFolder, record: dict[str, Any]) -> None:
    """The record, and what people look at."""
    figure = draw_study(record)
    write_json(folder.record, record)
    write_atomically(folder.table, study_markdown(record).encode(errors="backslashreplace"))
    write_atomically(folder.figure, figure)
    write_atomically(folder.page, build_page(record, figure))
    for line in study_lines(record):
        say(line)
    say(f"Report: {folder.page}")
