"""A continued run computes on what it was begun with, or says what is different; never another way without a word."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from pictures import write_pictures
from small_recipe import SMALL
from twofold.distributed import World
from twofold.errors import TwofoldError
from twofold.hardware import device
from twofold.recipes.recipe import HardwareRecipe, Recipe
from twofold.runs.run_directory import Run
from twofold.training import agreement, continuing, loop
from twofold.training.agreement import agreed_hardware
from twofold.training.continuing import continued_hardware
from twofold.training.loop import pretrain
from twofold.versions import versions

AUTO = SMALL.with_settings(epochs=2.0, batch_size=8, device="auto", precision="auto")
Resume = Callable[..., Run]


def machine(monkeypatch: pytest.MonkeyPatch, *, gpu: bool = False, bf16: bool = False) -> None:
    """A machine with or without a GPU, and with or without fast bf16; nothing is ever computed on the GPU."""
    monkeypatch.setattr(device, "_best_device", lambda: "cuda" if gpu else "cpu")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: int(gpu))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: bf16)
    monkeypatch.setattr(device, "_has_fast_bf16", lambda _device: bf16)


def begun(device: str, precision: str) -> dict[str, Any]:
    return {"hardware": {"device": device, "precision": precision}}


@pytest.mark.parametrize("asked", [HardwareRecipe(), HardwareRecipe(device="cpu"), HardwareRecipe(precision="bf16")])
@pytest.mark.parametrize("gpu", [False, True])
def test_auto_is_what_the_run_was_begun_with(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], asked: HardwareRecipe, gpu: bool
) -> None:
    machine(monkeypatch, gpu=gpu)
    found = continued_hardware(Run("run"), begun("cpu", "bf16"), asked)
    assert (found.device.type, found.precision) == ("cpu", "bf16")
    new = device.resolve_hardware(asked)
    different = (new.device.type, new.precision) != ("cpu", "bf16")
    assert ("Continuing on cpu in bf16, as the run was begun" in capsys.readouterr().out) is different


@pytest.mark.parametrize(("asked", "found"), [("auto", "cuda"), ("cuda", "cuda"), ("cuda:0", "cuda:0")])
def test_which_of_several_gpus_does_not_matter(monkeypatch: pytest.MonkeyPatch, asked: str, found: str) -> None:
    machine(monkeypatch, gpu=True, bf16=True)
    hardware = continued_hardware(Run("run"), begun("cuda:3", "bf16"), HardwareRecipe(device=asked))
    assert str(hardware.device) == found


@pytest.mark.parametrize(
    ("record", "asked", "gpu", "bf16", "words"),
    [
        (("cpu", "fp32"), {"device": "cuda"}, True, True, "device is cuda, .* begun with cpu.* Give --device cpu or"),
        (("cuda", "bf16"), {"device": "cpu"}, True, True, "device is cpu, .* begun with cuda.* Give --device cuda or"),
        (("cpu", "fp32"), {"precision": "bf16"}, False, True, "precision is bf16, .*fp32.* Give --precision fp32 or"),
        (("cpu", "bf16"), {"precision": "fp32"}, False, True, "precision is fp32, .*bf16.* Give --precision bf16 or"),
        (("cuda", "bf16"), {}, False, True, r"device is auto \(cpu here\), .* begun with cuda.* on a machine that has"),
        (("cuda", "bf16"), {}, True, False, r"precision is auto \(fp32 here\), .* begun with bf16.* on a GPU that has"),
    ],
)
def test_another_device_or_precision_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, record: tuple[str, str], asked: dict[str, str], gpu: bool, bf16: bool, words: str
) -> None:
    machine(monkeypatch, gpu=gpu, bf16=bf16)
    with pytest.raises(TwofoldError, match=words):
        continued_hardware(Run("run"), begun(*record), HardwareRecipe(**asked))


def test_the_record_of_an_older_version_tells_nothing_and_continues(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch)
    assert continued_hardware(Run("run"), {}, HardwareRecipe()).precision == "fp32"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("data") / "pictures", per_class=20)


@pytest.fixture
def resume(data: Path, tmp_path: Path) -> Resume:
    def run(name: str = "run", **settings: Any) -> Run:
        return pretrain(data, out=tmp_path / name, recipe=AUTO.with_settings(**settings), cache=tmp_path / "cache")

    return run


def stop_at(monkeypatch: pytest.MonkeyPatch, last: int, resume: Resume) -> Run:
    """Interrupt a run after `last` steps, as Ctrl-C does, and return it."""
    folder: list[Run] = []
    step, opened = loop.train_step, agreement.open_run

    def step_and_stop(state: Any, *arguments: Any, **options: Any) -> Any:
        result = step(state, *arguments, **options)
        if state.step == last:
            os.kill(os.getpid(), signal.SIGINT)
        return result

    with monkeypatch.context() as patch:
        patch.setattr(loop, "train_step", step_and_stop)
        patch.setattr(agreement, "open_run", lambda out: folder.append(Run(out)) or opened(out))
        with pytest.raises(KeyboardInterrupt):
            resume()
    return folder[0]


def edit(run: Run, change: Callable[[dict[str, Any]], object]) -> None:
    record = json.loads(run.recipe.read_text())
    change(record)
    run.recipe.write_text(json.dumps(record))


def weights(run: Run) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(run.encoder)


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


def test_a_run_in_bf16_goes_on_in_bf16_where_auto_would_now_be_fp32(
    monkeypatch: pytest.MonkeyPatch, resume: Resume
) -> None:
    machine(monkeypatch, bf16=True)
    calm = resume("calm")
    run = stop_at(monkeypatch, 4, resume)
    machine(monkeypatch, bf16=False)
    with pytest.raises(TwofoldError, match=r"precision is fp32, but the run in .* begun with bf16"):
        resume(precision="fp32")
    assert same(weights(resume()), weights(calm))
    assert not same(weights(calm), weights(resume("plain")))
    assert "continued" not in run.read_recipe(), "nothing was different"
    resume(precision="bf16", device="cpu")  # the same, given by name


def test_other_versions_threads_and_processes_are_said_once_and_written_down(
    monkeypatch: pytest.MonkeyPatch, resume: Resume, capsys: pytest.CaptureFixture[str]
) -> None:
    machine(monkeypatch)
    run = stop_at(monkeypatch, 4, resume)

    def change(record: dict[str, Any]) -> None:
        record["versions"]["torch"] = "2.5.0"
        record["hardware"]["threads"] = 96
        record["processes"] = 4

    edit(run, change)
    before = run.read_recipe()
    capsys.readouterr()
    stop_at_7 = stop_at(monkeypatch, 7, resume)
    said = " ".join(capsys.readouterr().out.split())
    for words in (f"torch {versions()['torch']} (was 2.5.0)", "(was 96)", "processes 1 (was 4)"):
        assert said.count(words) == 1
    record = stop_at_7.read_recipe()
    (entry,) = record["continued"]
    assert entry["step"] == 4
    assert entry["versions"] == versions()
    assert (entry["hardware"]["threads"], entry["processes"]) == (torch.get_num_threads(), 1)
    assert {name: value for name, value in record.items() if name != "continued"} == before
    resume()
    assert "Different from here on" not in capsys.readouterr().out
    assert run.read_recipe() == record


def test_a_finished_run_is_not_touched(
    monkeypatch: pytest.MonkeyPatch, resume: Resume, capsys: pytest.CaptureFixture[str]
) -> None:
    machine(monkeypatch)
    run = resume()
    edit(run, lambda record: record["versions"].update(torch="2.5.0"))
    before = run.recipe.read_bytes()
    resume()
    assert run.recipe.read_bytes() == before


def test_a_run_of_an_older_version_continues_without_a_word(
    monkeypatch: pytest.MonkeyPatch, resume: Resume, capsys: pytest.CaptureFixture[str]
) -> None:
    machine(monkeypatch)
    run = stop_at(monkeypatch, 4, resume)
    edit(run, lambda record: [record.pop(name) for name in ("versions", "hardware", "processes")])
    capsys.readouterr()
    resume()
    assert "Different" not in capsys.readouterr().out
    assert run.encoder.exists()


def test_processes_that_came_together_elsewhere_are_told_which_device(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine(monkeypatch, gpu=True)
    world = World(size=2, device=torch.device("cuda"))
    with pytest.raises(
        TwofoldError, match=r"2 processes came together for cuda, but 'run' is trained on cpu\. Give --device cpu"
    ):
        agreed_hardware(Run("run"), begun("cpu", "fp32"), Recipe(), world)
    assert continuing.continued_hardware(Run("run"), begun("cpu", "fp32"), HardwareRecipe()).device.type == "cpu"
