"""A freed block stays with the process, by the allocator's own account (page faults depend on the heap's layout)."""

import ctypes
import subprocess
import sys

import pytest

_BLOCK = 20 * 2**20
_PROGRAM = f"""
import ctypes, sys
from twofold.hardware.allocator import keep_freed_memory

class Account(ctypes.Structure):  # struct mallinfo2 of glibc's malloc.h
    _fields_ = [(name, ctypes.c_size_t) for name in
                "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()]

libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Account
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
if sys.argv[1] == "kept":
    keep_freed_memory()
libc.free(libc.malloc({_BLOCK}))
print(libc.mallinfo2().fordblks)
"""


def _free_in_process(how: str) -> int:
    """Bytes that the process holds and does not use, after one block was taken and freed."""
    run = subprocess.run([sys.executable, "-c", _PROGRAM, how], capture_output=True, text=True, check=True)
    return int(run.stdout)


@pytest.mark.skipif(
    not sys.platform.startswith("linux") or not hasattr(ctypes.CDLL(None), "mallinfo2"),
    reason="acts on glibc alone, whose account is read by mallinfo2 (2.33 and later)",
)
def test_a_freed_block_stays_with_the_process() -> None:
    assert _free_in_process("kept") >= _BLOCK > _free_in_process("returned")
