"""What people see while a program runs: one console."""

from rich.console import Console
from rich.table import Table

from twofold.distributed.process import is_first_process

console = Console(highlight=False, quiet=not is_first_process())


def say(text: str) -> None:
    """Print a line as it is: names of files are no markup."""
    console.print(text, markup=False, soft_wrap=True)


def show_settings(title: str, settings: dict[str, object]) -> None:
    """Print names and values in two columns."""
    table = Table(title=title, title_justify="left", show_header=False, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in settings.items():
        table.add_row(name, str(value).replace("[", r"\["))
    console.print(table)


def duration(seconds: float) -> str:
    """3661 -> '1 h 01 min'; 75 -> '1 min 15 s'; 8.2 -> '8 s'."""
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
