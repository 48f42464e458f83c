"""A process that leaves its group leaves no thread of it behind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ports import free_port

TASKS = Path("/proc/self/task")
PROGRAM = """
import os
import sys
from pathlib import Path

import torch
from torch import distributed

if sys.argv[1] == "twofold":
    import twofold.distributed.world
distributed.init_process_group("gloo")
torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
distributed.destroy_process_group()
names = [(task / "comm").read_text() for task in Path("/proc/self/task").iterdir()]
print(sum("gloo" in name for name in names))
"""


@pytest.mark.skipif(not TASKS.exists(), reason="the threads of a process are counted in /proc, which is not here")
@pytest.mark.parametrize("way", ["twofold", "torch alone"])
def test_no_thread_of_a_group_outlives_it(way: str) -> None:
    world = {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, way], env=os.environ | world, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    left = int(done.stdout)
    if way == "torch alone" and not left:
        pytest.skip("this torch frees a group by itself: twofold.distributed.world has one import too many")
    assert (left > 0) is (way == "torch alone")
