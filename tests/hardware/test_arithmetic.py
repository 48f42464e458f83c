"""What the switches of torch are while Twofold computes, and that they are afterwards what they were."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils import deterministic as torch_deterministic

from pictures import write_pictures
from pretend_cuda import pretended_cuda
from small_recipe import SMALL
from twofold.errors import TwofoldError
from twofold.hardware.arithmetic import full_float32
from twofold.hardware.device import Hardware, resolve_hardware
from twofold.programs.bench import bench
from twofold.programs.embed import embed
from twofold.programs.evaluate import evaluate
from twofold.programs.pretrain import pretrain
from twofold.programs.transfer import transfer
from twofold.recipes.recipe import HardwareRecipe
from twofold.runs.encoder_file import load
from twofold.speed import sweep

CUDNN, MATMUL = torch.backends.cudnn, torch.backends.cuda.matmul
NEW = hasattr(CUDNN, "conv")  # from torch 2.9 on there is a second interface
READS: dict[str, Callable[[], Any]] = {
    "convolutions": lambda: CUDNN.allow_tf32,
    "products": lambda: MATMUL.allow_tf32,
    "precision": torch.get_float32_matmul_precision,
    "conv": lambda: CUDNN.conv.fp32_precision,
    "rnn": lambda: CUDNN.rnn.fp32_precision,
    "matmul": lambda: MATMUL.fp32_precision,
    "cudnn": lambda: CUDNN.fp32_precision,
    "all": lambda: torch.backends.fp32_precision,
}
SETS: dict[str, Callable[[], Any]] = {
    "torch's own": lambda: None,
    "off": lambda: setattr(CUDNN, "allow_tf32", False),
    "products too": lambda: torch.set_float32_matmul_precision("high"),
    "products, new": lambda: setattr(MATMUL, "fp32_precision", "tf32"),
    "convolutions, new": lambda: setattr(CUDNN.conv, "fp32_precision", "ieee"),
    "cudnn, new": lambda: setattr(CUDNN, "fp32_precision", "tf32"),
    "all, new": lambda: setattr(torch.backends, "fp32_precision", "tf32"),
}


def read(name: str) -> Any:
    """The setting; that torch refuses to tell is a value too."""
    try:
        return READS[name]()
    except RuntimeError:
        return "contradictory"


def settings() -> dict[str, Any]:
    return {name: read(name) for name in READS if NEW or name in ("convolutions", "products", "precision")}


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Whatever this or another file's test sets, torch's own settings hold before and afterwards."""
    _set_torchs_own()
    before = settings()
    yield
    _set_torchs_own()
    assert settings() == before


def _set_torchs_own() -> None:
    if NEW:
        torch.backends.fp32_precision = CUDNN.fp32_precision = "none"
    CUDNN.allow_tf32 = True
    torch.set_float32_matmul_precision("highest")
    if NEW:
        CUDNN.conv.fp32_precision = CUDNN.rnn.fp32_precision = "tf32"
        MATMUL.fp32_precision = "none"


@pytest.mark.parametrize("name", [name for name in SETS if NEW or "new" not in name])
def test_float32_is_full_inside_and_the_settings_are_those_of_before_outside(name: str) -> None:
    SETS[name]()
    before = settings()

    def compute() -> None:
        with Hardware(torch.device("cuda"), "fp32").arithmetic():
            inside = settings()
            assert (inside["convolutions"], inside["products"]) == (False, False)
            assert {inside[part] for part in ("conv", "rnn", "matmul") if part in inside} <= {"ieee"}
            with full_float32():
                assert settings() == inside
            assert settings() == inside
            raise KeyError

    with pytest.raises(KeyError):
        compute()
    assert settings() == before


@pytest.mark.parametrize(("device", "precision"), [("cuda", "bf16"), ("cpu", "fp32"), ("cpu", "bf16")])
def test_nothing_is_set_where_nothing_is_shortened(device: str, precision: str) -> None:
    before = settings()
    with Hardware(torch.device(device), precision).arithmetic():
        assert settings() == before
        assert not torch.are_deterministic_algorithms_enabled()


def switches() -> tuple[Any, ...]:
    return (
        torch.get_deterministic_debug_mode(),
        CUDNN.deterministic,
        CUDNN.benchmark,
        torch_deterministic.fill_uninitialized_memory,
        os.environ.get("CUBLAS_WORKSPACE_CONFIG"),
    )


