"""What every encoder is: a module that turns views into vectors of a known length."""

from jaxtyping import Float
from torch import Tensor, nn


class Encoder(nn.Module):
    """f: views -> h (paper, section 2.1). `dim` is the length of h; `size_px` the side of the views it was tried on.

    A network without a size of its own has size_px None.
    """

    dim: int
    size_px: int | None = None

    def forward(self, views: Float[Tensor, "n c s1 s2"]) -> Float[Tensor, "n d"]:
        """Views (n, c, s, s) in [0, 1] -> h (n, dim), which each network defines."""
        raise NotImplementedError
