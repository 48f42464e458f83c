"""A trained encoder out of a run or a file, and pictures into it in every form."""

from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

from pictures import write_pictures
from twofold import load
from twofold.data import load_images
from twofold.errors import TwofoldError
from twofold.evaluation import embed_images
from twofold.pretraining import pretrain
from twofold.recipe import HardwareRecipe, Recipe
from twofold.runtime.load import build_untrained, save_encoder

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
    with pytest.raises(TwofoldError, match="1 channels"):
        loaded.embed([np.zeros((20, 20, 1), np.uint8)])
    (tmp_path / "text.jpg").write_text("no picture")
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
    save_encoder(tmp_path / "wrong.safetensors", loaded.encoder, RECIPE.with_settings(width=0.5))
    with pytest.raises(TwofoldError, match="do not fit"):
        load(tmp_path / "wrong.safetensors", hardware=CPU)
