"""What a setting means."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Help:
    """What a setting means, with its unit: the text behind its flag."""

    text: str
