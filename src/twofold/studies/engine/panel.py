"""A table of cells that is also drawn: the paper's table or figure, laid out again."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from twofold.errors import require_choice

KINDS = ("heat", "lines", "dots")


@dataclass(frozen=True, kw_only=True)
class Panel:
    """Rows and columns of results: `entries[row, column]` is (cell's name, metric); a place may be empty.

    kind: "heat" colours the places of a matrix, "lines" draws a line for each row over the columns, "dots" a dot for
    each row in a panel a column. `paper[row, column]` is the paper's own figure, in the unit of the panel: "%" for
    shares, "nats" for entropies.
    """

    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    entries: Mapping[tuple[str, str], tuple[str, str]]
    kind: str = "lines"
    unit: str = "%"
    row_title: str = ""
    column_title: str = ""
    paper: Mapping[tuple[str, str], float] = field(default_factory=dict)
    paper_source: str = ""  # "table 5, ResNet-50 on ImageNet, top-1"

    def __post_init__(self) -> None:
        require_choice("kind", self.kind, KINDS)
        require_choice("unit", self.unit, ("%", "nats"))

    @property
    def factor(self) -> float:
        """What a measured value is multiplied by to be in the panel's unit."""
        return 100.0 if self.unit == "%" else 1.0
