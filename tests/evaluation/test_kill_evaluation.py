"""Kill -9 in the middle of an evaluation and of a transfer: the same call goes on and ends in the same figures."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pictures import write_pictures
from small_recipe import SMALL
from twofold.training.loop import pretrain

DRIVER = Path(__file__).parents[1] / "kill_evaluation_driver.py"
WRITES = ["write:.npz:3", "write:.json:1"]  # of a measurement, and of the choice of a learning rate


@dataclass(frozen=True)
class Pair:
    """A run that was measured in one go, one that was killed by every plan, and what each call on it printed."""

    calm: Path
    killed: Path
    calm_call: list[str]
    calls: list[list[str]]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pair]:
    """Both programs, calm and killed, in one process that imports everything once."""
    home = tmp_path_factory.mktemp("killed")
    data = write_pictures(home / "data", per_class=10, splits=("train", "test"))
    more = write_pictures(home / "more", per_class=10, splits=("train", "validation"))  # without a test split
    pretrain(data, out=home / "run", recipe=SMALL, cache=home / "cache")
    evaluate: dict[str, Any] = {
        "data": str(data),
        "protocol": ["knn", "linear", "finetune", "supervised"],
        "label_fraction": [1.0],
        "shots": [1],
        "seeds": 2,
        "few_seeds": 2,
        "finetune_schedule": "paper",  # a rate is chosen there too, by fewer trainings
        "finetune_epochs": 0.1,
    }
    transfer: dict[str, Any] = {"to": [str(data), str(more)], "seeds": 1, "finetune_epochs": 0.1}
    transfer["finetune_schedule"] = "paper"
    transfer["beside"] = [str(home / "run")]
    ends = {"evaluate": ["write:evaluation.json:1", "write:report.html:1"], "transfer": ["write:transfer.json:1"]}
    plans = {
        "evaluate": ["lines:1", "lines:6", *WRITES, "lines:5", *ends["evaluate"]],
        "transfer": ["lines:2", WRITES[0], "lines:6", *ends["transfer"]],
    }
    jobs = []
    for program, options in (("evaluate", evaluate), ("transfer", transfer)):
        for name in ("calm", "killed"):
            run = shutil.copytree(home / "run", home / program / name)
            given = {"run": str(run), "cache": str(home / "cache"), **options}
            jobs.append([program, given, plans[program] if name == "killed" else []])
    command = [sys.executable, str(DRIVER), json.dumps(jobs)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=1200)
    assert result.returncode == 0, result.stderr
    calls = [part.splitlines() for part in re.split(r"^--- .*\n", result.stdout, flags=re.MULTILINE)[1:]]
    count = len(plans["evaluate"]) + 2
    places = {"evaluate": calls[:count], "transfer": calls[count:]}
    return {p: Pair(home / p / "calm", home / p / "killed", own[0], own[1:]) for p, own in places.items()}


def made(call: list[str]) -> list[str]:
    """The measurements that a call made, by their titles."""
    return [re.sub(r": \d+ s.*", "", line) for line in call if re.match(r"\[\d+ of \d+\] ", line)]


def announced(call: list[str]) -> list[tuple[int, int]]:
    """(all, those made before) of each set of measurements that a call worked through."""
    found = [re.match(r"(\d+) measurements(?:, (\d+) of them made before an interruption)?: about", x) for x in call]
    return [(int(match[1]), int(match[2] or 0)) for match in found if match]


def without_time(path: Path) -> dict[str, Any]:
    details: dict[str, Any] = json.loads(path.read_text())
    for part in (details, *details.get("targets", ())):
        del part["seconds"]
    return details


def test_an_evaluation_killed_in_its_middle_ends_in_the_same_figures(pairs: dict[str, Pair]) -> None:
    pair = pairs["evaluate"]
    for name in ("evaluation.json", "evaluation_pictures.npz"):
        assert (pair.calm / name).read_bytes() == (pair.killed / name).read_bytes(), name
    details = [without_time(folder / "evaluation_details.json") for folder in (pair.calm, pair.killed)]
    assert details[0] == details[1]
    assert not (pair.killed / "evaluation.partial").exists()
    assert (pair.killed / "report.html").is_file()


def test_a_finished_measurement_of_an_evaluation_is_read_not_made_again(pairs: dict[str, Pair]) -> None:
    pair = pairs["evaluate"]
    [(units, before)] = announced(pair.calm_call)
    assert (before, len(made(pair.calm_call))) == (0, units)
    every = [title for call in pair.calls for title in made(call)]
    assert len(every) == len(set(every))
    kept = 0
    for call in pair.calls:
        [(_, before)] = announced(call)
        assert before - kept in (0, 1), "one may have been kept before its line was printed"
        kept = before + len(made(call))
    assert kept == units
    assert made(pair.calls[-1]) == made(pair.calls[-2]) == [], "killed while results were written: all of it was read"


def test_a_transfer_killed_in_each_data_set_ends_in_the_same_figures(pairs: dict[str, Pair]) -> None:
    pair = pairs["transfer"]
    assert (pair.calm / "transfer.json").read_bytes() == (pair.killed / "transfer.json").read_bytes()
    details = [without_time(folder / "transfer_details.json") for folder in (pair.calm, pair.killed)]
    assert details[0] == details[1]
    assert not (pair.killed / "transfer.partial").exists()


def test_a_finished_measurement_of_a_transfer_is_read_not_made_again(pairs: dict[str, Pair]) -> None:
    pair = pairs["transfer"]
    counts = [units for units, _ in announced(pair.calm_call)]
    assert len(counts) == 4, "two data sets, in each the run and the other encoder"
    assert len(made(pair.calm_call)) == sum(counts)
    lines = sum(len(made(call)) for call in pair.calls)
    assert sum(counts) - len(pair.calls) < lines <= sum(counts)
    assert len(made(pair.calls[0])) < counts[0]
    assert len(announced(pair.calls[2])) > 2, "this one was killed in the second data set"
    assert [before for _, before in announced(pair.calls[-1])] == counts
    assert made(pair.calls[-1]) == []
