"""The most memory that something takes while it runs."""

import os
import threading
from pathlib import Path
from types import TracebackType

import torch

from twofold.errors import TwofoldError

_STATM = Path("/proc/self/statm")
_EVERY_S = 0.002


class PeakMemory:
    """`with PeakMemory(device) as peak: ...`, then `peak.bytes`: what the process (CPU) or torch (GPU) held at most.

    On a GPU, all that torch had taken from the driver, pieces that it could not use again among it. On the CPU,
    memory of the process without mapped files, looked at every 2 ms. Raises TwofoldError on systems that do not tell.
    """

    def __init__(self, device: torch.device) -> None:
        if not self.works(device):
            raise TwofoldError(
                f"memory cannot be measured on '{device}' of this system. Give --chunk instead of --memory."
            )
        self.bytes = 0
        self._device = device
        self._done = threading.Event()
        self._watch = threading.Thread(target=self._look, daemon=True)

    @staticmethod
    def works(device: torch.device) -> bool:
        """Whether this system tells how much memory a process on `device` holds."""
        return device.type == "cuda" or _STATM.exists()

    def __enter__(self) -> "PeakMemory":
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        else:
            self._watch.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._device.type == "cuda":
            self.bytes = torch.cuda.max_memory_reserved(self._device)
        else:
            self._done.set()
            self._watch.join()

    def _look(self) -> None:
        while True:
            resident, shared = _STATM.read_text(encoding="utf-8").split()[1:3]
            self.bytes = max(self.bytes, (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE"))
            if self._done.wait(_EVERY_S):
                return


def available_memory(device: torch.device) -> int | None:
    """Bytes that this process can have at most on a GPU: what is free, and what torch holds already. None elsewhere."""
    if device.type != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(device)
    return int(free + torch.cuda.memory_reserved(device))
