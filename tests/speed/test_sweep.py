"""What is recommended from made-up trials, and the whole on small images."""

import json
import subprocess
import sys
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from pictures import write_pictures
from twofold.data import load_images
from twofold.errors import TwofoldError
from twofold.hardware.allocator import return_freed_memory
from twofold.hardware.device import Hardware
from twofold.programs.bench import bench
from twofold.recipes.recipe import Recipe
from twofold.speed import sweep
from twofold.speed.step_profile import PARTS, Profile
from twofold.speed.sweep import flops_per_view, matrix_flops, recommend
from twofold.speed.trials import Failure, Trial

CPU = Hardware(torch.device("cpu"), "fp32")


def trial(encoder: str, batch_size: int, images_per_s: float, flops: int) -> Trial:
    return Trial(
        encoder=encoder,
        width=1.0,
        batch_size=batch_size,
        images_per_s=images_per_s,
        encoder_share=0.9,
        wait_share=0.0,
        matrix_share=0.5,
        peak_bytes=None,
        flops_per_view=flops,
    )


SMALL = [trial("resnet10", 64, 900.0, 1), trial("resnet10", 128, 1000.0, 1), trial("resnet10", 256, 960.0, 1)]
LARGE = [trial("resnet50", 64, 100.0, 9)]


def test_the_largest_encoder_that_sees_enough() -> None:
    assert recommend([*SMALL, *LARGE], images=4000, minutes=20.0)[0] == LARGE[0]  # 30 times
    assert recommend([*SMALL, *LARGE], images=4001, minutes=20.0)[0] == SMALL[2]


def test_the_largest_batch_that_is_nearly_the_fastest() -> None:
    assert recommend(SMALL, images=1000, minutes=20.0)[0].batch_size == 256
    slower = [*SMALL[:2], replace(SMALL[2], images_per_s=940.0)]
    assert recommend(slower, images=1000, minutes=20.0)[0].batch_size == 128


def test_the_fastest_where_none_sees_enough_and_the_first_without_minutes() -> None:
    chosen, why = recommend([*LARGE, *SMALL], images=10**8, minutes=1.0)
    assert chosen == SMALL[2]
    assert "none here" in why
    assert recommend([*LARGE, *SMALL], images=10**8, minutes=None)[0] == LARGE[0]


def test_multiplications_are_counted_as_by_hand() -> None:
    """ResNet-10, one stage: stem 3x3 on 3 channels, one block of two 3x3 convolutions, a head of 64 -> 64 -> 8."""
    recipe = Recipe().with_settings(
        size_px=16, encoder="resnet10", stages=1, stem="small", head_layers=2, z_dim=8, policy="small"
    )
    pixels = 16 * 16
    stem, block, head = pixels * 64 * 27, 2 * pixels * 64 * 576, 64 * 64 + 64 * 8
    forward, backward = stem + block + head, stem + 2 * (block + head)  # the images get no gradient
    assert flops_per_view(recipe, CPU) == 2 * (forward + backward)


def test_multiplications_are_counted_without_compiling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.nn.Module, "compile", lambda _: pytest.fail("compiled"))
    recipe = Recipe().with_settings(size_px=16, encoder="resnet10", stages=1, width=0.25, stem="small")
    assert flops_per_view(recipe.with_settings(compile=True), CPU) == flops_per_view(recipe, CPU)


