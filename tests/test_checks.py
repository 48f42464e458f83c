"""The types and shapes of every call of the package are checked in these tests, and what is wrong is seen."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jaxtyping
import pytest
import torch
from beartype import beartype
from jaxtyping import Float
from torch import Tensor

import checks
from twofold.losses import nt_xent
from twofold.views import center_view

check: Any = jaxtyping.jaxtyped(typechecker=beartype)


@check
def shaped(
    a: Float[Tensor, "n p"], b: Float[Tensor, "n"], more: list[Float[Tensor, "n"]] | None = None
) -> Float[Tensor, "p"]:
    return a.sum(dim=0) if more is None else torch.zeros(len(b) + 1)


@check
def plain(name: str, times: int) -> str:
    return name * times if times else None  # type: ignore[return-value]


@check
def rows(a: Float[Tensor, "n p"]) -> Iterator[Float[Tensor, "p"]]:
    yield from a


@check
@dataclass
class Pair:
    a: Float[Tensor, "n"]
    b: Float[Tensor, "n"]


@check
def squares(a: Float[Tensor, "n"], side: int = 2) -> Float[Tensor, "n {side} {side}"]:
    return a[:, None, None].expand(-1, side, 2)


def ones(*shape: int) -> Tensor:
    return torch.ones(*shape)


def test_what_fits_passes() -> None:
    assert shaped(ones(3, 2), ones(3)).shape == (2,)
    assert plain("ab", 2) == "abab"
    assert len(list(rows(ones(3, 2)))) == 3
    assert Pair(ones(2), ones(2)).a.shape == (2,)
    assert squares(ones(3)).shape == (3, 2, 2)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: shaped(ones(3, 2), ones(4)),  # n means one number in a call
        lambda: shaped(ones(3), ones(3)),
        lambda: shaped(ones(3, 2).long(), ones(3)),
        lambda: shaped(ones(3, 2), ones(3), [ones(4)]),
        lambda: shaped(ones(3, 2), ones(3), [ones(3)]),  # its result has 4 numbers and p is 2
        lambda: plain(b"ab", 2),
        lambda: plain("ab", 0),  # its result is no string
        lambda: rows(ones(3)),
        lambda: Pair(ones(2), ones(3)),
        lambda: Pair(ones(2), b="ones"),  # type: ignore[arg-type]
        lambda: squares(ones(3), 3),  # its result is 3 x 3 x 2
        lambda: squares(ones(3), side=3),
        lambda: nt_xent(ones(3), ones(3), temperature=0.1),
        lambda: nt_xent(ones(3, 2), ones(3, 2), temperature="0.1"),  # type: ignore[arg-type]
        lambda: center_view(ones(2, 3, 4, 4), torch.ones(2, 2, dtype=torch.int64), size_px=4, crop_fraction=1.0),
    ],
)
def test_what_does_not_fit_is_seen(wrong: Any) -> None:
    with pytest.raises(jaxtyping.TypeCheckError):
        wrong()


def test_names_of_one_call_are_not_those_of_the_next() -> None:
    for n in (2, 3):
        assert shaped(ones(n, 2), ones(n)).shape == (2,)


def test_of_many_calls_in_one_test_the_first_and_then_some_are_checked() -> None:
    def is_seen() -> bool:
        try:
            plain(b"ab", 2)
        except jaxtyping.TypeCheckError:
            return True
        return False

    checks.begin_test()
    seen = [is_seen() for _ in range(checks.ALL + 3 * checks.THEN)]
    assert all(seen[: checks.ALL])
    assert sum(seen[checks.ALL :]) == 3
    checks.begin_test()
    assert is_seen()
