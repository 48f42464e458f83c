"""The first convolution for images of another kind: other channels, another normalisation."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Normalization:
    """What a network expects of its images: (x - mean) / std for each channel of x in [0, 1]."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def is_none(self) -> bool:
        """Whether it changes nothing."""
        return set(self.mean) == {0.0} and set(self.std) == {1.0}


NONE = Normalization((0.0,), (1.0,))
IMAGENET = Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def with_channels(weight: Float[Tensor, "k c h w"], channels: int) -> Float[Tensor, "k channels h w"]:
    """A convolution's kernels for images of another number of channels: a gray image gets the same response.

    More channels: the kernels are repeated in turn (channel j gets that of j mod c), each divided by how often it
    occurs. Fewer: every channel gets the sum of the kernels divided by their number. So the kernels' sum over channels,
    which is the response to an image whose channels are equal, stays.

    >>> with_channels(torch.tensor([4.0, 6.0, 5.0]).reshape(1, 3, 1, 1), 5).flatten().tolist()
    [2.0, 3.0, 5.0, 2.0, 3.0]
    >>> with_channels(torch.tensor([4.0, 6.0, 5.0]).reshape(1, 3, 1, 1), 1).flatten().tolist()
    [15.0]
    """
    given = weight.shape[1]
    if channels == given:
        return weight
    if channels < given:
        return (weight.sum(dim=1, keepdim=True) / channels).repeat(1, channels, 1, 1)
    source = torch.arange(channels) % given
    copies = torch.bincount(source, minlength=given)[source]
    return weight[:, source] / copies[:, None, None]


def without_normalization(
    weights: Mapping[str, Tensor], first: str, normalization: Normalization
) -> dict[str, Tensor] | None:
    """The weights for images that are not normalised, or None where they cannot take it in.

    The network's first convolution, whose kernels are called `first`, computes W * (x - mean) / std. That is
    (W / std) * x - b with b = sum W mean / std, the same at every place where the kernel does not reach over the border
    (which was padded with the mean, and is with black). b is subtracted from the convolution's bias or added to the
    running mean of the batch norm that follows. Without either it has no place.
    """
    kernels = weights[first]
    shape = (1, -1, 1, 1)
    mean, std = (torch.tensor(values, dtype=kernels.dtype).reshape(shape) for values in vars(normalization).values())
    if mean.shape[1] not in (1, kernels.shape[1]):
        return None
    shift = (kernels * mean / std).sum(dim=(1, 2, 3))
    names = list(weights)
    following = names[names.index(first) + 1 :]
    bias = first.removesuffix("weight") + "bias"
    norm = next((n for n in following if n.endswith("running_mean") and weights[n].shape == shift.shape), None)
    if bias in weights:
        return {**weights, first: kernels / std, bias: weights[bias] - shift}
    if norm is not None:
        return {**weights, first: kernels / std, norm: weights[norm] + shift}
    return None
