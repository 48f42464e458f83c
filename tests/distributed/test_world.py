"""Many processes are one: the same loss, gradients, statistics and weights; the tests see what goes wrong without."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from twofold.distributed import World
from twofold.errors import TwofoldError

DRIVER = Path(__file__).parents[1] / "world_driver.py"
FAULTS = ("local_negatives", "wrong_positive", "dropped_gradient", "local_norm")
CHUNKS = (0, 12, 9, 16)  # of 9 and of 16 the last of the 24 images is smaller
OTHER_LOSSES = ("nt-logistic", "triplet", "dcl")
CASES = [
    (2, "memory", 0),
    (2, "memory", 12),
    (2, "memory", 16),
    (2, "sockets", 12),
    (3, "memory", 0),
    (3, "memory", 9),
    (3, "sockets", 0),
    (4, "memory", 16),
]
JOBS = [
    *(f"1:{chunk}:none:memory" for chunk in CHUNKS),
    *(f"{k}:{chunk}:none:{way}" for k, way, chunk in CASES),
    *(f"2:0:{fault}:{way}" for fault in FAULTS for way in ("memory", "sockets")),
    *(f"{k}:0:none:memory:{loss}" for k in (1, 3) for loss in OTHER_LOSSES),
]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("world")
    run = subprocess.run([sys.executable, DRIVER, folder, *JOBS], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return {job: torch.load(folder / f"{job}.pt") for job in JOBS}


def difference(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """Largest over the tensors: greatest absolute difference over greatest absolute value."""
    assert one.keys() == other.keys()
    return max(
        float((one[name].double() - other[name].double()).abs().max() / one[name].double().abs().max().clamp_min(1e-9))
        for name in one
    )


@pytest.mark.parametrize(("k", "way", "chunk"), CASES)
def test_k_processes_are_one(seen: dict[str, Any], k: int, way: str, chunk: int) -> None:
    require_one(seen[f"1:{chunk}:none:memory"], seen[f"{k}:{chunk}:none:{way}"])


@pytest.mark.parametrize("loss", OTHER_LOSSES)
def test_k_processes_are_one_with_every_loss(seen: dict[str, Any], loss: str) -> None:
    one = seen[f"1:0:none:memory:{loss}"]
    require_one(one, seen[f"3:0:none:memory:{loss}"])
    assert difference(one["gradients"], seen["1:0:none:memory"]["gradients"]) > 1e-2


def require_one(one: dict[str, Any], many: dict[str, Any]) -> None:
    assert many["first"] == pytest.approx(one["first"], rel=1e-5)
    assert difference(one["gradients"], many["gradients"]) < 1e-5
    assert difference(one["short buffers"], many["short buffers"]) < 1e-2
    assert difference(one["buffers"], many["buffers"]) < 1e-5
    assert many["losses"] == pytest.approx(one["losses"], rel=1e-6)
    assert difference(one["weights"], many["weights"]) < 1e-6


def test_the_steps_learn(seen: dict[str, Any]) -> None:
    losses = seen["1:0:none:memory"]["learning"]
    assert sum(losses[-5:]) < sum(losses[:5])


@pytest.mark.parametrize("way", ["memory", "sockets"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_seen(seen: dict[str, Any], fault: str, way: str) -> None:
    assert difference(seen["1:0:none:memory"]["gradients"], seen[f"2:0:{fault}:{way}"]["gradients"]) > 1e-2


def test_chunks_have_their_own_batch_norm(seen: dict[str, Any]) -> None:
    assert difference(seen["1:0:none:memory"]["gradients"], seen["1:12:none:memory"]["gradients"]) > 1e-3


@pytest.mark.parametrize(("batch_size", "chunk"), [(24, None), (24, 12), (28, 12), (24, 100), (8, 4)])
@pytest.mark.parametrize("size", [1, 2, 4])
def test_shares_divide_every_chunk(batch_size: int, chunk: int | None, size: int) -> None:
    shares = [World(rank=rank, size=size).share(batch_size, chunk) for rank in range(size)]
    assert sorted(torch.cat([share.positions for share in shares]).tolist()) == list(range(batch_size))
    for i, start in enumerate(range(0, batch_size, chunk or batch_size)):
        together = torch.cat([share.positions[share.chunks[i]] for share in shares])
        assert together.tolist() == list(range(start, min(start + (chunk or batch_size), batch_size)))
    assert [share.anchors for share in shares] == [
        (rank * batch_size // size, (rank + 1) * batch_size // size) for rank in range(size)
    ]


@pytest.mark.parametrize(
    ("batch_size", "chunk", "words"),
    [
        (25, None, "batch_size is 25, but 2 processes must share it evenly. Choose --batch-size 24 or 26"),
        (24, 7, "chunk is 7"),
    ],
)
def test_a_batch_that_does_not_divide_is_refused(batch_size: int, chunk: int | None, words: str) -> None:
    with pytest.raises(TwofoldError, match=words):
        World(size=2).share(batch_size, chunk)
