"""What a process knows about its launcher, from the environment alone; no torch."""

import os
import signal
import threading
import time

from twofold.errors import TwofoldError

RENDEZVOUS = "TWOFOLD_RENDEZVOUS"  # set by our own launcher: where its processes meet
_LONGEST_STEP_S = 600.0


def is_first_process() -> bool:
    """Whether this process speaks and writes for all."""
    return group_size() == 1 or group_rank() == 0


def group_rank() -> int:
    """Which of a launcher's processes this is."""
    return _number("RANK", 0)


def group_size() -> int:
    """How many processes a launcher started, on all machines; 1 without one."""
    return _number("WORLD_SIZE", 1)


def local_rank(otherwise: int) -> int:
    """Which of this machine's processes this is, or what to take where the launcher does not say."""
    return _number("LOCAL_RANK", otherwise)


def local_size(otherwise: int) -> int:
    """How many of them run on this machine, or what to take where the launcher does not say."""
    return _number("LOCAL_WORLD_SIZE", otherwise)


def must_start(processes: int) -> bool:
    """Whether `--processes K` is still to be done: not where a launcher, ours or another, has started K processes.

    Raises TwofoldError where another launcher started another number on this machine.
    """
    if processes == 1 or RENDEZVOUS in os.environ:
        return False
    if group_size() == 1:
        return True
    if processes != local_size(group_size()):
        raise TwofoldError(
            f"processes is {processes}, but another launcher has started {local_size(group_size())} on this machine "
            f"(WORLD_SIZE={group_size()}). Leave --processes out."
        )
    if is_first_process():
        print(f"--processes {processes}: another launcher has started them already.", flush=True)
    return False


def require_meeting() -> None:
    """Raises TwofoldError where the environment speaks of a group, but not of this process or of where all meet."""
    size, needed = group_size(), ["RANK"] if RENDEZVOUS in os.environ else ["RANK", "MASTER_ADDR", "MASTER_PORT"]
    missing = [name for name in needed if not os.environ.get(name)]
    if missing:
        raise TwofoldError(
            f"the environment says WORLD_SIZE={size}, but not {', '.join(missing)}, which the processes need "
            "to find each other. Start them by --processes or torchrun, or unset WORLD_SIZE."
        )
    _number("MASTER_PORT", 0)
    if group_rank() >= size:
        raise TwofoldError(
            f"the environment says RANK={group_rank()} and WORLD_SIZE={size}, but ranks go from 0 to {size - 1}. Set "
            "them right, or start the processes by --processes or torchrun."
        )


def stop_with_launcher() -> None:
    """Where our own launcher started this process: save and stop, as on SIGTERM, once the launcher is gone.

    It holds the other end of stdin, which the system closes however it ends.
    """
    if RENDEZVOUS in os.environ:
        threading.Thread(target=_wait_for_end, daemon=True).start()


def _wait_for_end() -> None:
    while os.read(0, 1):
        pass
    if hasattr(signal, "pthread_kill"):  # to the main thread, so that it wakes up where it sleeps
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
    else:
        signal.raise_signal(signal.SIGTERM)
    time.sleep(_LONGEST_STEP_S)
    os._exit(128 + signal.SIGTERM)


def _number(name: str, otherwise: int) -> int:
    text = os.environ.get(name) or str(otherwise)
    if not text.isdecimal():
        raise TwofoldError(f"the environment says {name}={text}, but it must be a whole number. Unset or correct it.")
    return int(text)
