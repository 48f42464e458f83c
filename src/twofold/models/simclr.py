"""The model that is trained: encoder, then head."""

from jaxtyping import Float
from torch import Tensor, nn

from twofold.models import Encoder


class SimCLR(nn.Module):
    """views -> h = f(views) -> z = g(h) (paper, figure 2). h is kept after training, z is only for the loss.

    >>> import torch
    >>> from twofold.models import ResNet
    >>> from twofold.models.head import ProjectionHead
    >>> encoder = ResNet(10, stem="small", width=0.25)
    >>> h, z = SimCLR(encoder, ProjectionHead(encoder.dim, z_dim=16))(torch.rand(4, 3, 16, 16))
    >>> h.shape, z.shape
    (torch.Size([4, 128]), torch.Size([4, 16]))
    """

    encoder: Encoder
    head: nn.Module
    frozen: list[nn.Module]  # parts that stay in evaluation mode: their batch norm keeps its statistics

    def __init__(self, encoder: Encoder, head: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.frozen = []

    def train(self, mode: bool = True) -> "SimCLR":
        """Training or evaluation mode, but for the frozen parts."""
        super().train(mode)
        for part in self.frozen:
            part.eval()
        return self

    def forward(self, views: Float[Tensor, "n c s1 s2"]) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n p"]]:
        """Views (n, c, s, s) in [0, 1] -> h (n, d) and z (n, p); both views of the images in one call."""
        h = self.encoder(views)
        return h, self.head(h)
