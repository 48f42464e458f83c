"""Means over the steps of a window, also of one that an older version began."""

import pytest
import torch

from twofold.training.averages import Window


def scalars(**values: float) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(value) for name, value in values.items()}


def test_means_over_the_steps_and_a_fresh_start() -> None:
    window = Window()
    window.add(scalars(loss=1.0))
    window.add(scalars(loss=3.0))
    assert window.close(0.0, 8)["loss"] == 2.0
    window.add(scalars(loss=5.0))
    assert window.close(0.0, 8)["loss"] == 5.0


def test_means_are_those_of_each_number_to_the_bit() -> None:
    window = Window()
    window.add({"loss": torch.tensor(1 / 3), "contrast_entropy": torch.tensor(1 / 7, dtype=torch.float64)})
    row = window.close(0.0, 8)
    assert (row["loss"], row["contrast_entropy"]) == (float(torch.tensor(1 / 3)), 1 / 7)


def test_a_name_that_came_later_waits_for_the_next_window() -> None:
    window = Window()
    window.load_state_dict({"sums": scalars(loss=1.0), "steps": 1, "elapsed_s": 0.5})
    window.add(scalars(loss=3.0, contrast_entropy=4.0))
    row = window.close(0.0, 8)
    assert row["loss"] == 2.0
    assert "contrast_entropy" not in row
    window.add(scalars(loss=3.0, contrast_entropy=4.0))
    assert window.close(0.0, 8)["contrast_entropy"] == pytest.approx(4.0)