@pytest.mark.parametrize("config", [None, ":16:8"])
@pytest.mark.parametrize(("warns", "benchmark"), [(False, True), (True, False)])
def test_deterministic_is_complete_and_ends_with_the_block(
    monkeypatch: pytest.MonkeyPatch, config: str | None, warns: bool, benchmark: bool
) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    if config:
        monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", config)
    monkeypatch.setattr(CUDNN, "benchmark", benchmark)
    torch.use_deterministic_algorithms(warns, warn_only=warns)
    before = switches()
    hardware = resolve_hardware(HardwareRecipe(device="cpu", precision="fp32", deterministic=True))

    def compute() -> None:
        with hardware.arithmetic():
            assert switches() == (2, True, False, False, config or ":4096:8")
            raise KeyError

    try:
        with pytest.raises(KeyError):
            compute()
        assert switches() == before
    finally:
        torch.use_deterministic_algorithms(False)


def test_what_cannot_be_computed_so_is_one_error_that_names_the_setting() -> None:
    hardware = Hardware(torch.device("cpu"), "fp32", deterministic=True)
    with (
        pytest.raises(TwofoldError, match=r"^deterministic is True, but .*put_.*leave out --deterministic"),
        hardware.arithmetic(),
    ):
        torch.zeros(3).put_(torch.tensor([0, 0]), torch.ones(2))
    with pytest.raises(RuntimeError, match="size of tensor"), hardware.arithmetic():
        torch.zeros(3) + torch.zeros(2)


# Whole programs: what runs forward and backward in each.


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("data") / "pictures", per_class=8, splits=("train", "test"), side=16)


@pytest.fixture(scope="module")
def run(data: Path) -> Path:
    out = data.parent / "run"
    pretrain(data, out=out, recipe=SMALL, cache=data.parent / "cache")
    return out


GPU = {"device": "cuda", "precision": "fp32"}
SHORT = {"seeds": 1, "finetune_epochs": 1, **GPU}
PROGRAMS: dict[str, Callable[[Path, Path, Path, Path], Any]] = {
    "pretrain": lambda _run, data, cache, out: pretrain(
        data, out=out / "new", recipe=SMALL, device="cuda", cache=cache, profile=1
    ),
    "bench": lambda run, data, cache, out: bench(
        data, recipe=run / "recipe.json", out=out / "bench.json", seconds=0.1, device="cuda", cache=cache
    ),
    "evaluate": lambda run, data, cache, _: evaluate(
        run, data=data, protocol=["knn", "finetune"], shots=1, few_seeds=1, cache=cache, **SHORT
    ),
    "transfer": lambda run, data, cache, _: transfer(run, to=data, protocol="finetune", cache=cache, **SHORT),
    "embed": lambda run, data, cache, out: embed(run, data, out=out / "h.parquet", cache=cache, **GPU),
    "load": lambda run, data, *_: load(run, hardware=HardwareRecipe(**GPU)).embed(sorted(data.rglob("*.png"))[:3]),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_program_computes_in_full(
    run: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    seen: dict[str, set[bool]] = {"forward": set(), "backward": set()}
    forward, backward = nn.BatchNorm2d.forward, torch.Tensor.backward

    def watched_forward(norm: nn.BatchNorm2d, x: torch.Tensor) -> torch.Tensor:
        if x.device.type == "cuda":
            seen["forward"].add(CUDNN.allow_tf32)
        return forward(norm, x)

    def watched_backward(loss: torch.Tensor, *arguments: Any, **options: Any) -> None:
        if loss.device.type == "cuda":
            seen["backward"].add(CUDNN.allow_tf32)
        backward(loss, *arguments, **options)

    monkeypatch.setattr(nn.BatchNorm2d, "forward", watched_forward)
    monkeypatch.setattr(torch.Tensor, "backward", watched_backward)
    monkeypatch.setattr(sweep, "matrix_flops", lambda _: 1e9)  # the real one takes minutes on a CPU
    before = settings()
    with pretended_cuda():
        PROGRAMS[name](run, data, data.parent / "cache", tmp_path)
    assert seen["forward"] == {False}
    assert seen["backward"] == (set() if name in ("embed", "load") else {False})
    assert settings() == before


@pytest.mark.parametrize("name", ["evaluate", "load"])
def test_a_program_that_forgets_it_is_seen(
    run: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(Hardware, "arithmetic", lambda _: contextlib.nullcontext())
    with pytest.raises(AssertionError):
        test_every_program_computes_in_full(run, data, tmp_path, monkeypatch, name)
