"""What a process takes from its environment."""

import pytest

from twofold.distributed import open_world
from twofold.distributed.process import RENDEZVOUS, is_first_process, must_start, require_meeting
from twofold.errors import TwofoldError

NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", RENDEZVOUS)


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("environment", "first"),
    [
        ({}, True),
        ({"RANK": "0", "WORLD_SIZE": "2"}, True),
        ({"RANK": "1", "WORLD_SIZE": "2"}, False),
        ({"RANK": "3"}, True),  # left over from something else
        ({"RANK": "3", "WORLD_SIZE": "1"}, True),
    ],
)
def test_the_first_process_speaks(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], first: bool) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert is_first_process() is first


@pytest.mark.parametrize(
    ("environment", "processes", "start"),
    [
        ({}, 1, False),
        ({}, 8, True),
        ({"RANK": "0"}, 8, True),
        ({"RANK": "0", "WORLD_SIZE": "1"}, 8, True),
        ({"RANK": "1", "WORLD_SIZE": "8"}, 8, False),
        ({"RANK": "1", "WORLD_SIZE": "16", "LOCAL_WORLD_SIZE": "8"}, 8, False),
        ({"RANK": "1", "WORLD_SIZE": "8"}, 1, False),
        ({"RANK": "0", "WORLD_SIZE": "8", RENDEZVOUS: "file:///x"}, 8, False),
    ],
)
def test_processes_are_started_where_nobody_has(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], processes: int, start: bool
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert must_start(processes) is start


def test_that_they_are_there_already_is_said_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in range(2):
        monkeypatch.setenv("RANK", str(rank))
        must_start(2)
    assert capsys.readouterr().out == "--processes 2: another launcher has started them already.\n"


@pytest.mark.parametrize("processes", [2, 8, 0])
def test_another_number_than_the_launchers_is_refused(monkeypatch: pytest.MonkeyPatch, processes: int) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    said = rf"processes is {processes}, but another launcher has started 4 .*Leave --processes out"
    with pytest.raises(TwofoldError, match=said):
        must_start(processes)


def test_an_environment_without_sense_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "two")
    with pytest.raises(TwofoldError, match="WORLD_SIZE=two, but it must be a whole number"):
        is_first_process()


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"RANK": "0"}, "but not MASTER_ADDR, MASTER_PORT"),
        ({"MASTER_ADDR": "localhost", "MASTER_PORT": "29500"}, "but not RANK"),
        ({RENDEZVOUS: "file:///x"}, "but not RANK"),
        ({"RANK": "2", RENDEZVOUS: "file:///x"}, "RANK=2 and WORLD_SIZE=2, but ranks go from 0 to 1"),
        ({"RANK": "0", "MASTER_ADDR": "localhost", "MASTER_PORT": "none"}, "MASTER_PORT=none, but it must be a whole"),
    ],
)
def test_a_group_that_cannot_meet_is_refused_at_once(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], words: str
) -> None:
    for name, value in {"WORLD_SIZE": "2", **environment}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(TwofoldError, match=words), open_world("cpu"):
        pass


@pytest.mark.parametrize(
    "environment", [{"MASTER_ADDR": "localhost", "MASTER_PORT": "29500"}, {RENDEZVOUS: "file:///x"}]
)
def test_a_whole_environment_is_taken(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    for name, value in {"WORLD_SIZE": "2", "RANK": "1", **environment}.items():
        monkeypatch.setenv(name, value)
    require_meeting()
