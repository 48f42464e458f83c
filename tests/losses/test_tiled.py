"""The tiled loss is the definition, whatever the tile, without ever holding the matrix."""

import random
import sys
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from oracles import nt_xent_anchors, nt_xent_loop
from pretend_cuda import CUDA, pretended_cuda
from twofold.errors import TwofoldError
from twofold.losses import nt_xent, nt_xent_dense, nt_xent_tiled, nt_xent_version, tiled

CHOICE = sys.modules["twofold.losses.nt_xent"]  # by attribute it is the function of this name
SHORT = [(n, p, t) for n, p in ((1, 3), (2, 1), (3, 5), (7, 4), (20, 8)) for t in (0.05, 0.2, 1.0, 10.0)]
ZERO = 1e-8  # below it a number is zero: one image, or rows of one number, have no gradient
LONG = [(64, 33), (333, 128), (1000, 16)]
LONG_FOR_A_LOOP = [*LONG[:2], (520, 16)]


def pair(n: int, p: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    a, b = (torch.randn(n, p, generator=generator, dtype=dtype) for _ in range(2))
    return a.requires_grad_(), (a.detach() + 0.5 * b).requires_grad_()


def outcome(loss: Any, z: tuple[Tensor, Tensor], **options: Any) -> tuple[Tensor, ...]:
    """Value and both gradients, for an outer gradient that is not one."""
    value = loss(*z, **options)
    return (value.detach(), *torch.autograd.grad(3 * value, z))


def require_same(found: tuple[Tensor, ...], expected: tuple[Tensor, ...], relative: float) -> None:
    for one, other in zip(found, expected, strict=True):
        largest = float(other.double().abs().max())
        assert float((one.double() - other.double()).abs().max()) <= relative * max(largest, ZERO)


def exact(z: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """The same numbers in float64."""
    return z[0].detach().double().requires_grad_(), z[1].detach().double().requires_grad_()


@cache  # the same for every tile, and slow
def of_the_loop(
    n: int, p: int, temperature: float, normalize: bool = True, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, ...]:
    """Algorithm 1 in float64 on `pair(n, p, dtype)`."""
    return outcome(nt_xent_loop, exact(pair(n, p, dtype)), temperature=temperature, normalize=normalize)


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("tile", [1, 3, 7, 64, 768, 4096])  # the last ones larger than 2n
@pytest.mark.parametrize(("n", "p", "temperature"), SHORT)
def test_is_the_loop_over_algorithm_1(n: int, p: int, temperature: float, tile: int, normalize: bool) -> None:
    found = outcome(nt_xent_tiled, pair(n, p), tile=tile, temperature=temperature, normalize=normalize)
    require_same(found, of_the_loop(n, p, temperature, normalize), 1e-6)


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize(("n", "p", "temperature"), SHORT)
def test_the_dense_version_is_the_loop_over_algorithm_1(n: int, p: int, temperature: float, normalize: bool) -> None:
    found = outcome(nt_xent_dense, pair(n, p), temperature=temperature, normalize=normalize)
    require_same(found, of_the_loop(n, p, temperature, normalize), 1e-6)


@pytest.mark.parametrize(
    ("loss", "options"), [(nt_xent_dense, {}), (nt_xent_tiled, {"tile": 1}), (nt_xent_tiled, {"tile": 7})]
)
@pytest.mark.parametrize(("n", "p", "temperature"), [case for case in SHORT if case[0] > 2])
def test_float32_is_the_loop_in_float64(n: int, p: int, temperature: float, loss: Any, options: dict[str, int]) -> None:
    found = outcome(loss, pair(n, p, torch.float32), temperature=temperature, **options)
    require_same(found, of_the_loop(n, p, temperature, dtype=torch.float32), 1e-5)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("temperature", [0.05, 0.2, 1.0, 10.0])
@pytest.mark.parametrize(("n", "p"), LONG_FOR_A_LOOP)
def test_both_versions_are_a_loop_over_the_anchors(n: int, p: int, temperature: float, dtype: torch.dtype) -> None:
    z = pair(n, p, dtype)
    expected = outcome(nt_xent_anchors, exact(z), temperature=temperature)
    versions = [(nt_xent_tiled, {"tile": tile}) for tile in (33, 257, 768, 4096)]
    for loss, options in ((nt_xent_dense, {}), *versions):
        found = outcome(loss, z, temperature=temperature, **options)
        require_same(found, expected, 1e-6 if dtype == torch.float64 else 1e-5)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("temperature", [0.01, 0.05, 0.5, 10.0])
@pytest.mark.parametrize(("n", "p"), LONG)
def test_is_the_dense_version_in_float64(n: int, p: int, temperature: float, dtype: torch.dtype) -> None:
    z = pair(n, p, dtype)
    expected = outcome(nt_xent_dense, exact(z), temperature=temperature)
    found = outcome(nt_xent_tiled, z, temperature=temperature, tile=257)
    require_same(found, expected, 1e-6 if dtype == torch.float64 else 1e-5)
    assert found[1].dtype == dtype


@pytest.mark.parametrize(("version", "options"), [(nt_xent_dense, {}), (nt_xent_tiled, {"tile": 3})])
@pytest.mark.parametrize("anchors", [None, (1, 4)])
@pytest.mark.parametrize(("temperature", "normalize"), [(0.3, True), (0.3, False), (0.02, True)])
def test_gradient_is_that_of_finite_differences(
    version: Any, options: dict[str, int], anchors: tuple[int, int] | None, temperature: float, normalize: bool
) -> None:
    def loss(z_a: Tensor, z_b: Tensor) -> Tensor:
        return version(z_a, z_b, temperature=temperature, normalize=normalize, anchors=anchors, **options)

    assert torch.autograd.gradcheck(loss, pair(5, 4))


@pytest.mark.parametrize("loss", [nt_xent_dense, nt_xent_tiled])
@pytest.mark.parametrize("normalize", [True, False])
def test_the_parts_of_several_anchors_add_up(loss: Any, normalize: bool) -> None:
    z, options = pair(23, 5), {"temperature": 0.2, "normalize": normalize}
    if loss is nt_xent_tiled:
        options["tile"] = 4
    whole = outcome(loss, z, **options)
    parts = [outcome(loss, z, anchors=anchors, **options) for anchors in ((0, 6), (6, 7), (7, 23))]
    require_same(tuple(sum(p[i] for p in parts) for i in range(3)), whole, 1e-12)  # type: ignore[arg-type, misc]
    assert not torch.isclose(parts[0][0], whole[0])


@pytest.mark.parametrize(("version", "options"), [(nt_xent_dense, {}), (nt_xent_tiled, {"tile": 33})])
@pytest.mark.parametrize("temperature", [0.05, 0.5])
def test_short_numbers(temperature: float, version: Any, options: dict[str, int]) -> None:
    exact = pair(100, 32, torch.float32)
    short = tuple(z.detach().bfloat16().requires_grad_() for z in exact)
    found = outcome(version, short, temperature=temperature, **options)  # type: ignore[arg-type]
    assert all(part.isfinite().all() for part in found)
    assert (found[0].dtype, found[1].dtype) == (torch.float32, torch.bfloat16)
    wide = tuple(z.detach().double().requires_grad_() for z in short)
    require_same(found, outcome(nt_xent_dense, wide, temperature=temperature), 1e-2)  # type: ignore[arg-type]


def test_large_products_without_normalisation_stay_finite() -> None:
    z = tuple((1000 * part.detach()).requires_grad_() for part in pair(30, 8, torch.float32))
    found = outcome(nt_xent_tiled, z, temperature=0.05, normalize=False, tile=7)  # type: ignore[arg-type]
    assert all(part.isfinite().all() for part in found)


def test_rows_too_short_to_normalise_are_treated_as_in_the_dense_version() -> None:
    z_a, z_b = pair(6, 4)
    with torch.no_grad():
        z_a[2] = 0.0
        z_b[3] *= 1e-9
    z = (z_a, z_b)
    require_same(outcome(nt_xent_tiled, z, temperature=0.3, tile=4), outcome(nt_xent_dense, z, temperature=0.3), 1e-9)


def _upper_half_alone(gradient: Tensor, y: Tensor, rows: Any, columns: Any, weights: Tensor) -> None:
    tiled._hide(weights, rows, columns, len(y) // 2, 0.0)
    gradient[slice(*rows)].addmm_(weights, y[slice(*columns)])


def _nothing_hidden(*_arguments: Any) -> None:
    pass


@pytest.mark.parametrize(("name", "wrong"), [("_spread", _upper_half_alone), ("_hide", _nothing_hidden)])
def test_the_comparison_sees_faults(monkeypatch: pytest.MonkeyPatch, name: str, wrong: Any) -> None:
    monkeypatch.setattr(tiled, name, wrong)
    z = pair(20, 8)
    with pytest.raises(AssertionError):
        require_same(
            outcome(nt_xent_tiled, z, temperature=0.2, tile=7), outcome(nt_xent_loop, z, temperature=0.2), 1e-6
        )


def test_every_pair_of_rows_is_in_one_tile() -> None:
    rng = random.Random(0)
    for _ in range(30):
        n, tile = rng.randint(1, 30), rng.randint(1, 20)
        start = rng.randint(0, n - 1)
        stop = rng.randint(start + 1, n)
        anchors = {*range(start, stop), *range(n + start, n + stop)}
        wanted = {(i, k) for i in range(2 * n) for k in range(i, 2 * n) if i in anchors or k in anchors}
        seen: list[tuple[int, int]] = []
        for rows, columns in tiled._tiles(n, (start, stop), tile):
            assert rows[1] - rows[0] <= tile
            seen += [(i, k) for i in range(*rows) for k in range(*columns) if rows != columns or i <= k]
        assert len(seen) == len(set(seen))
        assert wanted <= set(seen)


def test_size_decides_which_version_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(CHOICE, "nt_xent_tiled", lambda *z, **_: calls.append("tiled") or z[0].sum())
    monkeypatch.setattr(CHOICE, "nt_xent_dense", lambda *z, **_: calls.append("dense") or z[0].sum())
    for n in (256, 300, 400, 4096):
        nt_xent(torch.zeros(n, 2), torch.zeros(n, 2), temperature=0.5)
        assert calls[-1] == nt_xent_version(n, n)
    assert calls == ["dense", "dense", "tiled", "tiled"]


def test_size_and_device_decide_which_version_and_tile_run(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def watched(_z_a: Any, _z_b: Any, *_rest: Any) -> Tensor:
        seen.append(_rest[-1])
        return torch.zeros(())

    monkeypatch.setattr(tiled._Tiled, "apply", watched)
    monkeypatch.setattr(CHOICE, "nt_xent_dense", lambda *_z, **_: watched(*_z, "dense"))
    with pretended_cuda():
        for device, sizes in ((torch.device("cpu"), (362, 363, 8192)), (CUDA, (363, 2048, 2049, 65536))):
            for n in sizes:
                nt_xent(torch.zeros(n, 2, device=device), torch.zeros(n, 2, device=device), temperature=0.5)
                assert (seen[-1] == "dense") is (nt_xent_version(n, n, device) == "dense")
    assert seen == ["dense", 768, 768, "dense", "dense", 4096, 4096]
    assert nt_xent_version(4096, 4096 // 8, CUDA) == "dense", "an eighth of the anchors"


class Largest(TorchDispatchMode):
    """The numbers of the largest tensor that is made."""

    numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for one in tree_leaves(found):
            if isinstance(one, Tensor):
                self.numbers = max(self.numbers, one.untyped_storage().nbytes() // one.element_size())
        return found


@pytest.mark.parametrize("tile", [None, 100])
def test_no_tensor_on_the_cpu_is_larger_than_a_tile(tile: int | None) -> None:
    n, p = 2000, 16
    z = pair(n, p, torch.float32)
    with Largest() as seen:
        value = nt_xent_tiled(*z, temperature=0.5, tile=tile)
        torch.autograd.grad(value, z)
    assert seen.numbers == max((tile or 768) ** 2, 2 * n * p)
    with Largest() as seen:
        nt_xent(*z, temperature=0.5)
    assert seen.numbers == 768**2, "as the public function, too"
    with Largest() as seen:
        nt_xent_dense(*z, temperature=0.5)
    assert seen.numbers == (2 * n) ** 2, "the whole matrix would be seen"


@pytest.mark.parametrize("anchors", [(0, 0), (3, 2), (-1, 2), (0, 6)])
def test_anchors_outside_the_batch_are_refused(anchors: tuple[int, int]) -> None:
    with pytest.raises(TwofoldError, match="anchors are"):
        nt_xent(*pair(5, 3), temperature=0.5, anchors=anchors)
