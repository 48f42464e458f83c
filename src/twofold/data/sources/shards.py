"""The parquet files that make one data set: a file, a folder of them, or a pattern such as data/train-*.parquet."""

import glob
import re
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

from twofold.data.sources.names import split_named
from twofold.errors import TwofoldError

_SHARD = re.compile(r"(?P<name>.+?)[-_.]\d+([-_.]of[-_.]\d+)?")  # train-00000-of-00002

_NUMBERED = re.compile(r"(.+[-_.])(\d+)([-_.]of[-_.])(\d{1,6})(\..+)")


_BRACES = re.compile(r"\{(?:(\d+)\.\.(\d+)|([^{}]*,[^{}]*))\}")  # {0000..0009} or {cats,dogs}
_MOST = 100_000  # shards that braces may stand for


def expanded(text: str) -> list[str]:
    """The names that a text with braces stands for; the text alone where it has none.

    >>> expanded("train-{08..10}.tar")
    ['train-08.tar', 'train-09.tar', 'train-10.tar']

    Raises TwofoldError for more than 100,000.
    """
    texts = [text]
    while match := _BRACES.search(texts[0]):
        first, last, several = match.groups()
        numbers = range(int(first), int(last) + 1) if first else range(0)
        if len(numbers) * len(texts) > _MOST:
            raise TwofoldError(
                f"the braces {match[0]} make {len(numbers) * len(texts):,} names, but they may make {_MOST:,}. Make "
                "the range shorter."
            )
        parts = several.split(",") if several else [f"{number:0{len(first)}d}" for number in numbers]
        if not parts:
            raise TwofoldError(f"the braces {match[0]} count from {first} to {last}, but braces count up. Swap them.")
        texts = [_BRACES.sub(lambda _, part=part: part, one, count=1) for one in texts for part in parts]  # type: ignore[misc]
    return texts


def is_pattern(text: str) -> bool:
    """Whether a text has one of the signs that stand for other letters in names of files."""
    return any(sign in text for sign in "*?[")


def matches(text: str) -> list[Path]:
    """The files and folders that a pattern names, sorted. Raises TwofoldError where there is none."""
    found = sorted(Path(one) for one in glob.glob(str(Path(text).expanduser()), recursive=True))  # noqa: PTH207
    if not found:
        raise TwofoldError(f"the pattern '{text}' names no file. Give a pattern such as 'data/*.parquet'.")
    return found


def split_of_each(files: Sequence[PurePath], root: PurePath) -> list[str | None]:
    """The split that the name of each file says (train-00000-of-00002), or else that of a folder below `root`.

    None for all where they do not say two different ones: a file on its own is no split.
    """
    splits = [_split(file.relative_to(root)) for file in files]
    return splits if len(set(splits) - {None}) > 1 else [None] * len(files)


def rows_in(files: Sequence[Path]) -> int:
    """How many rows parquet files have together; 0 where one cannot be read."""
    import pyarrow.parquet as pq
    from pyarrow.lib import ArrowException

    open_parquet: Any = pq.ParquetFile
    try:
        return sum(open_parquet(file).metadata.num_rows for file in files)
    except (OSError, ArrowException):
        return 0


def missing_shards(files: Sequence[PurePath]) -> list[str]:
    """The shards that the names of others promise (train-00000-of-00002) and that are not among the files."""
    promised: set[PurePath] = set()
    for file in files:
        if match := _NUMBERED.fullmatch(file.name):
            head, digits, of, total, tail = match.groups()
            promised |= {
                file.with_name(f"{head}{number:0{len(digits)}d}{of}{total}{tail}") for number in range(int(total))
            }
    return sorted(file.name for file in promised - set(files))


def numberless(stem: str) -> str:
    """The name of a shard's file without its number: train of train-00000-of-00002."""
    match = _SHARD.fullmatch(stem)
    return match["name"] if match else stem


def _split(file: PurePath) -> str | None:
    names = [numberless(file.stem), *reversed(file.parts[:-1])]
    return next((split for name in names if (split := split_named(name))), None)
