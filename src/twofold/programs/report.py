"""Write a run's report anew."""

from pathlib import Path

from twofold.console import say
from twofold.recipes.kinds import AnyPath, as_path
from twofold.report import build_report
from twofold.runs.run_directory import Run


def report(run: AnyPath) -> Path:
    """Write RUN/report.html anew from the files of the run."""
    record = Run(as_path("run", run))
    record.read_recipe()
    path = build_report(record.folder)
    say(f"Report: {path}")
    return path
