"""Devices are resolved once, and what is not there is refused."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from pretend_cuda import pretended_cuda
from twofold.errors import TwofoldError
from twofold.hardware import device
from twofold.hardware.device import gpu_gib, resolve_hardware
from twofold.recipes.recipe import HardwareRecipe


def test_precision_sets_the_type_of_matrix_products() -> None:
    layer, x = nn.Linear(4, 4), torch.ones(2, 4)
    for precision, kind in (("bf16", torch.bfloat16), ("fp32", torch.float32)):
        hardware = resolve_hardware(HardwareRecipe(device="cpu", precision=precision))
        with hardware.autocast():
            assert layer(x).dtype == kind
        assert layer.weight.dtype == torch.float32


def test_place_makes_convolutions_channels_last() -> None:
    hardware = resolve_hardware(HardwareRecipe(device="cpu"))
    placed = hardware.place(nn.Conv2d(4, 8, 3))
    assert isinstance(placed, nn.Conv2d)
    assert placed.weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.skipif(torch.cuda.device_count() > 7, reason="this machine has the device that must be missing")
def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(TwofoldError, match="--device"):
        resolve_hardware(HardwareRecipe(device="cuda:7"))


def test_without_a_gpu_cuda_is_refused_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(TwofoldError, match=r"device is 'cuda', but this machine has 0 of that kind. Choose --device"):
        resolve_hardware(HardwareRecipe(device="cuda"))


def test_a_number_beyond_the_gpus_is_refused() -> None:
    with pretended_cuda(), pytest.raises(TwofoldError, match="device is 'cuda:9', but this machine has 1 of that kind"):
        resolve_hardware(HardwareRecipe(device="cuda:9"))


@pytest.mark.parametrize("precision", ["fp16", "half"])
def test_fp16_is_not_offered_and_that_is_said(precision: str) -> None:
    with pytest.raises(TwofoldError, match=f"precision is '{precision}'.*scaled, which is not offered; fp32 runs on"):
        HardwareRecipe(precision=precision)


def test_the_record_holds_the_versions_of_what_a_gpu_computes_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "version"
    monkeypatch.setattr(device, "_DRIVER", told)
    with pretended_cuda():
        hardware = resolve_hardware(HardwareRecipe(device="cuda"))
        assert hardware.describe()["driver"] == "unknown"
        told.write_text(
            "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.159.04  Release Build\nGCC version:  12.2.0\n"
        )
        record = hardware.describe()
    assert record["driver"] == "580.159.04"
    assert {"cuda", "cudnn", "name"} <= record.keys()
    assert "driver" not in resolve_hardware(HardwareRecipe(device="cpu")).describe()


def test_only_a_cuda_gpu_has_memory_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert all(gpu_gib(name) is None for name in ("auto", "cpu", "mps", "cuda"))
    sizes = {None: 16, 1: 24}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda one: SimpleNamespace(total_memory=sizes[one.index] * 2**30)
    )
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [gpu_gib(name) for name in ("auto", "cuda", "cuda:1", "cpu", "mps")] == [16.0, 16.0, 24.0, None, None]
    with pytest.raises(TwofoldError, match="device is 'cuda:9', but this machine has 2"):
        gpu_gib("cuda:9")


def test_compiling_for_a_gpu_without_triton_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows, where torch's own error would come in the first step, and look like one of Twofold."""
    there = {"triton": object()}
    monkeypatch.setattr("twofold.hardware.device.find_spec", there.get)
    with pretended_cuda():
        assert resolve_hardware(HardwareRecipe(device="cuda", compile=True)).compiled
        there.clear()
        assert not resolve_hardware(HardwareRecipe(device="cuda")).compiled
        with pytest.raises(TwofoldError, match=r"triton, which is not there.*--compile False"):
            resolve_hardware(HardwareRecipe(device="cuda", compile=True))


def test_compiling_without_a_compiler_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CXX", "missing-compiler")
    assert resolve_hardware(HardwareRecipe(device="cpu")).device.type == "cpu"
    with pytest.raises(TwofoldError, match=r"'missing-compiler' is not there.*--compile False"):
        resolve_hardware(HardwareRecipe(device="cpu", compile=True))
