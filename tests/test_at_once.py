"""Two evaluations of one run: at once, and one after another that was interrupted. Nothing of either is lost."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pictures import write_pictures
from small_recipe import SMALL
from twofold.errors import TwofoldError
from twofold.files import claim
from twofold.programs import evaluate as program
from twofold.programs import transfer as transfer_program
from twofold.programs.evaluate import evaluate
from twofold.programs.transfer import transfer
from twofold.runs.run_directory import Run
from twofold.training.loop import pretrain

FEW: dict[str, Any] = {"protocol": ["knn"], "shots": [1], "seeds": 1, "few_seeds": 1}
MORE: dict[str, Any] = {**FEW, "shots": [1, 2]}
PROBE: dict[str, Any] = {"protocol": ["linear"], "seeds": 1}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("at-once")
    write_pictures(home / "data", per_class=8, splits=("train", "test"))
    write_pictures(home / "more", per_class=8, splits=("train", "test"), side=20)
    pretrain(home / "data", out=home / "run", recipe=SMALL, cache=home / "cache")
    return home


def measurements(said: str) -> list[tuple[int, int]]:
    """(all, made before) of each set of measurements."""
    found = re.findall(
        r"^(\d+) measurements(?:, (\d+) of them made before an interruption)?: about", said, re.MULTILINE
    )
    return [(int(count), int(before or 0)) for count, before in found]


class StoppedError(Exception):
    """As Ctrl-C would."""


def interrupt(*_: Any) -> None:
    raise StoppedError


def test_another_evaluation_leaves_an_interrupted_one_alone(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"data": home / "data", "cache": home / "cache"}
    with monkeypatch.context() as patch:
        patch.setattr(program, "build_report", interrupt)
        with pytest.raises(StoppedError):
            evaluate(home / "run", **given, **FEW)
    capsys.readouterr()
    evaluate(home / "run", **given, **MORE)
    assert [before for _, before in measurements(capsys.readouterr().out)] == [0]
    evaluate(home / "run", **given, **FEW)
    [(count, before)] = measurements(capsys.readouterr().out)
    assert count == before > 0
    assert not Run(home / "run").evaluation_partial.exists()


def test_another_transfer_leaves_an_interrupted_one_alone(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where the data sets are given in another order, or some of them."""
    data, more = home / "data", home / "more"
    with monkeypatch.context() as patch:
        patch.setattr(transfer_program, "build_report", interrupt)
        with pytest.raises(StoppedError):
            transfer(home / "run", to=[data, more], cache=home / "cache", **PROBE)
    capsys.readouterr()
    transfer(home / "run", to=[more], cache=home / "cache", **PROBE)
    transfer(home / "run", to=[more, data], cache=home / "cache", **PROBE)
    again, fresh, kept = measurements(capsys.readouterr().out)
    assert again[0] == again[1] > 0
    assert fresh[1] == 0
    assert kept[0] == kept[1] > 0
    assert not Run(home / "run").transfer_partial.exists()


def test_of_two_at_once_the_second_is_told_so(home: Path) -> None:
    run = Run(home / "run")
    with claim(run.evaluation_lock), pytest.raises(TwofoldError, match=r"run' is being evaluated by another process"):
        evaluate(home / "run", data=home / "data", cache=home / "cache", **FEW)
    with claim(run.transfer_lock), pytest.raises(TwofoldError, match=r"run' is being transferred by another process"):
        transfer(home / "run", to=[home / "data"], cache=home / "cache", **PROBE)


CALL = """
import json, sys
from twofold.cli.main import main
sys.argv = ["twofold", *json.loads(sys.argv[1])]
main()
"""


def test_two_processes_at_once_end_in_whole_results_or_one_clear_error(home: Path) -> None:
    words = ["evaluate", str(home / "run"), "--data", str(home / "data"), "--cache", str(home / "cache")]
    words += ["--protocol", "knn", "linear", "--shots", "1", "--few-seeds", "2"]
    calls = [[*words, "--seeds", seeds] for seeds in ("2", "3")]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CALL, json.dumps(call)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for call in calls
    ]
    ends = [(process.communicate()[1], process.returncode) for process in processes]
    assert 0 in {code for _, code in ends}, ends
    for said, code in ends:
        assert code == 0 or "is being evaluated by another process" in said, said
        assert "Traceback" not in said
    assert json.loads((home / "run" / "evaluation.json").read_text())
    assert not Run(home / "run").evaluation_partial.exists()
