"""Colour profiles: from the colours that a file's profile means to sRGB."""

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

Transform = ImageCms.ImageCmsTransform

_SPACES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab ": "LAB"}  # of a profile -> Pillow's mode
_STEPS = 9  # of a channel, in the grid of colours that tells whether a profile changes anything


class UnknownProfileError(ValueError):
    """A profile that is damaged or belongs to images of another kind."""


@lru_cache(maxsize=64)
def to_srgb(profile: bytes, mode: str) -> Transform | None:
    """What turns an image of `mode` (L, RGB, RGBA, CMYK) with this profile into RGB or RGBA as sRGB has it.

    None where that changes no level by more than one, as for sRGB itself. Raises UnknownProfileError.
    """
    try:
        given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if _SPACES.get(given.profile.xcolor_space) != mode.removesuffix("A"):
            raise UnknownProfileError
        transform = _build(given, mode)
    except (ImageCms.PyCMSError, OSError) as error:
        raise UnknownProfileError from error
    return None if mode != "CMYK" and _is_idle(transform, mode) else transform


@lru_cache(maxsize=1)
def lab_to_srgb() -> Transform:
    """What turns an image of mode LAB (CIE L*a*b*, D50) into sRGB."""
    return _build(ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")), "LAB")


def apply(transform: Transform, image: Image.Image) -> Image.Image:
    """The image in sRGB."""
    changed = ImageCms.applyTransform(image, transform)
    assert changed is not None  # only in place there is none
    return changed


def _build(profile: ImageCms.ImageCmsProfile, mode: str) -> Transform:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    return ImageCms.buildTransform(profile, srgb, mode, "RGBA" if mode == "RGBA" else "RGB")


def _is_idle(transform: Transform, mode: str) -> bool:
    if mode == "L":
        colours = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    else:
        steps = np.linspace(0, 255, _STEPS).astype(np.uint8)
        grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(_STEPS, -1, 3)
        colours = Image.fromarray(grid).convert(mode)
    before, after = np.asarray(colours.convert("RGB"), int), np.asarray(apply(transform, colours).convert("RGB"), int)
    return bool(np.abs(before - after).max() <= 1)
