"""benchmarks/few_labels.py: its parts keep what was predicted where it is found again, and its sentences are true."""

import importlib
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from twofold.evaluation.scores import Difference

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
LINEAR, TUNED, TAUGHT = (("linear", "trained"), ("finetune", "trained"), ("self-train", "trained"))
PIXELS = ("linear", "pixels")


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("few_labels")


def plan(tool: ModuleType, **changes: Any) -> Any:
    values: dict[str, Any] = {"ways": ("linear", "finetune", "self-train"), "budgets": (1, 0.01, "all"), "draws": 5}
    values |= {"whole": 2, "steps": {1: 10, 0.01: 20, "all": 30}, "baselines": False}
    return tool.Plan(**{**values, **changes})


def row(way: tuple[str, str], mean: float, labels: Any = 10) -> dict[str, Any]:
    return {"protocol": way[0], "encoder": way[1], "labels": labels, "mean": mean}


def difference(first: tuple[str, str], second: tuple[str, str], low: float | None, high: float | None) -> Difference:
    parts = dict(zip(("protocol", "encoder", "against_protocol", "against_encoder"), (*first, *second), strict=True))
    return Difference(**parts, labels=10, mean=0.0, low=low, high=high, seeds=5, over="images", metric="top1")


def test_networks_are_a_part_for_each_way_and_budget(tool: ModuleType) -> None:
    probe, *networks = plan(tool).parts
    assert (probe.protocols, probe.shots, probe.fractions, len(probe.seeds)) == (("linear",), (1,), (0.01,), 5)
    told = [(one.protocols[0], one.shots, one.fractions, len(one.seeds), one.self_train_steps) for one in networks]
    assert told == [
        ("finetune", (1,), (), 5, 3000),
        ("finetune", (), (0.01,), 5, 3000),
        ("finetune", (), (1.0,), 2, 3000),
        ("self-train", (1,), (), 5, 10),
        ("self-train", (), (0.01,), 5, 20),
        ("self-train", (), (1.0,), 2, 30),
    ]


def test_a_part_is_the_same_whatever_else_is_asked_for(tool: ModuleType) -> None:
    alone = plan(tool, ways=("finetune",), budgets=(0.01,), steps={0.01: 7}).parts
    assert alone == [plan(tool).parts[2]]
    assert plan(tool, budgets=(0.01, 1)).parts[0] == plan(tool).parts[0]


def test_more_labels_than_classes_have_train_nothing(tool: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else networks would be trained on all labels, which nobody asked for."""
    measured = []
    monkeypatch.setattr(tool, "run_subject", lambda loaded: None)
    monkeypatch.setattr(tool, "open_store", lambda *_: None)
    monkeypatch.setattr(tool, "find_scope", lambda images, settings, data: SimpleNamespace(settings=settings, few=[]))
    monkeypatch.setattr(tool, "predict", lambda subject, scope, *_, **__: measured.append(scope.settings) or [])
    asked = plan(tool)
    tool.predictions_of(SimpleNamespace(recipe=SimpleNamespace(data=None)), None, Path("kept"), asked)
    assert measured == [part for part in asked.parts if part.protocols == ("linear",) or part.fractions]


def test_all_at_once_has_every_seed(tool: ModuleType) -> None:
    assert plan(tool, whole=9).settings.seeds == tuple(range(9))
    assert plan(tool).settings.seeds == tuple(range(5))


@pytest.mark.parametrize(
    ("text", "budget"), [("10", 10), ("0.10", 0.1), (".1", 0.1), ("1e-2", 0.01), ("all", "all"), ("1.0", "all")]
)
def test_a_budget_has_one_name(tool: ModuleType, text: str, budget: object) -> None:
    assert tool.as_budget(text) == budget


def test_steps_are_those_of_the_budget(tool: ModuleType) -> None:
    assert tool.steps_of(["70"], (10, 0.1)) == {10: 70, 0.1: 70}
    assert tool.steps_of(["0.10=500"], (10, 0.1)) == {10: 3000, 0.1: 500}


def test_the_best_is_told_by_paired_differences(tool: ModuleType) -> None:
    rows = [row(LINEAR, 0.5), row(TUNED, 0.51), row(TAUGHT, 0.6), row(PIXELS, 0.3), row(LINEAR, 0.9, "all")]
    differences = [
        difference(TAUGHT, LINEAR, 0.05, 0.15),
        difference(TUNED, TAUGHT, -0.2, 0.02),
        difference(PIXELS, TAUGHT, -0.4, -0.2),
    ]
    assert tool.best_sentence(rows, differences, 10) == (
        "With 10 labels per class self-training has the highest mean, clearly above the linear probe and "
        "the linear probe on raw pixels, not clearly above fine-tuning."
    )
    assert tool.best_sentence(rows, differences, "all") == ""


def test_equals_and_single_draws_have_no_winner(tool: ModuleType) -> None:
    rows = [row(LINEAR, 0.5), row(TUNED, 0.5), row(TAUGHT, 0.4)]
    differences = [difference(TUNED, LINEAR, -0.01, 0.01), difference(TAUGHT, LINEAR, None, None)]
    assert tool.best_sentence(rows, differences, 10) == (
        "With 10 labels per class the linear probe and fine-tuning share the highest mean, "
        "without an interval beside self-training."
    )


def test_where_it_was_not_self_trained_is_told(tool: ModuleType) -> None:
    found = [
        SimpleNamespace(protocol="self-train", labels=labels, training=training)
        for labels, training in ((10, {}), (0.01, {"rate": 0.06}), (0.1, {}))
    ]
    assert tool.self_training_sentence(found, {10: 500, 0.01: 2000, 0.1: 400}) == (
        "Steps of self-training, of 32 labelled and 128 other images: 2,000 at 1 % of the labels. With 10 labels per "
        "class (500) and at 10 % of the labels (400) steps were allowed and none taken, as trials on a part of the "
        "labels showed no gain or could not be judged: it is the probe."
    )
    assert tool.self_training_sentence([], {}) == ""
