"""Groups of two processes in which something fails. Used by test_failing.py.

Arguments: a folder, then cases. Each process of a case writes FOLDER/CASE-RANK: the kind and the text of its error.
"""

import os
import signal
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import distributed

from forked import forked
from small_recipe import SMALL
from twofold.distributed import Alone, World, open_world
from twofold.distributed.process import RENDEZVOUS
from twofold.errors import DivergedError, TwofoldError
from twofold.runs import checkpoint
from twofold.training import loop, start
from twofold.training.loop import pretrain

PATIENCE_S = 60
ERRORS: dict[str, BaseException] = {
    "expected": DivergedError("the loss is not finite"),
    "full": OSError(28, "No space left on device", "run/metrics.jsonl"),
    "bug": KeyError("x"),
    "interrupt": KeyboardInterrupt(),
    "exit": SystemExit(143),
}
TINY = SMALL.with_settings(size_px=8, stem="small", z_dim=8, temperature=0.5, batch_size=8, epochs=1.0, optimizer="sgd")
DIFFERENT: dict[str, Any] = {  # what the second process has otherwise than the first
    "recipe": {"recipe": TINY.with_settings(seed=1)},
    "images": {"data": "others"},
    "profile": {"profile": 2},
}
PLACES = ("build_log", "build_look", "log", "look", "save_checkpoint", "save_encoder", "write_json", "monitor")


def fail(error: BaseException) -> Any:
    raise error


def from_first(world: World, error: BaseException) -> None:
    world.from_first(lambda: fail(error))


def in_turn(world: World, error: BaseException) -> None:
    world.in_turn(lambda: fail(error) if world.rank == 1 else None)


def alone(world: World, error: BaseException) -> None:
    own = Alone(world)
    own.do(fail, error)
    if world.highest(int(own.failed)):
        own.tell()


WAYS: dict[str, Callable[[World, BaseException], None]] = {"first": from_first, "turn": in_turn, "alone": alone}


def put_in(place: str, error: BaseException) -> list[Any]:
    """The first process fails at `place`; what to hand to pretrain as monitors."""

    def broken(*_: Any, **__: Any) -> Any:
        raise error

    if place == "monitor":
        return [broken]
    if place == "log":
        loop.build_log = lambda *_: broken
    elif place == "look":
        loop.build_look = lambda *_, **__: broken
    elif place == "save_checkpoint":
        checkpoint.save_checkpoint = broken
    else:
        setattr(start if place == "write_json" else loop, place, broken)
    return []


def work(case: str, folder: Path, rank: int) -> None:
    kind, _, which = case.partition(":")
    if kind in WAYS:
        with open_world("cpu") as world:
            assert world.size == 2
            WAYS[kind](world, ERRORS[which])
    elif kind == "run":
        monitors = put_in(which, ERRORS["full"]) if rank == 0 else []
        pretrain(
            folder / "images", out=folder / which, recipe=TINY, cache=folder / "cache", monitors=monitors, profile=1
        )
    elif kind == "differ":
        given = {"data": "images", "recipe": TINY, "profile": 0} | (DIFFERENT[which] if rank else {})
        data = folder / given.pop("data")
        pretrain(data, out=folder / f"differ-{which}", cache=folder / "cache", **given)
    elif kind == "given":
        use_given(which, folder, rank)
    else:
        assert case == "gpus", case
        torch.cuda.is_available = lambda: True
        torch.cuda.device_count = lambda: int(which or 1)
        with open_world("cuda"):
            pass


def use_given(which: str, folder: Path, rank: int) -> None:
    """A group that the caller made, without a launcher's variables."""
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        del os.environ[name]
    store = distributed.FileStore(str(folder / "given"), 2)
    distributed.init_process_group("gloo", store=store, rank=rank, world_size=2)
    if which == "cuda":
        torch.cuda.current_device = lambda: 0
    with open_world(which) as world:
        total = float(world.sum(torch.tensor(float(rank + 1))))
    kept = distributed.is_initialized()
    distributed.destroy_process_group()
    raise TwofoldError(f"rank {world.rank} of {world.size}, sum {total}, kept {kept}")


def group(case: str, folder: Path) -> None:
    def say(rank: int) -> None:
        os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
        os.environ[RENDEZVOUS] = (folder / f"{case}-meeting").as_uri()
        said = "no error"
        try:
            work(case, folder, rank)
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        (folder / f"{case}-{rank}").write_text(said)

    children = [forked(partial(say, rank)) for rank in range(2)]
    deadline = time.monotonic() + PATIENCE_S
    while children:
        children = [pid for pid in children if os.waitpid(pid, os.WNOHANG) == (0, 0)]
        if time.monotonic() > deadline:
            for pid in children:
                os.kill(pid, signal.SIGKILL)  # it waits for another one in vain
        time.sleep(0.01)


def main() -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("error")
    for case in sys.argv[2:]:
        group(case, Path(sys.argv[1]))


if __name__ == "__main__":
    main()
