"""A module handed over from Python as the encoder."""

import json
import sys
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from twofold.errors import TwofoldError
from twofold.hardware.randomness import weights_of_seed
from twofold.models import build_encoder
from twofold.models.own import OwnEncoder, own_encoder, saved_encoder
from twofold.recipes.own import own_name
from twofold.recipes.recipe import EncoderRecipe, Recipe


class Pooled(nn.Module):
    """(n, c, s, s) -> (n, 5, s, s): a map that is still to be averaged."""

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 5, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class Raising(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise KeyError("no such patch")


def built(source: object, seed: int) -> dict[str, Tensor]:
    with weights_of_seed(seed):
        return build_encoder(own_encoder(source), channels=3, size_px=8).state_dict()


def equal(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


def test_a_map_is_averaged_and_its_channels_are_the_dim() -> None:
    module = Pooled()
    encoder = build_encoder(own_encoder(module), channels=3, size_px=8)
    views = torch.rand(2, 3, 8, 8)
    assert encoder.dim == 5
    torch.testing.assert_close(encoder(views), module(views).mean(dim=(2, 3)))


def test_a_class_has_fresh_weights_by_the_seed_and_a_module_keeps_its_own() -> None:
    assert equal(built(Pooled, 1), built(Pooled, 1))
    assert not equal(built(Pooled, 1), built(Pooled, 2))
    module = Pooled()
    assert equal(built(module, 1), built(module, 2))


def test_a_module_is_copied() -> None:
    module = Pooled()
    encoder = build_encoder(own_encoder(module), channels=3, size_px=8)
    encoder.module.conv.weight.data.zero_()
    assert module.conv.weight.abs().sum() > 0


def test_naming_a_factory_draws_no_random_number_of_the_program() -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    own_encoder(Pooled)
    assert torch.equal(torch.rand(1), expected)


def test_class_function_and_module_have_one_name() -> None:
    names = {own_encoder(source).encoder for source in (Pooled, lambda: Pooled(3), Pooled())}
    assert names == {f"own:{__name__}.Pooled"}


def test_a_class_of_a_script_has_the_script_s_name(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = type("Net", (nn.Module,), {"__module__": "__main__"})
    for main, name in (
        (SimpleNamespace(__spec__=None, __file__="/home/me/train.py"), "own:train.Net"),
        (SimpleNamespace(__spec__=SimpleNamespace(name="pack.train")), "own:pack.train.Net"),
        (SimpleNamespace(), "own:__main__.Net"),
    ):
        monkeypatch.setitem(sys.modules, "__main__", main)
        assert own_name(kind) == name


def test_a_recipe_keeps_the_name_and_says_what_is_missing() -> None:
    whole = Recipe(encoder=own_encoder(Pooled))
    again = Recipe.from_dict(json.loads(json.dumps(whole.to_dict())))
    assert again.settings() == whole.settings()
    with pytest.raises(TwofoldError, match=r"a class of your own: .*twofold\.load\(run, encoder=Pooled\)"):
        build_encoder(again.encoder, channels=3)


def test_a_saved_recipe_takes_the_class_back_also_from_another_module() -> None:
    saved = EncoderRecipe(encoder="own:notebook.Pooled")
    assert saved_encoder(saved, Pooled, "run") == OwnEncoder(encoder="own:notebook.Pooled", source=Pooled)
    named = EncoderRecipe(encoder="resnet18")
    assert saved_encoder(named, None, "run") is named


@pytest.mark.parametrize(
    ("name", "source", "words"),
    [
        ("own:notebook.Pooled", None, "Give it in Python"),
        ("own:notebook.Other", Pooled, "makes a Pooled, but 'run' was trained with a Other"),
        ("resnet18", Pooled, "trained with 'resnet18', which is built by its name"),
    ],
)
def test_a_saved_recipe_refuses_another_or_none(name: str, source: object, words: str) -> None:
    with pytest.raises(TwofoldError, match=words):
        saved_encoder(EncoderRecipe(encoder=name), source, "run")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (3, "encoder is 3 of the type int"),
        (dict, "encoder returned an object of the type dict"),
        (nn.Identity().register_buffer, r"failed when it was called \(TypeError: .*missing 2.*no arguments"),
        (lambda: nn.Linear(3, -1), r"failed when it was called \(RuntimeError: .*negative dimension"),
    ],
)
def test_what_makes_no_module_is_refused(source: object, words: str) -> None:
    with pytest.raises(TwofoldError, match=words):
        own_encoder(source)


def test_a_module_that_fails_on_views_is_told_their_shape() -> None:
    with pytest.raises(TwofoldError, match=r"Raising failed on views of shape \(1, 3, 8, 8\).*no such patch"):
        build_encoder(own_encoder(Raising), channels=3, size_px=8)


def test_a_module_that_cannot_be_copied_is_refused() -> None:
    module = Pooled()
    module.cache = module.conv.weight * 2  # not a leaf of the graph
    with pytest.raises(TwofoldError, match="cannot be copied"):
        own_encoder(module)


def test_a_name_and_a_module_at_once_are_refused() -> None:
    with pytest.raises(TwofoldError, match="Give one of them"):
        Recipe(encoder=own_encoder(Pooled)).with_settings(encoder="resnet18")
