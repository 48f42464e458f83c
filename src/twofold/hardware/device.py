"""What a run computes on: the device and the precision, resolved once at the start."""

import contextlib
import os
import platform
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn

from twofold.errors import TwofoldError
from twofold.hardware.arithmetic import full_float32, same_bits
from twofold.recipes.recipe import HardwareRecipe

_DRIVER = Path("/proc/driver/nvidia/version")


@dataclass(frozen=True)
class Hardware:
    """A device and the precision of matrix products on it ("bf16" or "fp32"); weights are always float32."""

    device: torch.device
    precision: str
    deterministic: bool = False  # the same bits from every run
    compiled: bool = False  # on a GPU: views are compiled, and steps may be one CUDA graph

    @contextlib.contextmanager
    def arithmetic(self) -> Iterator[None]:
        """The context of all that is computed here, backward passes too: fp32 is in full also on a GPU.

        Changes torch's settings for the whole process, and puts them back. Raises TwofoldError where `deterministic` is
        not to be had.
        """
        with contextlib.ExitStack() as stack:
            if self.deterministic:
                stack.enter_context(same_bits())
            if self.device.type == "cuda" and self.precision == "fp32":
                stack.enter_context(full_float32())
            yield

    def autocast(self) -> AbstractContextManager[object]:
        """The context in which the encoder runs: bf16 needs no gradient scaler, fp32 needs nothing at all."""
        if self.precision == "bf16":
            return torch.autocast(self.device.type, dtype=torch.bfloat16)
        return contextlib.nullcontext()

    def place(self, module: nn.Module) -> nn.Module:
        """Move a module to the device, its convolution weights in channels-last order."""
        # torch's overloads of `to` do not know `memory_format` together with a device
        return module.to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def describe(self) -> dict[str, str | int]:
        """Plain values for the record of a run."""
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else _processor()
        found: dict[str, str | int] = {
            "device": str(self.device),
            "precision": self.precision,
            "cpu": _processor(),
            "name": name,
            "cores": os.cpu_count() or 1,
            "threads": torch.get_num_threads(),
        }
        if self.device.type == "cuda":
            found |= {"cuda": str(torch.version.cuda), "cudnn": str(torch.backends.cudnn.version())}
            found |= {"driver": _driver()}
        return found


def resolve_hardware(recipe: HardwareRecipe) -> Hardware:
    """Turn `auto` into what this machine has.

    Raises TwofoldError for a device that is not there, and where compiling is asked for on a CPU without a C++
    compiler or on a GPU without Triton. bf16 is taken on its own only where it is fast: on GPUs that support it and on
    processors with bf16 matrix instructions.
    """
    device = torch.device(_best_device() if recipe.device == "auto" else recipe.device)
    _require_present(device)
    if recipe.compile and device.type == "cpu":
        _require_compiler()
    if recipe.compile and device.type == "cuda":
        _require_triton()
    precision = recipe.precision
    if precision == "auto":
        precision = "bf16" if _has_fast_bf16(device) else "fp32"
    compiled = recipe.compile and device.type == "cuda"
    return Hardware(device, precision, recipe.deterministic, compiled)


def gpu_gib(device: str) -> float | None:
    """GiB of memory of the CUDA GPU that the setting `device` names; None where it is something else.

    Apple's GPU does not count: it computes in float32 and shares its memory with everything else. Raises TwofoldError
    for a number that this machine's GPUs do not have.
    """
    chosen = _best_device() if device == "auto" else device
    if not chosen.startswith("cuda") or not torch.cuda.is_available():
        return None
    _require_present(torch.device(chosen))
    return float(torch.cuda.get_device_properties(torch.device(chosen)).total_memory / 2**30)


def _best_device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _require_present(device: torch.device) -> None:
    counts = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if (device.index or 0) >= counts[device.type]:
        raise TwofoldError(
            f"device is '{device}', but this machine has {counts[device.type]} of that kind. "
            "Choose --device auto or --device cpu."
        )


def _require_compiler() -> None:
    wanted = os.environ.get("CXX") or "g++"
    if shutil.which(wanted) is None and shutil.which("clang++") is None:
        raise TwofoldError(
            f"compile is True, but compiling for the CPU needs a C++ compiler and '{wanted}' is not there. Install one "
            "or set --compile False."
        )


def _require_triton() -> None:
    if find_spec("triton") is None:  # torch brings it along, but not on Windows
        raise TwofoldError(
            "compile is True, but compiling for a GPU needs the package triton, which is not there. Install it (on "
            "Windows: pip install triton-windows) or set --compile False."
        )


def _has_fast_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        return bool({"avx512_bf16", "amx_bf16", "bf16"} & set(_processor_flags()))
    return False


def _driver() -> str:
    """The version of NVIDIA's driver: of the module in the kernel, where the system tells."""
    found = (
        re.search(r"Kernel Module.*?(\d+(?:\.\d+)+)", _DRIVER.read_text(encoding="utf-8")) if _DRIVER.exists() else None
    )
    return found[1] if found else "unknown"


def _processor() -> str:
    for line in _cpuinfo():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _processor_flags() -> list[str]:
    for line in _cpuinfo():
        if line.startswith(("flags", "Features")):
            return line.split(":", 1)[1].split()
    return []


def _cpuinfo() -> Iterable[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []
