"""Several sources as the splits of one: {"train": ..., "test": ...}."""

import io
from collections.abc import Mapping
from dataclasses import replace
from typing import BinaryIO

from PIL import Image

from twofold.data.findings import Finding
from twofold.data.record import Record, Source, digest
from twofold.errors import TwofoldError


class PartsSource:
    """The images of all parts, one after the other, each part a split."""

    def __init__(self, parts: Mapping[str, Source]) -> None:
        """`parts` are by split: train, validation, test. Raises TwofoldError for a part that has splits of its own."""
        self._parts = parts
        self.name = ", ".join(f"{split}: {part.name}" for split, part in parts.items())
        self.findings: list[Finding] = [finding for part in parts.values() for finding in part.findings]
        self.records: list[Record] = []
        self._places: list[tuple[Source, int]] = []  # (part, number of the image in it), one for each record
        for split, part in parts.items():
            if inner := sorted({record.split for record in part.records if record.split}):
                raise TwofoldError(
                    f"the data given as '{split}' ({part.name}) have the splits {', '.join(inner)}, but they must be "
                    "one split. Give them alone, or a data set of that split."
                )
            self.records += [replace(record, path=f"{split}/{record.path}", split=split) for record in part.records]
            self._places += [(part, index) for index in range(len(part.records))]

    def __str__(self) -> str:
        return self.name

    def stamp(self) -> str:
        """Over the stamps of the parts."""
        return digest(["parts", [[split, part.stamp()] for split, part in self._parts.items()]])

    def open(self, index: int) -> BinaryIO | io.BytesIO | Image.Image:
        """As its part opens it."""
        part, number = self._places[index]
        return part.open(number)

    def read(self, index: int) -> bytes | Image.Image:
        """As its part reads it."""
        part, number = self._places[index]
        return part.read(number)
