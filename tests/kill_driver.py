"""Runs one pretraining again and again, killed each time, until it ends. Used by test_kill.py in a process of its own.

The parent imports everything and runs nothing, so that forked children start at once and with fresh thread pools.
Arguments: data, out, cache, number of kills at random moments, number of kills inside a write.
"""

import os
import random
import signal
import sys
import time
from functools import partial
from pathlib import Path

from forked import forked
from small_recipe import SMALL
from twofold import files
from twofold.training.loop import pretrain

RECIPE = SMALL.with_settings(stages=2, epochs=24.0, checkpoint_minutes=0.0)


def run(data: Path, out: Path, cache: Path, kill_at_sync: int | None) -> None:
    if kill_at_sync is not None:
        whole_sync, calls = os.fsync, [0]

        def sync_or_die(handle: int) -> None:
            calls[0] += 1
            if calls[0] == kill_at_sync:
                os.ftruncate(handle, os.fstat(handle).st_size // 2)  # the disk had taken half of it
                os.kill(os.getpid(), signal.SIGKILL)
            whole_sync(handle)

        files.os.fsync = sync_or_die
    pretrain(data, out=out, recipe=RECIPE, cache=cache)


def main() -> None:
    data, out, cache = (Path(argument) for argument in sys.argv[1:4])
    random_kills, write_kills = int(sys.argv[4]), int(sys.argv[5])
    draw, killed = random.Random(0), 0
    for number in range(random_kills + write_kills):
        in_write = number >= random_kills
        pid = forked(partial(run, data, out, cache, draw.randrange(4, 20) * 2 - 1 if in_write else None))
        if not in_write:
            time.sleep(draw.uniform(0.05, 0.25))
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        killed += os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        if os.WIFEXITED(status) and os.WEXITSTATUS(status):
            sys.exit(3)
    _, status = os.waitpid(forked(partial(run, data, out, cache, None)), 0)
    print(killed, os.waitstatus_to_exitcode(status))


main()
