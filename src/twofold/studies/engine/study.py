"""What a study is: a question, a grid of cells, panels to look at and claims to test."""

from collections.abc import Callable
from dataclasses import dataclass

from twofold.studies.engine.cell import Cell
from twofold.studies.engine.claim import Claim
from twofold.studies.engine.panel import Panel
from twofold.studies.engine.results import Results
from twofold.studies.engine.scale import Scale


@dataclass(frozen=True, kw_only=True)
class Study:
    """One of the paper's studies.

    `cells(scale, seeds, found)` are all cells that are known, given what was found so far: a study whose grid depends
    on results (a tuned learning rate, the strongest rivals) returns more once those are there. `claims` and `panels`
    may depend on results in the same way. `notes` are sentences on what was chosen on the way.
    """

    name: str
    asks: str
    paper: str  # what the paper found, in a sentence with its source
    cells: Callable[[Scale, int, Results], list[Cell]]
    panels: Callable[[Scale, Results], list[Panel]]
    claims: Callable[[Scale, Results], list[Claim]]
    notes: Callable[[Scale, Results], list[str]] = lambda _scale, _found: []
