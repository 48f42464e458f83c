"""What the folder needs when it is imported, and what it must not need."""

import subprocess
import sys

import pytest

WITHOUT_FCNTL = """
import sys
sys.modules["fcntl"] = None  # importing it fails, as on Windows
"""


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("module", ["twofold.distributed", "twofold.distributed.launch", "twofold.distributed.process"])
def test_the_launcher_starts_without_torch(module: str) -> None:
    assert run(f"import sys, {module}; print('torch' in sys.modules)") == "False\n"


def test_without_unix_locks_the_folder_is_imported_and_offers_no_shared_memory() -> None:
    program = """
from twofold.distributed import World, global_norm, open_world
from twofold.distributed.shared_memory import can_share
with open_world("cpu") as world:
    print(can_share(2), world.size)
"""
    assert run(WITHOUT_FCNTL + program) == "False 1\n"
