"""An encoder with its preprocessing in one module that can be written as a graph: pixels in, h out.

Legend: n images of one size, H x W pixels, c channels, s x s the view that the encoder sees.
"""

import copy
from collections.abc import Callable

import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor, nn

from twofold.models.convolution import Convolution
from twofold.recipes.recipe import ViewsRecipe

_FAR = 1e6  # a distance at which every kernel is zero


class FromPixels(nn.Module):
    """Images (n, H, W, c) uint8, decoded and nothing else, -> h (n, d); with a classifier also probabilities (n, k).

    The view is that of `center_view`: the central square, resized antialiased by two products A X B^T. H and W may
    differ from call to call, which is why everything here is computed from tensors.
    """

    def __init__(self, encoder: nn.Module, views: ViewsRecipe, classifier: nn.Linear | None = None) -> None:
        super().__init__()
        self.encoder = plain(encoder)
        self.classifier = classifier
        self.size_px = views.embedding_px
        self.crop_fraction = views.eval_crop_fraction
        self.kernel = _KERNELS[views.interpolation]

    def forward(self, images: UInt8[Tensor, "n H W c"]) -> Tensor | tuple[Tensor, Tensor]:
        """As above."""
        h: Tensor = self.encoder(self.view(images))
        return h if self.classifier is None else (h, torch.softmax(self.classifier(h), dim=1))

    def view(self, images: UInt8[Tensor, "n H W c"]) -> Float[Tensor, "n c s s"]:
        """The central square of each image, s x s, in [0, 1]."""
        down, across = images[0, :, 0, 0], images[0, 0, :, 0]
        short = torch.minimum(_length(down), _length(across))
        side = torch.round(short * self.crop_fraction).clamp(min=1)
        pixels = images.permute(0, 3, 1, 2).to(torch.float32)
        resized = torch.matmul(torch.matmul(self._weights(down, side), pixels), self._weights(across, side).T)
        return (resized / 255).clamp(0, 1)

    def _weights(self, line: UInt8[Tensor, " L"], side: Float32[Tensor, ""]) -> Float32[Tensor, "s L"]:
        """The weights of `resize_weights` for the central `side` pixels of a line."""
        start = torch.round((_length(line) - side) / 2)
        scale = side / self.size_px
        shrink = 1 / scale.clamp(min=1)
        j = torch.cumsum(torch.ones_like(line, dtype=torch.float32), dim=0) - 0.5 - start
        taps = torch.where((j > 0) & (j < side), j * shrink, _FAR)
        i = (torch.arange(self.size_px, device=line.device) + 0.5) * scale * shrink
        weights = self.kernel((taps[None] - i[:, None]).abs())
        return weights / weights.sum(dim=1, keepdim=True)


def plain(module: nn.Module) -> nn.Module:
    """A copy on the CPU, in evaluation mode, in which every convolution is torch's own, as exporters expect."""
    copied = copy.deepcopy(module).cpu().eval()
    for part in copied.modules():
        if isinstance(part, Convolution):
            part.__class__ = nn.Conv2d  # type: ignore[assignment]
    return copied


def _length(line: Tensor) -> Float32[Tensor, ""]:
    """As a tensor: a graph then computes it from its input."""
    return torch.ones_like(line, dtype=torch.float32).sum()


def _bilinear(distance: Tensor) -> Tensor:
    return (1 - distance).clamp(min=0)


def _bicubic(distance: Tensor) -> Tensor:
    """2 k(|x|) as in the views; a factor falls out where the weights are divided by their sum."""
    t, u = (2 - distance).clamp(min=0), (1 - distance).clamp(min=0)
    return t * t * (t - 1) + u * u * (2 - 4 * u)


_KERNELS: dict[str, Callable[[Tensor], Tensor]] = {"bilinear": _bilinear, "bicubic": _bicubic}
