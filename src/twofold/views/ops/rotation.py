"""Rotations: pure functions of whole batches.

Legend: n images, c channels, s x s or h x h pixels.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def rotate_degrees(images: Float[Tensor, "n c s s"], degrees: Float[Tensor, "n"]) -> Float[Tensor, "n c s s"]:
    """Each square image turned counter-clockwise about its centre by its own angle, bilinear.

    What comes in at the corners is the image mirrored at its edges. Equals torchvision's rotate of an image padded with
    the mode "symmetric".
    """
    angle = degrees * (math.pi / 180)
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    turn = torch.stack([cos, -sin, zero, sin, cos, zero], dim=1).view(-1, 2, 3)
    grid = functional.affine_grid(turn, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def rotate(images: Float[Tensor, "n c h h"], turns: Float[Tensor, "n"]) -> Float[Tensor, "n c h h"]:
    """Each square image turned counter-clockwise by its whole number of quarter turns."""
    rotated = images.clone()
    quarter = turns.cpu().round().long() % 4
    for k in (1, 2, 3):
        rows = (quarter == k).nonzero()[:, 0].to(images.device)
        if len(rows):
            rotated[rows] = images[rows].rot90(k, dims=(2, 3))
    return rotated
