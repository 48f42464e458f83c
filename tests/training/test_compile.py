"""A compiled encoder trains like the plain one."""

import shutil
from pathlib import Path

import pytest
import torch

from pictures import write_pictures
from small_recipe import SMALL
from twofold.data import load_images
from twofold.distributed import World
from twofold.hardware.device import Hardware
from twofold.runs.encoder_file import load
from twofold.training.loop import pretrain
from twofold.training.monitoring import build_look
from twofold.training.step import build_state

VIEWS = torch.rand(2, 3, 16, 16)
RECIPE = SMALL.with_settings(optimizer="sgd", base_lr=0.01, batch_size=8, epochs=2.0)


@pytest.fixture
def plain_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Compiled anew, one kernel after another, as for a processor of no extensions: each is tried by a compilation."""
    from torch._inductor import config, cpu_vec_isa

    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "compiled"))
    monkeypatch.setattr(cpu_vec_isa, "valid_vec_isa_list", lambda: [])
    for name, value in (("compile_threads", 1), ("cpp_cache_precompile_headers", False)):
        monkeypatch.setattr(config, name, value, raising=False)


@pytest.mark.usefixtures("plain_code")
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on the CPU")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_compiled_encoder_learns_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_pictures(tmp_path / "data", per_class=8, side=16)
    compiled: list[type] = []
    whole = torch.nn.Module.compile

    def remember(module: torch.nn.Module, *arguments: object, **options: object) -> None:
        compiled.append(type(module))
        whole(module, *arguments, **options)

    monkeypatch.setattr(torch.nn.Module, "compile", remember)
    found = []
    for compile in (False, True):
        recipe = RECIPE.with_settings(compile=compile)
        out = tmp_path / str(compile)
        pretrain(data, out=out, recipe=recipe, cache=tmp_path / "cache")
        found.append(load(out).encoder.state_dict())
    assert [kind.__name__ for kind in compiled] == ["ResNet"] * 2, "the trial's and the run's"
    assert found[0].keys() == found[1].keys()
    for name, weights in found[0].items():
        torch.testing.assert_close(found[1][name], weights, rtol=1e-3, atol=1e-4, msg=name)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_look_compiles_nothing(tmp_path: Path) -> None:
    """Its batches have other sizes, for each of which a compiler would begin anew."""
    data = write_pictures(tmp_path / "data", per_class=8, side=16)
    seen: list[str] = []

    def backend(graph: torch.fx.GraphModule, _inputs: object) -> object:
        seen.append("compiled")
        return graph.forward

    recipe, hardware = RECIPE.with_settings(compile=True), Hardware(torch.device("cpu"), "fp32")
    images = load_images(data, recipe=recipe.data, store_px=recipe.stored_px, cache=tmp_path / "cache")
    state = build_state(RECIPE, hardware, peak=0.1, world=World())
    state.model.encoder.compile(backend=backend)
    build_look(lambda _: None, recipe, hardware, images, [lambda encoder, _: {"h": float(encoder(VIEWS).sum())}])(state)
    assert seen == []
    state.model(VIEWS)
    assert seen


@pytest.mark.parametrize("compile", [True, False])
def test_a_second_run_of_a_process_is_compiled_as_the_first(
    compile: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the first left would make torch compile for any size of batch, and after eight not at all."""
    seen: list[str] = []
    monkeypatch.setattr(torch.compiler, "reset", lambda: seen.append("reset"))
    monkeypatch.setattr(torch.nn.Module, "compile", lambda _: seen.append("compile"))
    monkeypatch.setattr("twofold.hardware.device._require_compiler", lambda: None)
    data = write_pictures(tmp_path / "data", per_class=8, side=16)
    for run in ("first", "second"):
        recipe = RECIPE.with_settings(compile=compile, epochs=1.0)
        pretrain(data, out=tmp_path / run, recipe=recipe, cache=tmp_path / "cache")
    assert seen == (["reset", "compile", "compile"] * 2 if compile else [])
