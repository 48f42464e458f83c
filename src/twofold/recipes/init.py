"""What training begins from, where that is not fresh weights."""

from dataclasses import dataclass
from typing import Annotated

from twofold.errors import require, require_choice
from twofold.recipes.help import Help
from twofold.recipes.kinds import check_kinds

NORMALIZATIONS = ("auto", "imagenet", "none")


@dataclass(frozen=True, kw_only=True)
class InitRecipe:
    """The weights that training begins from, and how they are treated. Without `init` all weights are fresh."""

    init: Annotated[
        str | None,
        Help(
            "weights to begin from: a run, an encoder.safetensors, or weights of torchvision, timm or Hugging Face "
            "(.safetensors, .pth, .pt, .bin, or a folder with config.json)"
        ),
    ] = None
    init_strict: Annotated[bool, Help("refuse weights if more than 1 % of the tensors do not fit")] = True
    init_rate: Annotated[float, Help("learning rate of the loaded weights, as a share of that of the others")] = 1.0
    init_normalization: Annotated[
        str,
        Help(
            "of the images that the loaded weights expect: imagenet, none (pixels / 255) or auto (what the file says; "
            "imagenet where it says nothing); it is folded into the first convolution"
        ),
    ] = "auto"
    freeze_until: Annotated[
        str | None, Help("layer of the encoder, such as layer2: it and all before it are not trained")
    ] = None

    def __post_init__(self) -> None:
        check_kinds(self)
        require(0 < self.init_rate <= 1, "init_rate", self.init_rate, "above 0 and at most 1")
        require_choice("init_normalization", self.init_normalization, NORMALIZATIONS)
