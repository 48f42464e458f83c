"""Views of a device, where every image takes the same way, are those of the CPU, where each takes its own."""

import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from twofold.recipes.augmentation import OPS
from twofold.recipes.recipe import Op, ViewsRecipe
from twofold.views import Draw, build_policy, one_view, sample_rows, sample_views, two_views
from twofold.views.augmentations import Grayscale
from twofold.views.ops import alike
from twofold.views.ops import crop as crop_module
from twofold.views.ops.crop import crop, line_weights, resize_lines, resize_weights
from twofold.views.packed import FRAME, pack
from twofold.views.uniform import uniform_views

CLOSE = 3e-6
RANGES = {
    "crop": (0.3, 0.8),
    "jitter": (0.8, 0.8, 0.8, 0.2),
    "blur": (0.1, 2.0),
    "cutout": (0.05, 0.4),
    "noise": (0.0, 0.2),
    "rotate": (0.0, 3.0),
    "rotate-degrees": (-180.0, 180.0),
    "solarise": (0.2, 0.9),
    "channel-jitter": (0.4, 0.1, 0.4),
}


def batch(n: int, channels: int = 3) -> tuple[Tensor, Tensor]:
    """Images of different sizes on one canvas; beyond an image lies what must not be read."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (n, channels, 40, 56), dtype=torch.uint8, generator=generator)
    sizes = torch.stack([torch.randint(1, most + 1, (n,), generator=generator) for most in (40, 56)], dim=1)
    return images, sizes


def uniformly(images: Tensor, sizes: Tensor, draws: Sequence[Draw], size_px: int, interpolation: str) -> Tensor:
    packed = pack(draws, sizes.repeat(2, 1), size_px=size_px)
    return uniform_views(images, packed, size_px=size_px, interpolation=interpolation)


def an_op(name: str, prob: float) -> Op:
    # a crop that is not the first op belongs to one view of the two
    return Op(name=name, prob=prob, range=RANGES.get(name, ()), branch="b" if name == "crop" else "each")


EVERY_OP = (Op(name="crop", prob=0.8, range=(0.08, 1.0)), *(an_op(name, 0.5) for name in OPS), an_op("flip", 0.5))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("size_px", "interpolation"), [(24, "bilinear"), (24, "bicubic"), (100, "bicubic")])
@pytest.mark.parametrize(
    "ops",
    [(), build_policy(ViewsRecipe()), build_policy(ViewsRecipe(one_branch=True)), EVERY_OP],
    ids=["no op", "simclr", "one branch", "every op"],
)
def test_they_are_the_views_of_a_cpu(ops: tuple[Op, ...], size_px: int, interpolation: str, channels: int) -> None:
    images, sizes = batch(24, channels)
    draws = sample_views(ops, 24, seed=1, step=3)  # of step 2 three pixels lie at solarise's threshold, to rounding
    expected = two_views(images, sizes, draws, size_px=size_px, interpolation=interpolation)
    found = uniformly(images, sizes, draws, size_px, interpolation)
    torch.testing.assert_close(found, expected, rtol=0, atol=CLOSE * (2 if ops == EVERY_OP else 1))


@pytest.mark.parametrize("name", OPS)
@pytest.mark.parametrize("prob", [0.0, 0.5, 1.0])
def test_each_op_alone(name: str, prob: float) -> None:
    """Its own comparison, so that no other op hides what it does; where it does not act, nothing changes at all."""
    images, sizes = batch(24)
    draws = sample_views((Op(name="crop", range=(0.2, 1.0)), an_op(name, prob)), 24, seed=3, step=0)
    found = uniformly(images, sizes, draws, 24, "bicubic")
    torch.testing.assert_close(
        found, two_views(images, sizes, draws, size_px=24, interpolation="bicubic"), rtol=0, atol=CLOSE
    )
    without = uniformly(images, sizes, draws[:1], 24, "bicubic")
    rests = ~draws[1].active
    if name != "crop":  # a box that is the whole view is cut out by arithmetic
        assert torch.equal(found[rests], without[rests])
    if prob == 1.0:
        assert not torch.equal(found, without)


def test_one_view_of_each_image() -> None:
    images, sizes = batch(10)
    draws = sample_rows(build_policy(ViewsRecipe()), 10, seed=0, step=0)
    found = uniform_views(images, pack(draws, sizes, size_px=24), size_px=24, interpolation="bicubic")
    expected = one_view(images, sizes, draws, size_px=24, interpolation="bicubic")
    torch.testing.assert_close(found, expected, rtol=0, atol=CLOSE)


def test_some_canvases_at_a_time_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    images, sizes = batch(10)
    draws = sample_views(build_policy(ViewsRecipe()), 10, seed=0, step=0)
    whole = uniformly(images, sizes, draws, 24, "bicubic")
    monkeypatch.setattr(crop_module, "_MOST_ELEMENTS", 3 * images[0].numel())
    torch.testing.assert_close(uniformly(images, sizes, draws, 24, "bicubic"), whole, rtol=0, atol=1e-6)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_weights_of_a_line_are_those_of_a_resize(interpolation: str) -> None:
    generator = torch.Generator().manual_seed(0)
    extent = torch.randint(1, 60, (50,), generator=generator)
    start = (torch.rand(50, generator=generator) * (60 - extent)).long()
    flipped = torch.rand(50, generator=generator) < 0.5
    boxes = torch.stack([start, start, extent, extent], dim=1)
    for lines, mirrored in zip(resize_lines(boxes, size_px=24, flipped=flipped), (None, flipped), strict=True):
        found = line_weights(lines, extent_px=60, size_px=24, interpolation=interpolation)
        how = {"extent_px": 60, "size_px": 24, "interpolation": interpolation}
        torch.testing.assert_close(found, resize_weights(start, extent, flipped=mirrored, **how), rtol=0, atol=2e-6)


def test_padding_is_never_read() -> None:
    images, sizes = batch(10)
    draws = sample_views(EVERY_OP, 10, seed=0, step=0)
    expected = uniformly(images, sizes, draws, 24, "bicubic")
    for image, (height, width) in zip(images, sizes.tolist(), strict=True):
        image[:, height:], image[:, :, width:] = 255, 255
    assert torch.equal(uniformly(images, sizes, draws, 24, "bicubic"), expected)


def test_every_op_has_its_columns() -> None:
    """As many as the table of `packed` says; crop and flip at the front lie in the frame."""
    _, sizes = batch(4)
    drawn = {name: sample_rows((Op(name=name, range=RANGES.get(name, ())),), 4, seed=0, step=0) for name in OPS}
    widths = {name: pack(draws, sizes, size_px=24).columns.shape[1] - FRAME for name, draws in drawn.items()}
    assert widths == {
        "crop": 0,
        "flip": 0,
        "vertical-flip": 1,
        "jitter": 19,
        "grayscale": 1,
        "blur": 1,
        "cutout": 3,
        "sobel": 1,
        "noise": 2,
        "rotate": 1,
        "rotate-degrees": 1,
        "solarise": 1,
        "channel-jitter": 96,
        "channel-drop": 1,
    }


@pytest.mark.parametrize(
    ("owner", "broken"), [(alike, "move_to_pivot"), (alike, "shift_hue"), (Grayscale, "apply_alike")]
)
def test_an_op_that_does_nothing_is_seen(owner: Any, broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner, broken, lambda views, _: views)
    with pytest.raises(AssertionError):
        test_they_are_the_views_of_a_cpu(build_policy(ViewsRecipe()), 24, "bicubic", 3)


def test_a_crop_on_a_device_is_asked_for_by_lines() -> None:
    """`crop` itself on the CPU, beside the way that a device takes."""
    images, sizes = batch(12)
    boxes = torch.cat([torch.zeros(12, 2, dtype=torch.int64), sizes], dim=1)
    down, across = resize_lines(boxes, size_px=16)
    found = crop_module.crop_alike(images, down, across, size_px=16, interpolation="bicubic")
    expected = crop(images, boxes, size_px=16, interpolation="bicubic")
    torch.testing.assert_close(found, expected, rtol=0, atol=CLOSE)


# In a process of its own: here every function is wrapped by checks of its types, which a compiler cannot see through.
_TRACED = """
import torch
import torch._dynamo.testing
from twofold.recipes.recipe import Op, ViewsRecipe
from twofold.views import build_policy, sample_views, uniform
from twofold.views.packed import pack

images = torch.randint(0, 256, (6, 3, 40, 56), dtype=torch.uint8)
sizes = torch.tensor([[40, 56], [20, 30]]).repeat(3, 1)
seen = torch._dynamo.testing.CompileCounter()
made = torch.compile(uniform._changed, dynamic=False, fullgraph=True, backend=seen)
for step in range(3):
    ops = (*build_policy(ViewsRecipe(rotate_degrees=30.0)), Op(name="cutout", prob=0.5, range=(0.1, 0.3)))
    draws = sample_views(ops, 6, seed=0, step=step)
    packed = pack(draws, sizes.repeat(2, 1), size_px=24)
    plain = uniform.uniform_views(images, packed, size_px=24, interpolation="bicubic")
    found = made(uniform._crop(images, packed.frame(), 24, "bicubic"), packed.each(), "bicubic", {})
    torch.testing.assert_close(found, plain)
print("graphs", seen.frame_count)
"""


def test_a_compiler_sees_one_graph() -> None:
    """Traced whole, without a break, and once for all draws."""
    done = subprocess.run([sys.executable, "-c", _TRACED], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["graphs", "1"], done.stderr
