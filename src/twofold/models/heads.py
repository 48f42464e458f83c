"""g: h -> z, the projection head (paper, section 4.2; reference 4.2)."""

from collections import OrderedDict

from jaxtyping import Float
from torch import Tensor, nn

from twofold.recipes.recipe import HeadRecipe

_DENSE_STD = 0.01


def build_head(recipe: HeadRecipe, *, dim: int) -> nn.Sequential:
    """The head for vectors h of length `dim`, one block a dense layer, so `head[:k]` gives the output of layer k.

    none: no block, z = h. linear: dense -> batch norm. nonlinear: head_layers - 1 times (dense dim -> dim, batch norm,
    ReLU), then dense -> batch norm. Dense layers have no bias and start normal with standard deviation 0.01; the last
    batch norm learns a scale but no shift. (n, dim) -> (n, z_dim), or (n, dim) for none. Source: reference 4.2.
    """
    if recipe.head == "none":
        return nn.Sequential()
    hidden = recipe.head_layers - 1 if recipe.head == "nonlinear" else 0
    blocks = [_block(dim, dim, last=False) for _ in range(hidden)]
    return nn.Sequential(*blocks, _block(dim, recipe.z_dim, last=True))


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
