"""Where one process fails, the others end too, at once and with words; and what a world needs before it opens."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

DRIVER = Path(__file__).parents[1] / "failing_driver.py"
FULL = "OSError: [Errno 28] No space left on device: 'run/metrics.jsonl'"
TEXTS = {  # in the process that fails, and in the others
    "expected": ("DivergedError: the loss is not finite", "DivergedError: the loss is not finite"),
    "full": (FULL, FULL),
    "bug": ("KeyError: 'x'", "TwofoldError: process {} failed (KeyError: 'x'), so all stop. See its output."),
    "interrupt": ("KeyboardInterrupt: ", "KeyboardInterrupt: "),
    "exit": ("SystemExit: 143", "SystemExit: 143"),
}
WAYS = {"first": 0, "turn": 1, "alone": 0}  # way -> the process that fails
PLACES = ("build_log", "build_look", "log", "look", "save_checkpoint", "save_encoder", "write_json", "monitor")
DIFFERENT = {
    "recipe": "seed is 1 in process 1, but 0 in process 0",
    "images": "images is '",
    "profile": "profile is 2 in process 1, but 0 in process 0",
}
CASES = [
    *(f"{way}:{which}" for way in WAYS for which in TEXTS),
    *(f"run:{place}" for place in PLACES),
    *(f"differ:{what}" for what in DIFFERENT),
    "given:cpu",
    "given:cuda",
    "gpus",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("failing")


@pytest.fixture(scope="module")
def said(folder: Path) -> dict[str, list[str]]:
    """What each process of each case said at its end."""
    (folder / "images").mkdir()
    rng = np.random.default_rng(0)
    for i in range(24):
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(folder / "images" / f"{i:02}.png")
    shutil.copytree(folder / "images", folder / "others")
    (folder / "others" / "00.png").unlink()
    run = subprocess.run([sys.executable, DRIVER, folder, *CASES], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    ends = {case: [folder / f"{case}-{rank}" for rank in range(2)] for case in CASES}
    return {case: [file.read_text() if file.exists() else "hung" for file in files] for case, files in ends.items()}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("which", TEXTS)
def test_an_error_of_one_process_is_raised_in_all(said: dict[str, list[str]], way: str, which: str) -> None:
    failing = WAYS[way]
    own, others = TEXTS[which]
    assert said[f"{way}:{which}"][failing] == own
    assert said[f"{way}:{which}"][1 - failing] == others.format(failing)


@pytest.mark.parametrize("place", PLACES)
def test_wherever_the_first_process_fails_in_a_run_all_end(said: dict[str, list[str]], place: str) -> None:
    own = FULL
    if place == "save_checkpoint":  # the run went on to its end without one
        own = "TwofoldError: the checkpoint 'run/metrics.jsonl' cannot be written (No space left on device)"
    assert [text[: len(own)] for text in said[f"run:{place}"]] == [own, own]


@pytest.mark.parametrize("what", DIFFERENT)
def test_processes_that_differ_are_refused_before_training(folder: Path, said: dict[str, list[str]], what: str) -> None:
    for text in said[f"differ:{what}"]:
        assert text.startswith("TwofoldError: ")
        assert DIFFERENT[what] in text
        assert "\n" not in text
    assert not (folder / f"differ-{what}" / "checkpoints").exists()


def test_a_group_that_the_caller_made_is_used_and_left_alone(said: dict[str, list[str]]) -> None:
    assert said["given:cpu"] == [f"TwofoldError: rank {rank} of 2, sum 3.0, kept True" for rank in range(2)]


def test_a_given_group_that_cannot_send_from_the_device_is_refused(said: dict[str, list[str]]) -> None:
    for text in said["given:cuda"]:
        assert text.startswith("TwofoldError: device is 'cuda', but the process group was made with 'cpu:gloo")


def test_more_processes_than_gpus_are_refused_before_they_meet(said: dict[str, list[str]]) -> None:
    words = (
        "TwofoldError: each of 2 processes takes a GPU of its own, but this machine has 1. Start one process or choose "
        "--device cpu."
    )
    assert said["gpus"] == [words, words]
