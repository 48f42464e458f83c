"""Arguments that several commands take."""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

Out = Annotated[Path, arg(help="run directory: created, or continued if the same command began it")]
Run = Annotated[Positional[Path], arg(help="run directory that 'twofold pretrain' wrote")]
Data = Annotated[Positional[str], arg(help="folder of images, table (.csv or .tsv), parquet files or torchvision name")]
Cache = Annotated[
    Path | None,
    arg(
        help="where decoded pictures are kept",
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
