"""Crops of small images as linear maps: a crop that is shrunk to t places a side is A x B^T.

Legend: s pixels a side, t places a side, edges (first, last) of a crop as shares of the side.
"""

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

_LUMA = (0.299, 0.587, 0.114)  # of red, green and blue: BT.601, as JPEG has it
_CHROMA = 0.35  # weight of B - Y and R - Y, which JPEG keeps at half the size and less exactly


def colours(thumbs: UInt8[np.ndarray, "n s s 3"]) -> Float32[Tensor, "n 3 s s"]:
    """Y, 0.35 (B - Y) and 0.35 (R - Y), in 0 to 255 and -90 to 90."""
    luma = torch.tensor(_LUMA)
    blue, red = torch.tensor([0.0, 0.0, 1.0]) - luma, torch.tensor([1.0, 0.0, 0.0]) - luma
    pixels = torch.from_numpy(np.ascontiguousarray(thumbs)).float()
    return (pixels @ torch.stack([luma, _CHROMA * blue, _CHROMA * red], 1)).permute(0, 3, 1, 2).contiguous()


def averages(edges: Float32[Tensor, "*k 2"], side: int, parts: int) -> Float32[Tensor, "*k t s"]:
    """A: row i averages the pixels in the i-th of the parts between the edges, also of fractions of pixels."""
    first, last = edges[..., :1], edges[..., 1:]
    marks = side * (first + (last - first) * torch.linspace(0, 1, parts + 1))
    pixels = torch.arange(side)
    low = torch.maximum(marks[..., :-1, None], pixels)
    high = torch.minimum(marks[..., 1:, None], pixels + 1)
    inside = (high - low).clamp(min=0)
    return inside / inside.sum(-1, keepdim=True)
