"""Learning rates against lists written out by hand."""

import math

import pytest

from twofold.errors import TwofoldError
from twofold.optim import lr_at, peak_lr
from twofold.recipes.recipe import OptimRecipe


def _rates(steps: int, warmup_steps: int, peak: float) -> list[float]:
    return [lr_at(step, steps=steps, warmup_steps=warmup_steps, peak=peak) for step in range(steps)]


def test_warm_up_then_cosine_written_out() -> None:
    expected = [0.25, 0.5, 0.75, 1.0, 1.0, (2 + math.sqrt(2)) / 4, 0.5, (2 - math.sqrt(2)) / 4]
    assert _rates(8, 4, 1.0) == pytest.approx(expected)


def test_no_warm_up_starts_at_the_peak() -> None:
    assert _rates(4, 0, 4.8) == pytest.approx([4.8, 2.4 + 1.2 * math.sqrt(2), 2.4, 2.4 - 1.2 * math.sqrt(2)])


def test_all_warm_up_ends_at_the_peak() -> None:
    assert _rates(4, 4, 2.0) == [0.5, 1.0, 1.5, 2.0]


def test_every_step_moves_and_the_end_is_zero() -> None:
    rates = _rates(1000, 100, 0.3)
    assert min(rates) > 0
    assert max(rates) == 0.3
    assert rates[:100] == sorted(rates[:100])
    assert rates[100:] == sorted(rates[100:], reverse=True)
    assert rates[-1] < 1e-5
    assert lr_at(1000, steps=1000, warmup_steps=100, peak=0.3) == 0
    assert lr_at(5000, steps=1000, warmup_steps=100, peak=0.3) == 0


def test_warm_up_is_the_reference_s_one_step_ahead() -> None:
    reference = [4.8 * step / 10 for step in range(10)]
    assert _rates(100, 10, 4.8)[:9] == pytest.approx(reference[1:])


@pytest.mark.parametrize(("step", "steps", "warmup"), [(-1, 10, 0), (0, 10, 11), (0, 10, -1)])
def test_refuses_what_cannot_be(step: int, steps: int, warmup: int) -> None:
    with pytest.raises(TwofoldError, match="warm-up no longer than the run"):
        lr_at(step, steps=steps, warmup_steps=warmup, peak=1.0)


@pytest.mark.parametrize(
    ("scaling", "base", "batch", "expected"),
    [("linear", 0.3, 4096, 4.8), ("linear", 1.0, 512, 2.0), ("sqrt", 0.075, 4096, 4.8), ("none", 1e-3, 4096, 1e-3)],
)
def test_peak_follows_the_batch_as_in_the_paper(scaling: str, base: float, batch: int, expected: float) -> None:
    assert peak_lr(OptimRecipe(base_lr=base, lr_scaling=scaling), batch) == pytest.approx(expected)
