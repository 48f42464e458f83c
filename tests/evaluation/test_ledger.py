"""What was measured before an interruption is read again, unless something that it depends on has changed."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from twofold.evaluation import evaluate_encoder
from twofold.evaluation.attempt import Attempt
from twofold.evaluation.ledger import Ledger
from twofold.recipe import DataRecipe


def attempt(labels, seed=3):
    return Attempt(
        protocol="linear",
        encoder="trained",
        labels=labels,
        seed=seed,
        ranked=np.array([[1, 0], [0, 1]]),
        confidence=np.array([0.5, 0.75], np.float32),
        l2=0.25,
    )


def never():
    pytest.fail("made again")


@pytest.mark.parametrize("labels", ["all", 5, 0.01])
def test_kept_attempts_are_the_same_to_the_type(tmp_path, labels):
    Ledger(tmp_path, {"a": 1}).attempts("unit", lambda: [attempt(labels), attempt(labels, 4)])
    ledger = Ledger(tmp_path, {"a": 1})
    assert ledger.has("unit")
    found = ledger.attempts("unit", never)
    for kept, made in zip(found, [attempt(labels), attempt(labels, 4)], strict=True):
        for field in dataclasses.fields(Attempt):
            mine, theirs = getattr(kept, field.name), getattr(made, field.name)
            assert type(mine) is type(theirs)
            np.testing.assert_array_equal(mine, theirs)


def test_another_key_forgets_what_was_kept(tmp_path):
    Ledger(tmp_path, {"a": 1}).value("rate", lambda: 0.1)
    assert Ledger(tmp_path, {"a": 1}).value("rate", never) == 0.1
    assert Ledger(tmp_path, {"a": 2}).value("rate", lambda: 0.2) == 0.2
    assert Ledger(tmp_path, {"a": 1}).value("rate", lambda: 0.3) == 0.3


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04", lambda content: content[: len(content) // 2]])
def test_a_damaged_file_is_made_again(tmp_path, damage):
    Ledger(tmp_path, {}).attempts("unit", lambda: [attempt(5)])
    [path] = tmp_path.rglob("*.npz")
    path.write_bytes(damage(path.read_bytes()) if callable(damage) else damage)
    assert Ledger(tmp_path, {}).attempts("unit", lambda: [attempt(6)])[0].labels == 6
    assert Ledger(tmp_path, {}).attempts("unit", never)[0].labels == 6


@pytest.fixture
def measure(flat, blind, views, machine, tmp_path):
    """Evaluate by k-NN, keeping what was measured; the rows, and how many units were made."""

    def run(images, keep: Path | None = tmp_path / "kept", **settings):
        options = {"protocols": ("knn",), "seeds": 1, "few_seeds": 1, "shots": (1,), "data": DataRecipe(), **settings}
        said = []
        evaluation = evaluate_encoder(
            flat, untrained=blind, images=images, views=views, hardware=machine, keep=keep, say=said.append, **options
        )
        return [row.to_dict() for row in evaluation.rows], sum(line.startswith("[") for line in said)

    return run


def test_nothing_is_made_twice(separable, measure):
    rows, made = measure(separable)
    assert made == 3
    assert measure(separable) == (rows, 0)


def test_a_changed_label_is_measured_anew(separable, measure):
    """The pictures are the same ones, and so is their fingerprint."""
    measure(separable)
    labels = list(separable.labels)
    swap = separable.rows("train")
    for row, other in zip(swap, np.roll(swap, 1), strict=True):
        labels[row] = separable.labels[other]
    changed = dataclasses.replace(separable, labels=labels)
    rows, made = measure(changed)
    assert made == 3
    assert rows == measure(changed, keep=None)[0]


def test_another_count_of_seeds_and_other_weights_are_measured_anew(separable, measure, flat):
    measure(separable)
    assert measure(separable, few_seeds=2)[1] == 3
    assert measure(separable, few_seeds=2)[1] == 0
    flat.norm.running_mean += 0.5
    assert measure(separable, few_seeds=2)[1] == 3
