"""What a run computes on: one leaf of the recipe."""

import re
from dataclasses import dataclass
from typing import Annotated

from twofold.errors import require, require_choice
from twofold.recipes.help import Help
from twofold.recipes.kinds import check_kinds


@dataclass(frozen=True, kw_only=True)
class HardwareRecipe:
    """What to run on. `auto` is resolved at the start and printed."""

    device: Annotated[str, Help("auto, cpu, cuda, cuda:N or mps")] = "auto"
    precision: Annotated[
        str, Help("auto (bf16 where the hardware has it, fp32 elsewhere: no fp16), bf16 or fp32 (in full: no TF32)")
    ] = "auto"
    compile: Annotated[
        bool,
        Help(
            "compile the encoder by torch.compile, on a GPU the views too, and record a step as one CUDA graph: the "
            "first step takes a minute, rounding differs; 2.4 times as fast on the H200 tried, slower on the CPU tried"
        ),
    ] = False
    deterministic: Annotated[
        bool,
        Help(
            "the same bits from every run on one kind of GPU: slower algorithms where torch has them, an error where "
            "it has none"
        ),
    ] = False
    resident: Annotated[
        bool | None,
        Help(
            "whether the images of train lie on the GPU, where batches are gathered: the same bits, and the host reads "
            "nothing (none: where they have one size and take under 40 % of its free memory)"
        ),
    ] = None
    memory: Annotated[
        str | None,
        Help("most memory that a process may take, as 4GiB; picks the chunk by measuring (batch norm per chunk)"),
    ] = None

    def __post_init__(self) -> None:
        check_kinds(self)
        require(
            re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", self.device) is not None,
            "device",
            self.device,
            "auto, cpu, cuda, cuda:N or mps",
        )
        rule = "auto, bf16 or fp32: fp16 needs gradients to be scaled, which is not offered; fp32 runs on every GPU"
        require(self.precision not in ("fp16", "float16", "half"), "precision", self.precision, rule)
        require_choice("precision", self.precision, ("auto", "bf16", "fp32"))
        require(
            self.memory is None or re.fullmatch(r"\d+(\.\d+)?(MiB|GiB)", self.memory) is not None,
            "memory",
            self.memory,
            "a number with its unit, MiB or GiB, as 4GiB",
        )

    @property
    def memory_bytes(self) -> int | None:
        """`memory` as a number."""
        if self.memory is None:
            return None
        return int(float(self.memory[:-3]) * {"MiB": 2**20, "GiB": 2**30}[self.memory[-3:]])
