"""Write a run's report anew."""

from pathlib import Path

from twofold.console import obeys_verbose, say, warn
from twofold.errors import TwofoldError
from twofold.recipes.kinds import AnyPath, as_kind, as_path
from twofold.report import build_report
from twofold.runs.run_directory import Run


@obeys_verbose
def write_report(run: AnyPath, *, verbose: bool = True) -> Path:
    """Write RUN/report.html again from the files of the run."""
    verbose = as_kind("verbose", verbose, bool)
    record = Run(as_path("run", run))
    record.read_recipe()
    path = build_report(record.folder)
    say(f"Report: {path}")
    return path


def renew_report(run: Path) -> None:
    """Write RUN/report.html again where there is one: with what a command just left in the run. Else do nothing."""
    if not (run / "report.html").is_file():
        return
    try:
        build_report(run)
    except TwofoldError as error:
        warn(f"the report was not rewritten: {error}")
