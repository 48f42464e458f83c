"""Freed memory is reused: no page faults from the second round on."""

import subprocess
import sys

import pytest

_PROGRAM = """
import resource, sys
import torch
from twofold.runtime.memory import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
def work():
    blocks = [torch.ones(5 * 2**20, dtype=torch.uint8) for _ in range(6)]
torch.set_num_threads(1)
for _ in range(5):
    work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _page_faults(how: str) -> int:
    run = subprocess.run([sys.executable, "-c", _PROGRAM, how], capture_output=True, text=True, check=True)
    return int(run.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="acts on glibc alone")
def test_freed_blocks_are_reused() -> None:
    assert _page_faults("kept") < 100 < _page_faults("returned")
