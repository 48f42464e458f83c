"""What images turned out to be, and what was decided to show them in 8 bits: of one image, and counted over a set."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from twofold.data.findings import Finding

NOTES = {  # decision about an image -> code of the finding, and how it is told of {n} images; None: only counted
    "profile": ("TF060", "{n} in other colours than sRGB, by profile or header, converted to sRGB"),
    "profile unknown": ("TF061", "{n} with a colour profile, or a word on colours, that does not fit, read as sRGB"),
    "profile unused": ("TF069", "{n} of more than 8 bits with a colour profile, which is not applied"),
    "hdr": ("TF073", "{n} of high dynamic range (PQ or HLG), which is not brought to the range of sRGB"),
    "cmyk": ("TF062", "{n} in CMYK without a profile, converted by the plain formula"),
    "transparent": ("TF063", "{n} with transparency, laid over white"),
    "bands": ("TF064", "{n} with bands beyond grey, colour and transparency, which are left out"),
    "preview": ("TF065", "{n} in RAW files: the preview inside is read, not the numbers of the sensor"),
    "truncated": ("TF066", "{n} cut off by the end of a file: the rows that are there are read"),
    "missing values": (
        "TF067",
        "{n} with nodata or pixels that are not numbers ({missing} of their pixels), shown in black",
    ),
    "data range": ("TF068", "{n} of more than 8 bits, scaled by one range for all, {range}"),
    "type range": ("TF068", "{n} of more than 8 bits, scaled by all that their kind of number can hold"),
    "own range": ("TF068", "{n} of more than 8 bits, scaled each by its own range"),
    "frames": ("TF071", "{n} with further frames or pages, of which the first is read"),
    "pages": ("TF072", "{n} whose pages are read as channels"),
    "turned": None,
    "constant": None,
}


@dataclass(frozen=True, kw_only=True)
class Traits:
    """What one image turned out to be."""

    format: str  # "JPEG", "PNG", "HEIC" ...; "memory" where there was no file
    bits: int  # of a sample, as stored
    is_grey: bool
    notes: tuple[str, ...] = ()  # of NOTES
    missing_percent: int = 0  # of its values: nodata, or no numbers; rounded up


@dataclass(frozen=True, kw_only=True)
class PixelFacts:
    """Counts over the images of a set that were read: all that was decided about their pixels."""

    formats: dict[str, int] = field(default_factory=dict)  # "JPEG" -> images
    bits: dict[str, int] = field(default_factory=dict)  # "8" -> images
    grey: int = 0  # images without colour
    notes: dict[str, int] = field(default_factory=dict)  # of NOTES -> images
    missing_percent: float = 0.0  # of the values of the images with the note "missing values"

    @classmethod
    def count(cls, images: Mapping[Traits, int]) -> "PixelFacts":
        """The counts over some images, given how many of them have each traits."""
        formats, bits, notes = Counter[str](), Counter[str](), Counter[str]()
        for traits, count in images.items():
            formats[traits.format] += count
            bits[str(traits.bits)] += count
            notes.update(dict.fromkeys(traits.notes, count))
        grey = sum(count for traits, count in images.items() if traits.is_grey)
        missing = sum(count * traits.missing_percent for traits, count in images.items())
        percent = missing / max(1, notes["missing values"])
        return cls(formats=dict(formats), bits=dict(bits), grey=grey, notes=dict(notes), missing_percent=percent)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "PixelFacts":
        """The inverse of `dataclasses.asdict`. Raises TypeError for anything else."""
        return cls(**values)

    def findings(self, range_: tuple[float, ...] | None) -> list[Finding]:
        """One for each decision that people should know about, with the range; none for ordinary images of 8 bits."""
        pairs = [f"{low:g} to {high:g}" for low, high in zip((range_ or ())[::2], (range_ or ())[1::2], strict=True)]
        told = ((*entry, self.notes[note]) for note, entry in NOTES.items() if entry and note in self.notes)
        findings = []
        for code, text, count in told:
            images, missing = f"{count:,} {'image' if count == 1 else 'images'}", f"{self.missing_percent:.0f}%"
            said = text.format(n=images, range=", ".join(pairs), missing=missing)
            findings.append(Finding(code, f"pixels: {said}"))
        return findings
