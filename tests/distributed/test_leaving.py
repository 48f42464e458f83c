"""A process that leaves its group leaves no thread of it behind."""

import subprocess
import sys
from pathlib import Path

import pytest

TASKS = Path("/proc/self/task")
PROGRAM = """
import os
import sys
from pathlib import Path

import torch
from torch import distributed

def leave(way):
    if way == "twofold":
        import twofold.distributed.world
    distributed.init_process_group("gloo", init_method=f"file://{os.getcwd()}/{way}", rank=0, world_size=1)
    torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    distributed.destroy_process_group()
    names = [(task / "comm").read_text() for task in Path("/proc/self/task").iterdir()]
    print(sum("gloo" in name for name in names), flush=True)

for way in ("twofold", "torch"):
    pid = os.fork()
    if pid == 0:
        leave(way)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0, way
"""


@pytest.mark.skipif(not TASKS.exists(), reason="the threads of a process are counted in /proc, which is not here")
def test_no_thread_of_a_group_outlives_it(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    left, of_torch_alone = map(int, done.stdout.split())
    assert left == 0
    if not of_torch_alone:
        pytest.skip("this torch frees a group by itself: twofold.distributed.world has one import too many")
