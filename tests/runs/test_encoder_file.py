"""A trained encoder out of a run or a file, and images into it in every form."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image
from torch import nn

from pictures import write_pictures
from twofold import load
from twofold.data import load_images
from twofold.errors import TwofoldError
from twofold.evaluation import build_network, embed_images
from twofold.models.head import build_head, layer_outputs
from twofold.models.simclr import SimCLR
from twofold.recipes.recipe import HardwareRecipe, Recipe
from twofold.runs import encoder_file as module
from twofold.runs.checkpoint import load_checkpoint, save_checkpoint
from twofold.runs.encoder_file import build_untrained, load_head, save_encoder
from twofold.runs.run_directory import Run
from twofold.speed.sweep import flops_per_view
from twofold.training.loop import pretrain

RECIPE = Recipe().with_settings(
    size_px=16, policy="small", encoder="resnet10", stages=1, width=0.25, stem="strided", batch_size=16, epochs=1.0
)
RECIPE = RECIPE.with_settings(device="cpu", precision="fp32")
CPU = HardwareRecipe(device="cpu", precision="fp32")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("load") / "pictures", per_class=12)


@pytest.fixture(scope="module")
def run(folder: Path) -> Path:
    pretrain(folder, out=folder.parent / "run", recipe=RECIPE, cache=folder.parent / "cache")
    return folder.parent / "run"


def test_every_form_of_a_picture_gives_the_same_embedding(folder: Path, run: Path) -> None:
    loaded = load(run, hardware=CPU)
    paths = sorted((folder / "bars").iterdir())[:4]
    pixels = [np.asarray(Image.open(path)) for path in paths]
    by_path = loaded.embed(paths)
    tensor = torch.stack([torch.from_numpy(p.copy()).permute(2, 0, 1) for p in pixels])
    for form in ([str(p) for p in paths], [Image.fromarray(p) for p in pixels], pixels, tensor):
        np.testing.assert_array_equal(loaded.embed(form), by_path)
    assert by_path.shape == (4, loaded.encoder.dim)
    assert np.unique(by_path, axis=0).shape == by_path.shape


def test_it_agrees_with_the_embeddings_of_an_evaluation(folder: Path, run: Path) -> None:
    loaded = load(run, hardware=CPU)
    images = load_images(folder, recipe=RECIPE.data, store_px=RECIPE.stored_px, cache=folder.parent / "cache")
    rows = np.arange(len(images))
    whole = embed_images(loaded.encoder, images, rows, views=RECIPE.views, hardware=loaded.hardware)
    one_by_one = loaded.embed([folder / path for path in images.paths])
    np.testing.assert_allclose(one_by_one, whole, rtol=1e-4, atol=1e-5)


def test_a_file_and_its_run_give_the_same(folder: Path, run: Path) -> None:
    paths = sorted((folder / "discs").iterdir())[:3]
    from_file = load(run / "encoder.safetensors", hardware=CPU).embed(paths)
    np.testing.assert_array_equal(from_file, load(run, hardware=CPU).embed(paths))
    untrained = build_untrained(RECIPE, 0, load(run, hardware=CPU).hardware)
    assert not torch.equal(next(untrained.parameters()), next(load(run, hardware=CPU).encoder.parameters()))


def test_the_steps_of_pretraining_go_with_the_encoder(run: Path, copy: Path, tmp_path: Path) -> None:
    taken = Run(run).read_recipe()["plan"]["steps"]
    assert load(run, hardware=CPU).step == load(run / "encoder.safetensors", hardware=CPU).step == taken
    Run(copy).encoder.unlink()
    one = load(copy, hardware=CPU)
    assert one.step == taken, "out of its newest checkpoint"
    for step in (None, 7):
        save_encoder(tmp_path / "encoder.safetensors", one.encoder, one.recipe, step)
        assert load(tmp_path / "encoder.safetensors", hardware=CPU).step == step


def test_pictures_larger_than_the_store_agree_with_the_store(folder: Path, run: Path, tmp_path: Path) -> None:
    """A photograph of 300 x 200 is shrunk on its way into the store; `embed` takes the same way."""
    noise = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    Image.fromarray(noise).resize((300, 200)).save(tmp_path / "large.png")
    images = load_images(tmp_path, recipe=RECIPE.data, store_px=RECIPE.stored_px, cache=folder.parent / "cache")
    loaded = load(run, hardware=CPU)
    stored = embed_images(loaded.encoder, images, np.arange(1), views=RECIPE.views, hardware=loaded.hardware)
    np.testing.assert_allclose(loaded.embed([tmp_path / "large.png"]), stored, rtol=1e-3, atol=1e-4)


def test_no_pictures_give_no_rows(run: Path) -> None:
    loaded = load(run, hardware=CPU)
    assert loaded.embed([]).shape == (0, loaded.encoder.dim)


def test_wrong_channels_and_unreadable_pictures_are_clear_errors(run: Path, tmp_path: Path) -> None:
    loaded = load(run, hardware=CPU)
    with pytest.raises(TwofoldError, match=r"shape \(20, 20, 2\)"):
        loaded.embed([np.zeros((20, 20, 2), np.uint8)])
    (tmp_path / "text.jpg").write_text("no image")
    with pytest.raises(TwofoldError, match=r"text\.jpg"):
        loaded.embed([tmp_path / "text.jpg"])
    with pytest.raises(TwofoldError, match=r"missing\.jpg"):
        loaded.embed([tmp_path / "missing.jpg"])


def test_a_file_that_is_no_encoder_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"nothing")
    with pytest.raises(TwofoldError, match="cannot be read as an encoder"):
        load(tmp_path / "a.safetensors")
    safetensors.torch.save_file({"x": torch.ones(1)}, tmp_path / "b.safetensors")
    with pytest.raises(TwofoldError, match="format None"):
        load(tmp_path / "b.safetensors")
    with pytest.raises(TwofoldError, match="is not a run"):
        load(tmp_path)


def test_weights_of_another_encoder_are_refused(run: Path, tmp_path: Path) -> None:
    loaded = load(run, hardware=CPU)
    for settings, found in (
        ({"width": 0.5}, r"'resnet10', which has \d+ .* have another shape \(first '\S+': \(16, .*not \(32, "),
        ({"stages": 2}, r".* tensors: \d+ are missing \(first '\S+'\)\. Use"),
    ):
        save_encoder(tmp_path / "wrong.safetensors", loaded.encoder, RECIPE.with_settings(**settings))
        with pytest.raises(TwofoldError, match=f"do not fit the recipe's encoder {found}") as caught:
            load(tmp_path / "wrong.safetensors", hardware=CPU)
        assert len(str(caught.value)) < 400
    loaded.encoder.extra = nn.Linear(2, 2, bias=False)
    save_encoder(tmp_path / "wrong.safetensors", loaded.encoder, RECIPE)
    with pytest.raises(TwofoldError, match=r"1 are unknown to it \(first 'extra\.weight'\)"):
        load(tmp_path / "wrong.safetensors", hardware=CPU)


@pytest.mark.parametrize("recipe", [None, "{", "{}", '{"name": "x"}', "[]"])
def test_an_encoder_without_a_whole_recipe_is_a_clear_error(tmp_path: Path, recipe: str | None) -> None:
    metadata = {"format": "twofold-encoder-1"} | ({} if recipe is None else {"recipe": recipe})
    safetensors.torch.save_file({"x": torch.ones(1)}, tmp_path / "a.safetensors", metadata=metadata)
    with pytest.raises(TwofoldError, match=r"the recipe in '.*a\.safetensors' is damaged"):
        load(tmp_path / "a.safetensors")


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    """The run, to be changed."""
    return Path(shutil.copytree(run, tmp_path / "copy"))


def edit(run: Path, **settings: Any) -> None:
    """Another recipe in recipe.json, and there alone."""
    path = Run(run).recipe
    record = json.loads(path.read_text())
    recipe = Recipe.from_dict(record["recipe"]).with_settings(**settings)
    path.write_text(json.dumps({**record, "recipe": recipe.to_dict()}))


@pytest.mark.parametrize(
    ("leaf", "value"),
    [
        ("encoder", "resnet18"),
        ("width", 0.5),
        ("stages", 2),
        ("stem", "small"),
        ("channels", 1),
        ("size_px", 24),
        ("eval_size_px", 20),
        ("eval_crop_fraction", 1.0),
        ("interpolation", "bilinear"),
        ("store_px", 40),
    ],
)
def test_a_recipe_that_disagrees_with_the_encoder_beside_it_is_refused(copy: Path, leaf: str, value: object) -> None:
    edit(copy, **{leaf: value})
    with pytest.raises(TwofoldError) as caught:
        load(copy, hardware=CPU)
    assert str(caught.value) == (
        f"{leaf} is {value!r} in '{copy}/recipe.json', but {RECIPE.settings()[leaf]!r} in "
        f"'{copy}/encoder.safetensors'; an encoder is used with the settings that it was trained with. "
        "Restore the file that was changed, or use the encoder.safetensors alone: it holds its own settings."
    )
    assert load(copy / "encoder.safetensors", hardware=CPU).recipe.settings()[leaf] == RECIPE.settings()[leaf]


def test_several_disagreements_are_named_together(copy: Path) -> None:
    edit(copy, size_px=24, interpolation="bilinear")
    with pytest.raises(TwofoldError, match=r"size_px is 24 in .* \(also differing: interpolation\)"):
        load(copy, hardware=CPU)


def test_without_that_comparison_nothing_would_be_said(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(copy, eval_crop_fraction=1.0)
    monkeypatch.setattr(module, "require_same_encoder", lambda *_: None)
    assert load(copy, hardware=CPU).recipe.views.eval_crop_fraction == 0.875


def test_settings_that_the_encoder_does_not_know_may_differ(copy: Path) -> None:
    edit(copy, batch_size=8, temperature=0.5, checkpoint_minutes=9.0, head="linear")
    load(copy, hardware=CPU)


def test_the_head_is_that_of_the_newest_checkpoint(run: Path) -> None:
    loaded, head = load(run, hardware=CPU), load_head(run, hardware=CPU)
    model = SimCLR(build_untrained(RECIPE, 3, loaded.hardware), build_head(RECIPE.head, dim=loaded.encoder.dim))
    model.load_state_dict(load_checkpoint(Run(run).checkpoints)["model"])
    views = torch.rand(6, 3, 16, 16)
    with torch.inference_mode():
        h, z = model.eval()(views)
        outputs = layer_outputs(head, loaded.encoder(views))
        fresh = build_head(RECIPE.head, dim=loaded.encoder.dim).eval()(h)
        first = model.head[0](h)
    assert not any(part.training for part in head.modules())
    torch.testing.assert_close(outputs["z"], z)
    torch.testing.assert_close(outputs["head-1"], first)
    assert list(outputs) == ["head-1", "z"]
    assert not torch.allclose(fresh, z)


@pytest.mark.parametrize(("kind", "names"), [("linear", ["z"]), ("none", [])])
def test_other_heads(copy: Path, kind: str, names: list[str]) -> None:
    edit(copy, head=kind)
    saved, dim = load_checkpoint(Run(copy).checkpoints), load(copy, hardware=CPU).encoder.dim
    own = build_head(RECIPE.with_settings(head=kind).head, dim=dim).eval()
    weights = {name: weight for name, weight in saved["model"].items() if name.startswith("encoder.")}
    weights |= {f"head.{name}": weight for name, weight in own.state_dict().items()}
    save_checkpoint(Run(copy).checkpoints, saved["step"] + 1, {**saved, "model": weights})
    head, h = load_head(copy, hardware=CPU), torch.rand(3, dim)
    assert list(layer_outputs(head, h)) == names
    assert torch.equal(head(h), own(h))
    shutil.rmtree(copy / "checkpoints")
    if names:
        with pytest.raises(TwofoldError, match="no checkpoint yet"):
            load_head(copy, hardware=CPU)
    else:
        assert len(load_head(copy, hardware=CPU)) == 0  # there is nothing to load


def test_a_run_that_was_stopped_has_its_head_too(copy: Path, run: Path) -> None:
    (copy / "encoder.safetensors").unlink()
    h = torch.rand(3, load(copy, hardware=CPU).encoder.dim)
    assert torch.equal(load_head(copy, hardware=CPU)(h), load_head(run, hardware=CPU)(h))
    shutil.rmtree(copy / "checkpoints")
    for function in (load, load_head):
        with pytest.raises(TwofoldError, match=r"copy' has no checkpoint yet"):
            function(copy, hardware=CPU)
    with pytest.raises(TwofoldError, match="is not a run"):
        load_head(copy.parent, hardware=CPU)


def change_weight(copy: Path) -> None:
    loaded = load(copy, hardware=CPU)
    with torch.no_grad():
        next(loaded.encoder.parameters())[0, 0, 0, 0] += 1e-3
    save_encoder(Run(copy).encoder, loaded.encoder, loaded.recipe)


def go_on(copy: Path) -> None:
    saved = load_checkpoint(Run(copy).checkpoints)
    saved["model"] = {n: w + 1 if n.endswith("running_var") else w for n, w in saved["model"].items()}
    save_checkpoint(Run(copy).checkpoints, saved["step"] + 1, {**saved, "step": saved["step"] + 1})


@pytest.mark.parametrize("change", [change_weight, go_on])
def test_the_head_of_another_encoder_is_refused(copy: Path, change: Callable[[Path], None]) -> None:
    load_head(copy, hardware=CPU)
    change(copy)
    with pytest.raises(TwofoldError, match=r"encoder\.safetensors' holds other weights than .*checkpoint \(step \d+\)"):
        load_head(copy, hardware=CPU)


@pytest.mark.parametrize("settings", [{"z_dim": 64}, {"head_layers": 3}, {"head": "linear"}])
def test_a_head_that_does_not_fit_its_recipe_is_refused(copy: Path, settings: dict[str, Any]) -> None:
    edit(copy, **settings)
    kind = settings.get("head", "nonlinear")
    with pytest.raises(TwofoldError, match=f"do not fit the recipe's head '{kind}', which has"):
        load_head(copy, hardware=CPU)


def test_random_numbers_of_the_program_around_go_on(folder: Path, run: Path) -> None:
    """Building a module draws its weights, also where others replace them at once."""
    loaded = load(run, hardware=CPU)
    uses: dict[str, Callable[[], Any]] = {
        "load": lambda: load(run, hardware=CPU),
        "load_head": lambda: load_head(run, hardware=CPU),
        "build_untrained": lambda: build_untrained(RECIPE, 1, loaded.hardware),
        "build_network": lambda: build_network(loaded.encoder, dim=64, classes=3, hardware=loaded.hardware, seed=0),
        "embed": lambda: loaded.embed(sorted((folder / "bars").iterdir())[:2]),
        "flops_per_view": lambda: flops_per_view(RECIPE, loaded.hardware),
    }
    moved = []
    for name, use in uses.items():
        before = torch.get_rng_state()
        use()
        moved += [name] if not torch.equal(torch.get_rng_state(), before) else []
    assert moved == []
