"""What was tried on a machine: encoders at batch sizes, those that failed among them, and the table of all."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

_KEYS = {"trials", "failed", "matrix_flops", "choice", "why", "skipped"}  # of its JSON


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One encoder at one batch size. Shares are of a step's time; `matrix_share` is the encoder's rate of
    multiplications over that of one large matrix product in the same precision."""

    encoder: str
    width: float
    batch_size: int
    images_per_s: float
    encoder_share: float
    wait_share: float
    matrix_share: float
    peak_bytes: int | None
    flops_per_view: int

    @property
    def name(self) -> str:
        """As people write it."""
        return f"{self.encoder} x {self.width:g}"


@dataclass(frozen=True, kw_only=True)
class Failure:
    """An encoder at a batch size that this machine could not train, and why."""

    encoder: str
    width: float
    batch_size: int
    out_of_memory: bool
    reason: str

    @property
    def name(self) -> str:
        """As people write it."""
        return f"{self.encoder} x {self.width:g}"

    @property
    def kind(self) -> str:
        """In two words."""
        return "out of memory" if self.out_of_memory else "failed"


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What was tried, in order; the matrix rate in FLOP/s, the recommended trial and why."""

    tried: list[Trial | Failure]
    matrix_flops: float
    choice: Trial
    why: str
    skipped: list[str]

    @property
    def trials(self) -> list[Trial]:
        """Those that worked."""
        return [one for one in self.tried if isinstance(one, Trial)]

    @property
    def failed(self) -> list[Failure]:
        """Those that did not."""
        return [one for one in self.tried if isinstance(one, Failure)]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "trials": [asdict(one) for one in self.trials],
            "failed": [asdict(one) for one in self.failed],
            "matrix_flops": self.matrix_flops,
            "choice": asdict(self.choice),
            "why": self.why,
            "skipped": self.skipped,
        }


def is_bench(path: Path) -> bool:
    """Whether a file holds the figures of a benchmark."""
    try:
        values = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(values, dict) and values.keys() >= _KEYS


def bench_table(found: Bench) -> Table:
    """All trials, the recommended one marked and those that failed with the kind of failure."""
    caption = (
        "* recommended. share: encoder and head in a step's time. wait: for images. matrix: the encoder's "
        "rate over that of one large matrix product. MiB: most memory of the process."
    )
    table = Table(
        title="\nMeasured, median step", title_justify="left", caption=caption, caption_justify="left", box=None
    )
    table.add_column("encoder x width", no_wrap=True)
    for head in ("batch", "images/s", "share", "wait", "matrix", "MiB"):
        table.add_column(head, justify="right", no_wrap=True)
    for one in found.tried:
        name = f"{'*' if one == found.choice else ' '} {one.name}"
        if isinstance(one, Failure):
            table.add_row(name, f"{one.batch_size}", one.kind)
            continue
        table.add_row(
            name,
            f"{one.batch_size}",
            f"{one.images_per_s:,.0f}",
            f"{one.encoder_share:.1%}",
            f"{one.wait_share:.1%}",
            f"{one.matrix_share:.0%}",
            "" if one.peak_bytes is None else f"{one.peak_bytes / 2**20:,.0f}",
        )
    return table


def trial_line(one: Trial | Failure) -> str:
    """What is said when it is done."""
    if isinstance(one, Failure):
        return f"  {one.name}, batch {one.batch_size}: {one.kind} ({one.reason}); its larger batches are left out"
    return f"  {one.name}, batch {one.batch_size}: {one.images_per_s:,.0f} images/s"
