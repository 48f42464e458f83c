"""Whole programs where nothing is there that Windows lacks. Used by test_windows.py, with a folder as argument.

The libraries are imported first and keep what they have; then the modules and functions of POSIX go, folders cannot be
opened, and no file that is open can be removed, renamed or replaced, nor a folder that holds one. Text files that are
opened without an encoding are an error: Windows would take another one.
"""

import builtins
import errno
import json
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import filelock  # noqa: F401
import jinja2  # noqa: F401
import matplotlib.pyplot  # noqa: F401
import numpy as np
import pyarrow.parquet as pq
import safetensors.torch  # noqa: F401
import sklearn.neighbors  # noqa: F401
import torch
import torch._dynamo
import torchvision  # noqa: F401
import tyro  # noqa: F401

from pictures import write_pictures

MODULES = ("fcntl", "grp", "pwd", "resource", "termios", "tty")
OF_OS = (  # but for what filelock needs of them here, where it stands for itself on Windows
    "chown",
    "fork",
    "getuid",
    "mkfifo",
    "posix_fallocate",
    "sched_getaffinity",
    "sysconf",
    "uname",
    "wait4",
)
OF_SIGNAL = ("SIGUSR1", "SIGUSR2", "SIGKILL", "SIGHUP", "SIGALRM")


class NoPosix:
    """Finds that the modules are not there."""

    def find_spec(self, name: str, *_: Any) -> None:
        if name in MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def hide() -> None:
    for name in MODULES:
        sys.modules.pop(name, None)
    sys.meta_path.insert(0, NoPosix())
    for place, names in ((os, OF_OS), (signal, OF_SIGNAL)):
        for name in names:
            delattr(place, name)
    os.open = no_folders(os.open)
    os.rename, os.replace, os.unlink = (none_open(one) for one in (os.rename, os.replace, os.unlink))
    builtins.open = no_system_files(builtins.open)
    Path.exists = no_system_paths(Path.exists)
    warnings.filterwarnings("error", category=EncodingWarning, module=r"twofold\.")


def no_folders(real: Callable[..., int]) -> Callable[..., int]:
    def opened(path: Any, flags: int, *given: Any, **options: Any) -> int:
        if not flags & os.O_DIRECTORY and "dir_fd" not in options and Path(path).is_dir():
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path, flags, *given, **options)

    return opened


def none_open(real: Callable[..., None]) -> Callable[..., None]:
    def done(*paths: Any, **options: Any) -> None:
        if not any(options.values()):  # rmtree on Linux works with handles of folders
            for path in paths:
                if busy := next((one for one in in_use() if Path(one).is_relative_to(Path(path).absolute())), None):
                    raise PermissionError(errno.EACCES, "used by another process", busy)
        real(*paths, **options)

    return done


def in_use() -> Iterator[str]:
    """Files of this process that are open, or mapped into memory."""
    for handle in Path("/proc/self/fd").iterdir():
        try:
            place = handle.readlink()
        except OSError:
            continue
        if place.is_file():
            yield str(place)
    with open_anyway("/proc/self/maps", encoding="utf-8") as maps:
        yield from {line.split(maxsplit=5)[5].strip() for line in maps if line.rstrip().endswith((".bin", ".npy"))}


open_anyway = open


def no_system_files(real: Callable[..., Any]) -> Callable[..., Any]:
    def opened(path: Any, *given: Any, **options: Any) -> Any:
        if str(path).startswith(("/proc", "/dev/shm")) and "twofold" in sys._getframe(1).f_code.co_filename:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(path))
        return real(path, *given, **options)

    return opened


def no_system_paths(real: Callable[..., bool]) -> Callable[..., bool]:
    return lambda self, **options: not str(self).startswith(("/proc", "/dev/shm")) and real(self, **options)


def main(home: Path) -> None:
    data = write_pictures(home / "däta", per_class=8, splits=("train", "test"))
    hide()
    import twofold
    from twofold.cli import main as cli

    settings = (
        "--size-px 16 --policy small --encoder resnet10 --stages 1 --width 0.25 --stem strided --batch-size 16 "
        "--device cpu --precision fp32"
    )
    run, cache = home / "rün", str(home / "cache")
    table = home / "list.csv"
    names = [path.relative_to(home).as_posix() for path in sorted(data.rglob("*.png"))]
    lines = [f"{name},{name.split('/')[2]}é,{name.split('/')[1]}" for name in names]
    table.write_text("\n".join(["path,label,split", *lines, ""]), encoding="utf-8")
    few = "--protocol knn linear --shots 1 --seeds 2 --few-seeds 2"
    for command in (
        f"pretrain {data} --out {run} --epochs 2 --checkpoint-minutes 0 {settings}",
        f"pretrain {data} --out {run} --epochs 2 --checkpoint-minutes 0 {settings}",  # finished: left alone
        f"pretrain {table} --out {home / 'second'} --epochs 1 --monitor-share 1 {settings}",
        f"evaluate {run} --data {table} {few}",
        f"evaluate {run} --data {table} {few}",  # anew, in place of what is there
        f"transfer {run} --to {data} --protocol linear --seeds 1",
        f"embed {run} {table} --out {home / 'out.parquet'}",
    ):
        sys.argv = ["twofold", *command.split(), "--cache", cache]
        cli.main()
    for kept in (*(home / "cache" / "decoded").glob("*/*.npz"), *(home / "cache" / "openings").iterdir()):
        kept.write_text("{", encoding="utf-8")  # those that are damaged are made anew
    sys.argv = ["twofold", *f"embed {run} {data} --out {home / 'again.parquet'}".split(), "--cache", cache]
    cli.main()
    found = twofold.load(run).embed([home / name for name in names])
    kept = np.stack(pq.read_table(home / "out.parquet")["embedding"].to_pylist())
    assert np.abs(found - kept).max() < 1e-5
    labels = {row["encoder"] for row in json.loads((run / "evaluation.json").read_text(encoding="utf-8"))}
    assert labels == {"trained", "untrained", "pixels"}
    left = [path for path in home.rglob("*") if path.name.endswith(".tmp") or ".building-" in path.name]
    assert not left, left
    assert torch.get_num_threads() >= 1
    print("all of it")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
