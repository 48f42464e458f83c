"""What is asked for: numbers that mean nothing are refused, each by its name."""

import pytest

from twofold.errors import TwofoldError
from twofold.evaluation import transfer_settings
from twofold.evaluation.scope import Settings


@pytest.mark.parametrize("fraction", [0.0, -0.1, 1.01, 10.0, float("nan"), float("inf")])
def test_shares_outside_0_and_1_are_refused(fraction):
    with pytest.raises(TwofoldError, match=r"label_fraction is .*above 0 and at most 1.*--label-fraction"):
        Settings(fractions=(0.1, fraction))


@pytest.mark.parametrize(
    ("counts", "flag"), [({"seeds": ()}, "seeds"), ({"few_seeds": ()}, "few-seeds"), ({"shots": (5, 0)}, "shots")]
)
def test_counts_below_one_are_refused_by_name(counts, flag):
    with pytest.raises(TwofoldError, match=f"at least 1. Change --{flag}"):
        Settings(**counts)


def test_the_bounds_themselves_are_allowed():
    Settings(seeds=(0,), few_seeds=(0,), shots=(1,), fractions=(1.0, 1e-9))


@pytest.mark.parametrize("epochs", [0.0, -1.0, float("inf"), float("nan")])
def test_epochs_that_never_end_are_refused(epochs):
    with pytest.raises(TwofoldError, match=r"finetune_epochs is .* above 0 and finite"):
        transfer_settings(("finetune",), (0,), epochs)


def test_a_schedule_that_is_none_is_refused_with_those_that_are():
    with pytest.raises(TwofoldError, match=r"finetune-schedule 'papers'.*paper"):
        transfer_settings(("finetune",), (0,), None, "papers")
    assert transfer_settings(("finetune",), (0,), None, "paper").schedule == "paper"
