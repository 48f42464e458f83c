"""From drawn fractions and the images' sizes to whole-pixel boxes: (top, left, height, width), int64, on the CPU."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

ATTEMPTS = 10  # boxes tried before the central fallback, as in torchvision
ASPECT = (3 / 4, 4 / 3)  # width / height of a crop: low, high


def crop_boxes(values: Float[Tensor, "n 22"], sizes: Int64[Tensor, "n 2"]) -> Int64[Tensor, "n 4"]:
    """The crop of each image: the first of the attempts that fits, else the largest central box of a fair aspect.

    The law is that of torchvision's RandomResizedCrop: area fraction uniform, log aspect uniform in log 3/4 .. log 4/3,
    height = round(sqrt(area / aspect)), width = round(sqrt(area * aspect)), position uniform among those that fit.
    `sizes` holds (height, width) in pixels.
    """
    drawn = values.cpu().double()
    areas, log_aspects, position = drawn[:, :ATTEMPTS], drawn[:, ATTEMPTS:-2], drawn[:, -2:]
    full = sizes.cpu()
    area_px = areas * full.prod(dim=1, keepdim=True)
    aspects = log_aspects.exp()
    tried = torch.stack([(area_px / aspects).sqrt().round(), (area_px * aspects).sqrt().round()], dim=2).long()
    fits = ((tried > 0) & (tried <= full[:, None])).all(dim=2)
    first = fits.byte().argmax(dim=1)
    found = fits.any(dim=1, keepdim=True)
    extent = torch.where(found, tried[torch.arange(len(first)), first], _fair_extent(full))
    room = full - extent
    # float32 uniforms stay below 1, so the floor never exceeds `room`
    corner = torch.where(found, (position * (room + 1)).floor().long(), room // 2)
    return torch.cat([corner, extent], dim=1)


def central_boxes(sizes: Int64[Tensor, "n 2"], crop_fraction: float = 1.0) -> Int64[Tensor, "n 4"]:
    """The central square of each image whose side is `crop_fraction`, in (0, 1], of the image's short side."""
    full = sizes.cpu()
    side = (torch.minimum(full[:, :1], full[:, 1:]) * crop_fraction).round().long().clamp(min=1).expand(-1, 2)
    corner = ((full - side) / 2).round().long()
    return torch.cat([corner, side], dim=1)


def _fair_extent(full: Tensor) -> Tensor:
    height, width = full.double().unbind(dim=1)
    fair_height = torch.minimum(height, (width / ASPECT[0]).round())
    fair_width = torch.minimum(width, (height * ASPECT[1]).round())
    return torch.stack([fair_height, fair_width], dim=1).long()
