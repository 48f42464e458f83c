"""An augmentation as a user writes one."""

import torch
from torch import Generator, Tensor


class Darken:
    """Darker by up to `most`, a little more towards the right: two tensors a view."""

    name = "darken"

    def __init__(self, most: float = 0.5) -> None:
        self.most = most

    def draw(self, m: int, generator: Generator) -> tuple[Tensor, Tensor]:
        return self.most * torch.rand(m, generator=generator), torch.randint(1, 3, (m,), generator=generator)

    def apply(self, images: Tensor, values: tuple[Tensor, Tensor]) -> Tensor:
        dark, times = (one[:, None, None, None] for one in values)
        return images * (1 - dark * times / 2) * torch.linspace(1, 0.9, images.shape[3], device=images.device)
