"""What each layer makes of images: the encoder's stages, h, and the layers of the head."""

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor, nn
from torch.nn import functional

from twofold.data import ImageSet
from twofold.evaluation import embed_images
from twofold.models import ResNet
from twofold.models.finite import require_finite
from twofold.models.head import layer_outputs
from twofold.runs.encoder_file import Loaded


class Stages(nn.Module):
    """views -> the global averages of all stages of a ResNet side by side, the last of which is h; others give h."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self._outputs: list[Tensor] = []
        self.widths: list[int] = []
        if isinstance(encoder, ResNet):
            for stage in range(1, encoder.stages):
                encoder.get_submodule(f"layer{stage}").register_forward_hook(self._keep)

    def forward(self, views: Float[Tensor, "n c s1 s2"]) -> Float[Tensor, "n d_all"]:
        """Columns of stage 1 first, of h last; `widths` says how many each has."""
        self._outputs.clear()
        outputs = [*self._outputs_of(views)]
        self.widths = [output.shape[1] for output in outputs]
        return torch.cat(outputs, dim=1)

    def _outputs_of(self, views: Tensor) -> list[Tensor]:
        h = self.encoder(views)
        return [functional.adaptive_avg_pool2d(x, 1).flatten(1).to(h.dtype) for x in self._outputs] + [h]

    def _keep(self, _module: nn.Module, _inputs: object, output: Tensor) -> None:
        self._outputs.append(output)


def layer_features(
    loaded: Loaded, head: nn.Sequential, images: ImageSet, rows: Int64[np.ndarray, " n"]
) -> dict[str, Float32[np.ndarray, "n _"]]:
    """Layer -> features of the central views of `rows`: "stage-1", ..., "h", "head-1", ..., "z"."""
    stages = Stages(loaded.encoder)
    both = embed_images(stages, images, rows, views=loaded.recipe.views, hardware=loaded.hardware)
    parts = np.split(both, np.cumsum(stages.widths)[:-1], axis=1)
    names = [f"stage-{place}" for place in range(1, len(parts))] + ["h"]
    found = dict(zip(names, parts, strict=True))
    return found | head_features(head, found["h"])


def head_features(head: nn.Sequential, h: Float32[np.ndarray, "n d"]) -> dict[str, Float32[np.ndarray, "n _"]]:
    """Layer of the head -> what it makes of h; nothing for the head none."""
    if not len(head):
        return {}
    device = next(head.parameters()).device
    with torch.inference_mode():
        outputs = layer_outputs(head, torch.from_numpy(np.ascontiguousarray(h)).to(device))
        found = {name: values.float().cpu().numpy() for name, values in outputs.items()}
    for name, values in found.items():
        require_finite(values, f"the head's layer {name}")
    return found
