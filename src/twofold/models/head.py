"""g: h -> z, the projection head (paper, section 4.2; reference 4.2)."""

from collections import OrderedDict
from typing import overload

from jaxtyping import Float
from torch import Tensor, nn

from twofold.errors import require
from twofold.recipes.recipe import HeadRecipe

_DENSE_STD = 0.01


class ProjectionHead(nn.Sequential):
    """g: h (n, dim) -> z (n, z_dim), one block a dense layer, so that `head[:k]` gives the output of layer k.

    layers - 1 times (dense dim -> dim, batch norm, ReLU), then dense dim -> z_dim and batch norm: 2 layers are the
    paper's head, 1 is its linear one, and with 0 z = h, whatever z_dim. Dense layers have no bias and start normal with
    standard deviation 0.01; the last batch norm learns a scale but no shift. Raises TwofoldError for numbers out of
    range. Source: reference 4.2.

    >>> import torch
    >>> head = ProjectionHead(512, z_dim=128)
    >>> head(torch.rand(4, 512)).shape
    torch.Size([4, 128])
    """

    def __init__(self, dim: int, *, z_dim: int = 128, layers: int = 2) -> None:
        require(dim >= 1, "dim", dim, "at least 1", fix="Give the length of h.")
        require(z_dim >= 1, "z_dim", z_dim, "at least 1")
        require(layers >= 0, "layers", layers, "at least 0", fix="Give 2 for the paper's head.")
        blocks = [_block(dim, dim, last=False) for _ in range(layers - 1)]
        super().__init__(*blocks, *([_block(dim, z_dim, last=True)] if layers else []))

    @overload
    def __getitem__(self, index: slice) -> nn.Sequential: ...

    @overload
    def __getitem__(self, index: int) -> nn.Module: ...

    def __getitem__(self, index: int | slice) -> nn.Module:
        """A block, or several of them as a network."""
        return nn.Sequential(*list(self)[index]) if isinstance(index, slice) else super().__getitem__(index)


def build_head(recipe: HeadRecipe, *, dim: int) -> ProjectionHead:
    """The head that a recipe names: none, linear or nonlinear."""
    layers = {"none": 0, "linear": 1, "nonlinear": recipe.head_layers}
    return ProjectionHead(dim, z_dim=recipe.z_dim, layers=layers[recipe.head])


def layer_outputs(head: nn.Sequential, h: Float[Tensor, "n d"]) -> dict[str, Float[Tensor, "n _"]]:
    """What each layer of a head makes of h, by name: "head-1" for the first of a nonlinear one and so on, "z" the last.

    Each is the output of a whole block, (n, dim) after its ReLU or, for z, (n, z_dim). A linear head has z alone, the
    head none nothing. For figures along the head (paper, section 4.2, table 3).
    """
    outputs = {}
    for number, block in enumerate(head, start=1):
        h = block(h)
        outputs["z" if number == len(head) else f"head-{number}"] = h
    return outputs


def _block(in_dim: int, out_dim: int, *, last: bool) -> nn.Sequential:
    dense = nn.Linear(in_dim, out_dim, bias=False)
    nn.init.normal_(dense.weight, std=_DENSE_STD)
    norm = nn.BatchNorm1d(out_dim)
    parts: OrderedDict[str, nn.Module] = OrderedDict(dense=dense, norm=norm)
    if last:
        norm.bias.requires_grad_(False)  # stays zero: a shift common to all z would only hide what they differ in
    else:
        parts["relu"] = nn.ReLU(inplace=True)
    return nn.Sequential(parts)
