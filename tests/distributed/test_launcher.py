"""The launcher alone, with a stand-in for the program: signals, errors, and what is left when it is killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from twofold.distributed import launch
from twofold.distributed.voice import Voice
from twofold.errors import TwofoldError

WORKER = Path(__file__).parent / "worker.py"
START = """
import sys
from twofold.distributed import launch
{before}
sys.exit(launch.launch(sys.argv[3:], int(sys.argv[1]), program=[sys.argv[2]]))
"""
pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are those of Unix")


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the launcher on the stand-in, which writes into tmp_path; nothing of it is left afterwards."""
    started = []

    def begin(*act: str, processes: int = 2, before: str = "") -> "subprocess.Popen[str]":
        program = START.format(before=before)
        launcher = subprocess.Popen(
            [sys.executable, "-c", program, str(processes), str(WORKER), str(tmp_path), *act],
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # a group of its own, as a terminal's foreground job has
        )
        started.append(launcher)
        return launcher

    yield begin
    for launcher in started:
        launcher.kill()  # its workers then end by themselves
        launcher.communicate()


def lines(folder: Path, rank: int) -> list[str]:
    file = folder / str(rank)
    return file.read_text().splitlines() if file.exists() else []


def wait_until_up(folder: Path, processes: int = 2) -> list[int]:
    """The process numbers of the workers."""
    deadline = time.monotonic() + 60
    while not all(lines(folder, rank) for rank in range(processes)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return [int(lines(folder, rank)[0].split()[1]) for rank in range(processes)]


def state(pid: int) -> str:
    """R, S, T (stopped), Z (ended, not waited for), or nothing where it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def wait_for(pid: int, states: str) -> None:
    deadline = time.monotonic() + 30
    while (state(pid) or "-") not in states:
        assert time.monotonic() < deadline, f"process {pid} is {state(pid)}"
        time.sleep(0.01)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2"])
def test_a_signal_to_the_launcher_reaches_each_process_once(name: str, start: Start, tmp_path: Path) -> None:
    number = getattr(signal, name)
    launcher = start("wait", "1")
    wait_until_up(tmp_path)
    launcher.send_signal(number)
    assert launcher.wait(timeout=30) == 128 + number
    for rank in range(2):
        assert lines(tmp_path, rank)[1:] == [name, "saved"]


def test_a_terminals_ctrl_c_counts_once_and_a_second_is_passed_on(start: Start, tmp_path: Path) -> None:
    launcher = start("wait", "2")
    wait_until_up(tmp_path)
    os.killpg(launcher.pid, signal.SIGINT)  # to the whole foreground group, as a terminal does
    deadline = time.monotonic() + 30
    while not all("SIGINT" in lines(tmp_path, rank) for rank in range(2)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.3)
    assert [lines(tmp_path, rank)[1:] for rank in range(2)] == [["SIGINT"]] * 2
    os.killpg(launcher.pid, signal.SIGINT)
    assert launcher.wait(timeout=30) == 128 + signal.SIGINT
    assert [lines(tmp_path, rank)[1:] for rank in range(2)] == [["SIGINT", "SIGINT", "saved"]] * 2


def test_processes_of_a_killed_launcher_save_and_stop(start: Start, tmp_path: Path) -> None:
    launcher = start("wait", "1")
    workers = wait_until_up(tmp_path)
    launcher.kill()
    launcher.wait()
    for rank, worker in enumerate(workers):
        wait_for(worker, "-Z")
        assert lines(tmp_path, rank)[1:] == ["SIGTERM", "saved"]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the state of a process is read in /proc")
def test_ctrl_z_stops_the_processes_too(start: Start, tmp_path: Path) -> None:
    launcher = start("wait", "1")
    workers = wait_until_up(tmp_path)
    launcher.send_signal(signal.SIGTSTP)
    for process in (launcher.pid, *workers):
        wait_for(process, "T")
    launcher.send_signal(signal.SIGCONT)
    for process in (launcher.pid, *workers):
        wait_for(process, "SR")
    launcher.send_signal(signal.SIGTERM)
    assert launcher.wait(timeout=30) == 128 + signal.SIGTERM


def test_one_that_saves_for_long_is_not_killed(start: Start, tmp_path: Path) -> None:
    launcher = start("save", "1.5", before="launch._GRACE_S = 0.1")
    wait_until_up(tmp_path)
    launcher.send_signal(signal.SIGTERM)
    assert launcher.wait(timeout=30) == 128 + signal.SIGTERM
    assert lines(tmp_path, 0)[-1] == "saved"


@pytest.mark.parametrize("failing", [0, 1])
def test_one_that_fails_ends_the_others_whichever_it_is(failing: int, start: Start) -> None:
    ends = ["1 twofold: z is wrong", "wait"]
    launcher = start("end", *(ends if failing == 0 else reversed(ends)), before="launch._GRACE_S = 0.1")
    _, err = launcher.communicate(timeout=30)
    assert (launcher.returncode, err) == (1, "twofold: z is wrong\n")


def test_a_warning_appears_while_the_process_runs(start: Start, tmp_path: Path) -> None:
    launcher = start("warn")
    assert launcher.stderr
    seen = {launcher.stderr.readline() for _ in range(2)}
    wait_until_up(tmp_path)
    assert launcher.poll() is None
    assert seen == {"a warning of 0\n", "[process 1] a warning of 1\n"}
    launcher.send_signal(signal.SIGTERM)
    launcher.wait(timeout=30)


SAME = "1 twofold: there is no such folder"
TRACE = "1 Traceback (most recent call last):|  File somewhere|KeyError: 'x'"
RESET = "1 Traceback (most recent call last):|RuntimeError: [gloo/transport/tcp/pair.cc] Connection closed by peer"


@pytest.mark.parametrize(
    ("ends", "code", "words"),
    [
        ([SAME, SAME, SAME], 1, SAME[2:]),
        ([TRACE, TRACE, TRACE], 1, TRACE[2:]),
        ([RESET, "1 twofold: z is wrong", RESET], 1, "twofold: z is wrong"),
        (["3 twofold: process 2 failed (KeyError: 'x'), so all stop.", RESET, TRACE], 1, TRACE[2:]),
        (["1 twofold: process 1 has ended, and process 0 waits for it.", TRACE, RESET], 1, TRACE[2:]),
        (["0 ", "2 twofold: z is wrong", "0 "], 2, "\n\ntwofold: z is wrong"),
    ],
)
def test_one_failure_is_shown_once_and_it_is_the_one_that_says_why(
    ends: list[str], code: int, words: str, start: Start
) -> None:
    launcher = start("end", *ends, processes=3)
    _, err = launcher.communicate(timeout=60)
    assert launcher.returncode == code
    assert err.replace("[process 2] ", "").strip("\n") == words.replace("|", "\n").strip("\n")


def test_no_port_is_chosen_before_it_is_used(start: Start, tmp_path: Path) -> None:
    before = "import socket\nsocket.socket.bind = None"
    launcher = start("end", "0 ", "0 ", before=before)
    _, err = launcher.communicate(timeout=60)
    assert (launcher.returncode, err.replace("[process 1] ", "").strip()) == (0, "")


def test_an_error_that_did_not_end_the_process_appears_after_a_while() -> None:
    read, write = os.pipe()
    with open(read, "rb") as listened, open(write, "wb", buffering=0) as written:  # noqa: PTH123
        voice = Voice(listened, "")
        written.write(b"Traceback (most recent call last):\n  in a thread\n")
        deadline = time.monotonic() + 30
        while not voice.holds:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        voice.release(after_s=60.0)
        assert voice.holds
        voice.release(after_s=0.0)
        assert not voice.holds


def test_less_than_one_process_is_refused() -> None:
    with pytest.raises(TwofoldError, match="processes is 0, but it must be at least 1"):
        launch.launch([], 0)