@pytest.mark.parametrize("compile", [True, False])
def test_each_trial_is_compiled_anew(
    compile: bool, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the second size would be compiled for any, and torch would compile none after the eighth."""
    seen: list[str] = []

    def profile(*_: Any, **__: Any) -> Profile:
        seen.append("measured")
        return Profile(images=8, steps=1, step_s=1.0, parts_s=dict.fromkeys(PARTS, 0.1))

    monkeypatch.setattr(torch.compiler, "reset", lambda: seen.append("reset"))
    monkeypatch.setattr(sweep, "profile_steps", profile)
    recipe = Recipe().with_settings(batch_size=8, compile=compile)
    images = load_images(data, recipe=recipe.data, store_px=24, cache=tmp_path, show_progress=False)
    for _ in range(2):
        sweep._try(recipe, CPU, images, 1, 1.0, 1.0)
    assert seen == (["reset", "measured"] if compile else ["measured"]) * 2


def test_the_matrix_rate_is_that_of_the_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twofold.speed.sweep._MATRIX", {"cpu": 64})
    assert 1e6 < matrix_flops(CPU) < 1e14


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("data") / "pictures", per_class=90)


def test_bench_measures_recommends_and_writes(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twofold.speed.sweep._MATRIX", {"cpu": 256})
    out = tmp_path / "figures" / "bench.json"
    tiny = {"size_px": 12, "stages": 1, "width": 0.25, "stem": "strided", "device": "cpu", "precision": "fp32"}
    found = bench(data, out=out, seconds=2.0, cache=tmp_path, encoder="resnet10", **tiny)
    assert found.choice in found.trials
    assert found.trials[0].name == "resnet10 x 0.25"
    for one in found.trials:
        assert one.images_per_s > 0
        assert 0 < one.encoder_share < 1
        assert 0 <= one.wait_share < 1
        assert one.matrix_share > 0
    written = json.loads(out.read_text())
    assert written["choice"]["batch_size"] == found.choice.batch_size
    assert len(written["trials"]) == len(found.trials)
    said = capsys.readouterr().out.replace("\n", " ")
    assert "in place of" not in said
    assert f"--batch-size {found.choice.batch_size}" in said
    assert f"--encoder {found.choice.encoder}" in said


TINY = {"encoder": "resnet10", "size_px": 12, "stages": 1, "width": 0.25, "stem": "strided"}
TINY |= {"device": "cpu", "precision": "fp32", "minutes": 1.0}
OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB"),
    RuntimeError("MPS backend out of memory (MPS allocated: 9 GiB)"),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    MemoryError("Unable to allocate 9 GiB for an array"),
]
OTHERS = [RuntimeError("Input\n size is too small"), TwofoldError("views of 12 px are too small. Change --size-px.")]


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[str, int], Exception | None]], list[tuple[str, int]]]:
    """A function that makes trials quick, or fail with what it is given for (encoder, batch); -> what was tried."""

    def prepare(fails: Callable[[str, int], Exception | None]) -> list[tuple[str, int]]:
        seen: list[tuple[str, int]] = []

        def try_(recipe: Recipe, _hardware: Any, _images: Any, flops: int, *_: Any) -> Trial:
            name, size = recipe.encoder.encoder, recipe.schedule.batch_size
            seen.append((name, size))
            if error := fails(name, size):
                raise error
            return replace(trial(name, size, float(size), flops), width=recipe.encoder.width)

        monkeypatch.setattr(sweep, "matrix_flops", lambda _hardware: 1e12)
        monkeypatch.setattr(sweep, "_try", try_)
        monkeypatch.setattr(sweep, "ENCODERS", (("resnet18", 0.25), ("resnet34", 0.25)))
        monkeypatch.setattr(sweep, "BATCH_SIZES", (8, 16, 32))
        return seen

    return prepare


@pytest.mark.parametrize("error", [*OUT_OF_MEMORY, *OTHERS], ids=lambda error: str(error)[:20])
def test_a_trial_that_fails_is_a_row_and_larger_batches_of_its_encoder_are_left_out(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], tried: Any, error: Exception
) -> None:
    seen = tried(lambda name, size: error if name == "resnet18" and size >= 16 else None)
    found = bench(data, out=tmp_path / "bench.json", seconds=60.0, cache=tmp_path, **TINY)
    whole = [(name, size) for name in ("resnet10", "resnet34") for size in (8, 16, 32)]
    assert seen == [*whole[:3], ("resnet18", 8), ("resnet18", 16), *whole[3:]]
    assert [(one.encoder, one.batch_size) for one in found.trials] == [*whole[:3], ("resnet18", 8), *whole[3:]]
    (failure,) = found.failed
    assert (failure.encoder, failure.batch_size) == ("resnet18", 16)
    assert failure.out_of_memory is (error in OUT_OF_MEMORY)
    assert found.choice == recommend(found.trials, images=270, minutes=1.0)[0]

    written = json.loads((tmp_path / "bench.json").read_text())
    assert [one["reason"] for one in written["failed"]] == [" ".join(str(error).split())]
    assert len(written["trials"]) == 7
    said = capsys.readouterr().out
    (row,) = [line for line in said.splitlines() if line.split()[:4] == ["resnet18", "x", "0.25", "16"]]
    assert row.split("16", 1)[1].strip() == ("out of memory" if failure.out_of_memory else "failed")
    assert " ".join(str(error).split())[:30] in said
    assert "larger batches are left out" in said


def test_an_encoder_that_cannot_be_built_is_a_row(data: Path, tmp_path: Path, tried: Any, monkeypatch: Any) -> None:
    seen = tried(lambda name, size: None)
    counted = sweep.flops_per_view

    def count(recipe: Recipe, hardware: Hardware) -> int:
        if recipe.encoder.encoder == "resnet18":
            raise TwofoldError("no such network")
        return counted(recipe, hardware)

    monkeypatch.setattr(sweep, "flops_per_view", count)
    found = bench(data, out=tmp_path / "bench.json", seconds=60.0, cache=tmp_path, **TINY)
    assert {name for name, _ in seen} == {"resnet10", "resnet34"}
    assert [(one.encoder, one.reason) for one in found.failed] == [("resnet18", "no such network")]


def test_where_nothing_fits_one_line_says_so(data: Path, tmp_path: Path, tried: Any) -> None:
    seen = tried(lambda name, size: OUT_OF_MEMORY[0])
    with pytest.raises(TwofoldError, match=r"none of 3 trials worked: resnet10 x 0.25 with batch 8: CUDA .*--chunk"):
        bench(data, out=tmp_path / "bench.json", seconds=60.0, cache=tmp_path, **TINY)
    assert [size for _, size in seen] == [8, 8, 8]


def test_a_reason_that_is_a_sentence_ends_once(data: Path, tmp_path: Path, tried: Any) -> None:
    tried(lambda name, size: OTHERS[1])
    with pytest.raises(TwofoldError, match=r"too small\. Change --size-px\. Choose another --encoder\.$"):
        bench(data, out=tmp_path / "bench.json", seconds=60.0, cache=tmp_path, **TINY)


def test_a_fault_of_another_kind_is_not_hidden(data: Path, tmp_path: Path, tried: Any) -> None:
    tried(lambda name, size: KeyError("a fault"))
    with pytest.raises(KeyError):
        bench(data, out=tmp_path / "bench.json", seconds=60.0, cache=tmp_path, **TINY)


def test_a_failed_trial_holds_nothing() -> None:
    class Block:
        pass

    left: list[weakref.ref[Block]] = []

    def work() -> None:
        block = Block()
        block.itself = block  # freed by the garbage collector alone, as a model with hooks is
        left.append(weakref.ref(block))
        raise torch.OutOfMemoryError("out of memory")

    assert isinstance(sweep._or_failure(Recipe(), work), Failure)
    assert left[0]() is None


def test_memory_is_given_back_without_torch_and_to_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import sys; from twofold.hardware.allocator import return_freed_memory; return_freed_memory()"
    code += "; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    emptied: list[bool] = []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(True))
    return_freed_memory()
    assert emptied


def test_a_trial_goes_through_the_encoder_in_the_chunks_that_were_asked_for(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    profile = sweep.profile_steps

    def spy(*arguments: Any, share: Any, **options: Any) -> Any:
        seen.append(len(share.chunks))
        return profile(*arguments, share=share, **options)

    monkeypatch.setattr(sweep, "profile_steps", spy)
    monkeypatch.setattr(sweep, "matrix_flops", lambda _hardware: 1e12)
    monkeypatch.setattr(sweep, "ENCODERS", ())
    monkeypatch.setattr(sweep, "BATCH_SIZES", (32,))
    bench(data, out=tmp_path / "bench.json", seconds=0.5, cache=tmp_path, **TINY, chunk=8)
    assert seen == [4]


def test_bench_refuses_what_cannot_work(data: Path, tmp_path: Path) -> None:
    with pytest.raises(TwofoldError, match=r"seconds is 0.* above 0"):
        bench(data, out=tmp_path / "b.json", seconds=0.0)
    with pytest.raises(TwofoldError, match=r"out is .*b\.txt.* ends in \.json"):
        bench(data, out=tmp_path / "b.txt")
    with pytest.raises(TwofoldError, match=r"seconds is inf.* finite"):
        bench(data, out=tmp_path / "b.json", seconds=float("inf"))
    few = write_pictures(tmp_path / "few", per_class=1)
    with pytest.raises(TwofoldError, match="needs at least 8"):
        bench(few, out=tmp_path / "b.json", cache=tmp_path, device="cpu", batch_size=2)


@pytest.mark.parametrize("mine", ["[1]", "mine", '{"choice": 1}', "\xff"])
def test_a_file_that_is_no_benchmark_stays(data: Path, tmp_path: Path, mine: str) -> None:
    out = tmp_path / "bench.json"
    out.write_text(mine, encoding="latin-1")
    with pytest.raises(TwofoldError, match=r"--out '.*bench\.json' exists already.* nothing of yours is overwritten"):
        bench(data, out=out, cache=tmp_path)
    assert out.read_text(encoding="latin-1") == mine
    assert [path.name for path in tmp_path.iterdir()] == ["bench.json"]  # before any image was read


def test_earlier_figures_are_replaced_and_that_is_said(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twofold.speed.sweep._MATRIX", {"cpu": 64})
    said = []
    for _ in range(2):
        bench(data, out=tmp_path / "bench.json", seconds=0.1, cache=tmp_path, **TINY)
        said.append("in place of earlier ones" in capsys.readouterr().out)
    assert said == [False, True]
