"""Working through jobs: the total is said first, what was kept is not done again, and the order is theirs."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from networks import VIEWS, Tiny
from twofold.evaluation import fine_tuning, jobs
from twofold.evaluation.features import Subject
from twofold.evaluation.jobs import Job, plan_jobs, work_through
from twofold.evaluation.predictions import Predictions, PredictionStore
from twofold.evaluation.scope import Settings, find_scope
from twofold.evaluation.speed import Speed
from twofold.recipes.recipe import DataRecipe


def _predictions(name):
    return Predictions(
        protocol="linear",
        encoder=name,
        labels="all",
        seed=0,
        ranked=np.zeros((2, 1), np.int64),
        confidence=np.ones(2, np.float32),
    )


class Work:
    """Jobs that say when they are done; `broken` names one that is interrupted."""

    def __init__(self, seconds=(10.0, 20.0, 30.0), broken=None):
        self.done, self.broken, self.clock = [], broken, 0.0
        self.jobs = [
            Job(name=name, title=f"title {name}", seconds=seconds[place], predict=lambda name=name: self._make(name))
            for place, name in enumerate("abcdefg"[: len(seconds)])
        ]

    def _make(self, name):
        if name == self.broken:
            raise KeyboardInterrupt
        self.done.append(name)
        self.clock += 2 * next(job.seconds for job in self.jobs if job.name == name)  # twice as long as guessed
        return [_predictions(name), _predictions(name * 2)]

    def through(self, store):
        lines = []
        predictions = work_through(self.jobs, store, lines.append)
        return [one.encoder for one in predictions], lines


@pytest.fixture
def work(monkeypatch):
    def make(**options):
        made = Work(**options)
        monkeypatch.setattr(jobs.time, "monotonic", lambda: made.clock)
        return made

    return make


ALL = ["a", "aa", "b", "bb", "c", "cc"]


@pytest.mark.parametrize("kept", [True, False])
def test_the_total_is_said_first_then_each_job_with_what_is_left(work, tmp_path, kept):
    names, lines = work().through(PredictionStore(tmp_path if kept else None, {}))
    assert names == ALL
    assert lines == [
        "3 measurements: about 1 min 00 s",
        "[1 of 3] title a: 20 s, about 1 min 40 s left",  # 50 s were guessed, and all takes twice as long
        "[2 of 3] title b: 40 s, about 1 min 00 s left",
        "[3 of 3] title c: 1 min 00 s",
    ]


@pytest.mark.parametrize(
    ("networks_s", "ending"),
    [
        (7200.0, "2 h 00 min, 2 h 00 min of it for networks (leave them out with --protocol linear)"),
        (60.0, "1 min 30 s"),
    ],
)
def test_networks_that_take_long_are_told_apart_before_anything_begins(work, tmp_path, networks_s, ending):
    made = work(seconds=(30.0, networks_s))
    made.jobs[1] = dataclasses.replace(made.jobs[1], trains=True)
    _, lines = made.through(PredictionStore(tmp_path, {}))
    assert lines[0] == f"2 measurements: about {ending}"


def test_after_an_interruption_what_was_kept_is_counted_and_not_repeated(work, tmp_path):
    first = work(broken="c")
    with pytest.raises(KeyboardInterrupt):
        first.through(PredictionStore(tmp_path, {}))
    assert first.done == ["a", "b"]
    second = work()
    names, lines = second.through(PredictionStore(tmp_path, {}))
    assert second.done == ["c"]
    assert names == ALL
    assert lines == [
        "3 measurements, 2 of them made before an interruption: about 30 s",
        "[3 of 3] title c: 1 min 00 s",
    ]


def test_where_all_is_kept_nothing_is_done_and_the_same_comes_out(work, tmp_path):
    work().through(PredictionStore(tmp_path, {}))
    again = work()
    names, lines = again.through(PredictionStore(tmp_path, {}))
    assert (again.done, names) == ([], ALL)
    assert lines == ["3 measurements, 3 of them made before an interruption: about 0 s"]


def test_jobs_are_found_by_name_wherever_they_stand(work, tmp_path):
    first = work()
    first.jobs = first.jobs[1:2]
    first.through(PredictionStore(tmp_path, {}))
    second = work()
    names, lines = second.through(PredictionStore(tmp_path, {}))
    assert second.done == ["a", "c"]
    assert names == ALL
    assert [line.split("]")[0] for line in lines[1:]] == ["[1 of 3", "[3 of 3"]


def test_under_another_key_everything_is_done(work, tmp_path):
    work().through(PredictionStore(tmp_path, {}))
    again = work()
    _, lines = again.through(PredictionStore(tmp_path, {"weights": "others"}))
    assert again.done == ["a", "b", "c"]
    assert lines[0] == "3 measurements: about 1 min 00 s"


def test_a_damaged_job_is_done_again(work, tmp_path):
    work().through(PredictionStore(tmp_path, {}))
    path = sorted(tmp_path.rglob("*.npz"))[1]
    path.write_bytes(path.read_bytes()[:-30])
    again = work()
    names, _ = again.through(PredictionStore(tmp_path, {}))
    assert len(again.done) == 1
    assert names == ALL


def test_nothing_guessed_and_nothing_to_do_are_no_errors(work, tmp_path):
    names, lines = work(seconds=(0.0, 0.0)).through(PredictionStore(tmp_path, {}))
    assert names == ALL[:4]
    assert lines[0] == "2 measurements: about 0 s"
    assert work(seconds=()).through(PredictionStore(None, {})) == ([], ["0 measurements: about 0 s"])


def test_no_network_is_trained_for_the_guess(separable, machine, monkeypatch):
    def refuse(*parts, **options):
        raise AssertionError("a network was made")

    for name in ("build_network", "fit_network"):
        monkeypatch.setattr(fine_tuning, name, refuse)
    subject = Subject(encoder=Tiny(), untrained=Tiny, views=VIEWS, hardware=machine)
    speed = Speed(call_s=0.0, image_s=1.0, product_s=0.0, dim=3)  # seconds: images, a training one thrice
    monkeypatch.setattr(jobs, "measure_speed", lambda subject, scope: speed)
    asked: dict[str, Any] = {"protocols": ("finetune", "sgd"), "shots": (1, 5), "seeds": (0, 1), "few_seeds": (0,)}

    def guess(**options):
        settings = Settings(**asked, **options)
        planned = plan_jobs(subject, find_scope(separable, settings, DataRecipe()), PredictionStore(None, {}))
        return {job.name: job.seconds for job in planned if not job.name.startswith("untrained")}

    test, once, kept = 30, 400 * 15, 400 * 12
    assert guess(schedule="paper") == {
        "finetune/h/1/0": 3 * 400 * 3 + test,
        "finetune/h/1/1": 3 * 400 * 3 + test,
        "finetune/h/5/0": 3 * once + 3 * 3 * kept + test,
        "finetune/h/5/1": 3 * once + test,
        "supervised/h/1/0": 3 * 400 * 3 + test,
        "supervised/h/1/1": 3 * 400 * 3 + test,
        "supervised/h/5/0": 3 * once + 3 * 3 * kept + test,
        "supervised/h/5/1": 3 * once + test,
        "sgd/h/1/0": 400 * 3 + test,
        "sgd/h/1/1": 400 * 3 + test,
        "sgd/h/5/0": once + test,
        "sgd/h/5/1": once + test,
    }
    tuned = guess(schedule="tuned")
    assert tuned["finetune/h/1/0"] == test  # the linear probe
    trials = 9 / 4 + 2 + 4  # short ones, in full length, on the other folds
    assert tuned["finetune/h/5/0"] == pytest.approx(3 * once + trials * 3 * kept + test)
    assert tuned["finetune/h/5/1"] == 3 * once + test
    assert tuned["supervised/h/5/0"] == pytest.approx(3 * once + 7 * 3 * kept + test)
