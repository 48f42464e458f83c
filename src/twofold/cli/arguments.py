"""Arguments that several commands take."""

from pathlib import Path
from typing import Annotated, TypedDict

from tyro.conf import Positional, arg

from twofold.errors import TwofoldError

Out = Annotated[Path, arg(help="run directory: created, or continued if the same command began it")]
Run = Annotated[Positional[Path], arg(help="run directory that 'twofold pretrain' wrote")]
Data = Annotated[
    Positional[str],
    arg(help="images: folder, archive, table, list (.txt) or parquet files, here or at an address; a torchvision name"),
]
Cache = Annotated[
    Path | None,
    arg(
        help="where decoded images are kept",
        metavar="PATH",
        help_behavior_hint="(default: $TWOFOLD_CACHE, or on Linux ~/.cache/twofold)",
    ),
]
Device = Annotated[str, arg(help="auto, cpu, cuda, cuda:N or mps")]
Precision = Annotated[str, arg(help="auto (bf16 where the hardware has it, fp32 elsewhere: no fp16), bf16 or fp32")]
MaxUnreadable = Annotated[
    float | None,
    arg(help="stop when more than this share of the files is unreadable", help_behavior_hint="(default: the run's)"),
]
AllowOutside = Annotated[bool, arg(help="let a table or parquet file name images outside its own folder")]
CheckpointThrough = Annotated[
    Path | None,
    arg(
        help="local folder where checkpoints are written first, then copied: for an --out on a mounted bucket",
        metavar="PATH",
    ),
]
Beside = Annotated[
    tuple[str, ...],
    arg(help="encoders to compare with: another RUN, an encoder.safetensors, torchvision:NAME=FILE, timm:NAME=FILE"),
]
BesidePx = Annotated[int | None, arg(help="view size of torchvision: and timm: encoders (default: the run's)")]
Embeddings = Annotated[
    Path | None,
    arg(
        help="file of 'twofold embed' to read the embeddings from",
        metavar="PATH",
        help_behavior_hint="(default: made here, kept in the cache)",
    ),
]


class CommonFlags(TypedDict):
    """What all commands take that put an encoder to use."""

    cache: Cache
    allow_outside: AllowOutside
    device: Device
    precision: Precision
    max_unreadable_fraction: MaxUnreadable


COMMON = CommonFlags(cache=None, allow_outside=False, device="auto", precision="auto", max_unreadable_fraction=None)


def run_and_data(given: tuple[str, ...], pixels: bool) -> tuple[str | None, str]:
    """RUN DATA, or DATA alone where only pixels are compared. Raises TwofoldError for another number of words."""
    wanted = "DATA alone with --pixels" if pixels else "RUN DATA, or --pixels and DATA alone"
    if len(given) != (1 if pixels else 2):
        raise TwofoldError(f"{' '.join(given) or 'nothing'} was given, but clean takes {wanted}. Give {wanted}.")
    return (None, given[0]) if pixels else (given[0], given[1])
