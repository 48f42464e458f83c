"""Pretrains encoders of the user's: undisturbed, killed once there is a checkpoint, and by two processes. Used by
tests/programs/test_objects.py in a process of its own.

The parent imports everything and runs nothing, so that forked children start at once and with fresh thread pools.
Arguments: data, cache, a folder for the runs, names of encoders. Prints the names of those that really were killed.
"""

import os
import signal
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import sklearn.manifold  # noqa: F401  # what a report needs, here once and not in every child
import torch

from forked import forked, forked_group
from own_encoders import ENCODERS, RECIPE, sgd
from twofold.distributed import World
from twofold.models.own import own_encoder
from twofold.programs.pretrain import pretrain
from twofold.training.loop import pretrain as run_pretraining


def run(data: Path, out: Path, cache: Path, name: str, step_s: float = 0.0) -> None:
    """The whole of a run; each pass through the encoder takes `step_s` longer."""
    encoder = ENCODERS[name]

    def build() -> torch.nn.Module:
        module = encoder()
        module.register_forward_pre_hook(lambda *_: time.sleep(step_s))
        return module

    settings = {"epochs": 2.0, "chunk": 4, "checkpoint_minutes": 0.0}
    pretrain(data, out=out, cache=cache, recipe=RECIPE, encoder=build, optimizer=sgd, verbose=False, **settings)


def run_together(data: Path, out: Path, cache: Path, rank: int, *, fault: bool = False) -> None:
    """From a module with batch norm that each process has made with other weights."""
    torch.manual_seed(rank)
    module = ENCODERS["torchvision"]()
    if fault:
        World.copy_from_first = lambda _world, _module: None
    recipe = replace(RECIPE.with_settings(chunk=4), encoder=own_encoder(module))
    run_pretraining(data, out=out, cache=cache, recipe=recipe)


def ended(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main() -> None:
    data, cache, home = (Path(argument) for argument in sys.argv[1:4])
    for name in sys.argv[4:]:
        assert ended(forked(partial(run, data, home / f"{name}-calm", cache, name))) == 0
        out = home / f"{name}-killed"
        pid = forked(partial(run, data, out, cache, name, 0.02))
        while len(list(out.glob("checkpoints/step-*.pt"))) < 2:
            time.sleep(0.005)
        os.kill(pid, signal.SIGKILL)
        if ended(pid) == -signal.SIGKILL and not (out / "encoder.safetensors").exists():
            print(name)
        assert ended(forked(partial(run, data, out, cache, name))) == 0
    for processes, fault in ((1, False), (2, False), (2, True)):
        out = home / f"{processes}{'-fault' if fault else ''}"
        assert forked_group(processes, partial(run_together, data, out, cache, fault=fault)) == [0] * processes


main()
