"""A compiled encoder trains like the plain one."""

import shutil
from pathlib import Path

import pytest
import torch

from pictures import write_pictures
from small_recipe import SMALL
from twofold.pretraining import pretrain
from twofold.runtime.load import load

RECIPE = SMALL.with_settings(optimizer="sgd", base_lr=0.01, batch_size=8, epochs=2.0)


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on the CPU")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_compiled_encoder_learns_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "compiled"))
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
