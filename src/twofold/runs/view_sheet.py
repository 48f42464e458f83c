"""A sheet of view pairs: what the encoder really sees."""

import io

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from torch.nn import functional

from twofold.data.rgb import to_rgb

_PAIRS_ACROSS, _PAIRS_DOWN = 8, 4
SHEET_PAIRS = _PAIRS_ACROSS * _PAIRS_DOWN
_LEAST_SIDE_PX = 64


def view_sheet(views: Float[Tensor, "m c s s"]) -> bytes:
    """PNG of up to 32 pairs, the two of each side by side. `views` holds all a rows, then all b rows, in [0, 1]."""
    view_a, view_b = views.float().cpu().chunk(2)
    count = min(len(view_a), SHEET_PAIRS)
    scale = max(1, -(-_LEAST_SIDE_PX // views.shape[-1]))
    framed = zip(_frame(view_a[:count], scale, 2 * scale), _frame(view_b[:count], scale, 6 * scale), strict=True)
    pairs = [torch.cat(pair, dim=-1) for pair in framed]
    rows = [torch.cat(pairs[start : start + _PAIRS_ACROSS], dim=-1) for start in range(0, count, _PAIRS_ACROSS)]
    width = max(row.shape[-1] for row in rows)
    sheet = torch.cat([functional.pad(row, (0, width - row.shape[-1], 0, 0), value=1.0) for row in rows], dim=1)
    pixels = to_rgb(sheet.mul(255).round().clamp(0, 255).byte().permute(1, 2, 0).numpy())
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, format="PNG")
    return buffer.getvalue()


def _frame(images: Tensor, scale: int, right: int) -> Tensor:
    large = images.repeat_interleave(scale, dim=2).repeat_interleave(scale, dim=3)
    return functional.pad(large, (2 * scale, right, 2 * scale, 2 * scale), value=1.0)
