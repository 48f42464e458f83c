"""Freed memory stays with the process, until it is asked back."""

import ctypes
import gc
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # names of parameters in glibc's malloc.h
_LARGEST_ON_HEAP = 32 * 2**20  # bytes: the most that glibc accepts
_NEVER = 2**31 - 1


def keep_freed_memory() -> None:
    """Tell glibc to reuse freed blocks instead of returning them to the system; elsewhere do nothing.

    Activations of a few megabytes come and go in every step, and each new page costs a page fault: a stem with one
    convolution took 3.4 ms instead of 26 ms (docs/notebook.md).
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGEST_ON_HEAP)
        mallopt(_TRIM_THRESHOLD, _NEVER)


def return_freed_memory() -> None:
    """Give what is free back to the system and to the GPU, so that the next measurement of memory begins low."""
    gc.collect()
    torch = sys.modules.get("torch")  # not imported for this
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    if torch is not None and torch.backends.mps.is_available():
        torch.mps.empty_cache()
    if sys.platform.startswith("linux"):
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
