"""Every built-in op is an object of the kind that a user's own is."""

import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

from twofold.recipes.augmentation import OPS, as_ops, parse_op
from twofold.recipes.recipe import ViewsRecipe
from twofold.views import Augmentation, TwoViews, build_augmentation, build_policy, sample_rows
from twofold.views.augmentations import (
    BUILT_IN,
    Blur,
    BuiltIn,
    Crop,
    Flip,
    Jitter,
    Noise,
    Rotate,
    RotateDegrees,
    VerticalFlip,
)

EVERY = pytest.mark.parametrize("name", OPS)
IDENTITIES: dict[str, tuple[BuiltIn, list[float]]] = {  # an op, and the numbers with which it changes nothing
    "crop": (Crop(0.5, 1.0), [1.0] * 10 + [0.0] * 12),
    "jitter": (Jitter(0.8, 0.8, 0.8, 0.2), [1.0, 1.0, 1.0, 0.0, 2.0, 0.0, 3.0, 1.0]),
    "blur": (Blur(0.1, 2.0), [0.0]),
    "noise": (Noise(0.0, 0.1), [0.0, 7.0]),
    "rotate": (Rotate(0.0, 3.0), [4.0]),
    "rotate-degrees": (RotateDegrees(-180.0, 180.0), [0.0]),
}


def images() -> Tensor:
    return torch.rand(5, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def test_there_is_an_object_for_every_op() -> None:
    assert {*BUILT_IN} == {*OPS}


@EVERY
def test_it_is_an_augmentation_and_data_at_once(name: str) -> None:
    op = parse_op(name)
    built = build_augmentation(op)
    assert isinstance(built, Augmentation)
    assert as_ops((built,)) == (op,), "in a list of ops it becomes data"


@EVERY
def test_what_it_draws_alone_is_what_a_policy_draws(name: str) -> None:
    """After the numbers that say where it acts, which come first from the same generator."""
    built, m = build_augmentation(parse_op(name)), 5
    generator = torch.Generator().manual_seed(3)
    values = built.draw(m, generator)
    assert isinstance(values, Tensor)
    assert len(values) == m
    drawn = sample_rows((parse_op(name),), m, seed=0, step=0)[0].values
    assert drawn.shape == values.shape
    changed = built.apply(images(), values)  # type: ignore[arg-type]
    assert changed.shape == (m, 3, 16, 16)
    assert 0 <= changed.amin() <= changed.amax() <= 1


@pytest.mark.parametrize("name", IDENTITIES)
def test_identity_numbers_return_the_image(name: str) -> None:
    built, numbers = IDENTITIES[name]
    found = built.apply(images(), torch.tensor([numbers] * 5))
    torch.testing.assert_close(found, images(), atol=2e-6, rtol=0)
    columns = built.columns(torch.zeros(5, dtype=torch.bool), torch.tensor([numbers] * 5), 16)
    torch.testing.assert_close(built.apply_alike(images(), columns), images(), atol=2e-6, rtol=0)


@pytest.mark.parametrize(("kind", "torchvisions"), [(Flip, "horizontal_flip"), (VerticalFlip, "vertical_flip")])
def test_flips_equal_torchvision(kind: type[Flip], torchvisions: str) -> None:
    """By themselves, on one large view in place, and on a device, where a column says which views they act on."""
    nothing, expected = torch.empty(5, 0), getattr(functional, torchvisions)(images())
    assert torch.equal(kind().apply(images(), nothing), expected)
    one = images()[:1]
    kind().apply_to_one(one, nothing[0])
    assert torch.equal(one, expected[:1])
    due = torch.tensor([True, False, True, True, False])
    alike = kind.apply_alike(images(), kind.columns(due, nothing, 16))
    assert torch.equal(alike, torch.where(due[:, None, None, None], expected, images()))


def test_the_named_policies_are_made_of_them() -> None:
    assert all(isinstance(build_augmentation(op), BuiltIn) for op in build_policy(ViewsRecipe(rotate_degrees=10.0)))
    by_object, by_name = (TwoViews(ops, size_px=16) for ops in (("crop", Blur(0.1, 2.0)), ("crop", "blur")))
    assert torch.equal(by_object(images()), by_name(images()))
