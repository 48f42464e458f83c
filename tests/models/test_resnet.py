"""ResNet encoders: torchvision's names, numbers and answers, and the shapes that torchvision does not have."""

from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor, nn
from torchvision import models

from twofold.errors import TwofoldError
from twofold.models import ResNet, build_encoder
from twofold.models.matching import match, rename
from twofold.models.resnet import BasicBlock, Bottleneck
from twofold.recipes.recipe import EncoderRecipe

TWINS = {18: models.resnet18, 34: models.resnet34, 50: models.resnet50, 101: models.resnet101, 152: models.resnet152}


def _on_meta(build: Callable[..., nn.Module], *values: object, **settings: object) -> nn.Module:
    with torch.device("meta"):  # shapes only: no memory, no time
        return build(*values, **settings)


def _shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in module.state_dict().items() if not name.startswith("fc.")}


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _stir(module: nn.Module, seed: int = 0) -> None:
    """Statistics and gammas that make every layer matter."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.weight.uniform_(0.5, 1.0, generator=generator)
                part.bias.uniform_(-0.2, 0.2, generator=generator)
                part.running_mean.uniform_(-0.2, 0.2, generator=generator)
                part.running_var.uniform_(0.5, 2.0, generator=generator)


def _views(n: int = 2, c: int = 3, s: int = 64) -> Tensor:
    return torch.rand(n, c, s, s, generator=torch.Generator().manual_seed(7))


def _load(ours: ResNet, weights: Mapping[str, torch.Tensor]) -> None:
    matched = match(rename(weights, ours), ours)
    assert matched.fits
    ours.load_state_dict({**ours.state_dict(), **matched.tensors})


@pytest.mark.parametrize("depth", TWINS)
def test_names_shapes_and_count_are_torchvision_s(depth: int) -> None:
    ours, theirs = _on_meta(ResNet, depth), _on_meta(TWINS[depth])
    assert _shapes(ours) == _shapes(theirs)
    assert list(_shapes(ours)) == list(_shapes(theirs))
    assert _count(ours) == _count(theirs) - _count(theirs.fc)


@pytest.mark.parametrize("depth", [18, 50])
def test_torchvision_s_weights_give_torchvision_s_answers(depth: int) -> None:
    theirs = TWINS[depth]()
    _stir(theirs)
    ours = ResNet(depth)
    _load(ours, theirs.state_dict())
    theirs.fc = nn.Identity()
    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(_views()), theirs.eval()(_views()))


@pytest.mark.parametrize("depth", [34, 50])
def test_our_weights_give_our_answers_in_torchvision(depth: int) -> None:
    ours = ResNet(depth)
    _stir(ours)
    theirs = TWINS[depth]()
    missing, unexpected = theirs.load_state_dict(ours.state_dict(), strict=False)
    assert (set(missing), unexpected) == ({"fc.weight", "fc.bias"}, [])
    theirs.fc = nn.Identity()
    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(_views()), theirs.eval()(_views()))


def test_the_comparison_sees_a_stride_in_the_wrong_convolution() -> None:
    theirs = models.resnet50()
    _stir(theirs)
    ours = ResNet(50)
    _load(ours, theirs.state_dict())
    for block in ours.modules():
        if isinstance(block, Bottleneck):
            block.conv1.stride, block.conv2.stride = block.conv2.stride, block.conv1.stride
    theirs.fc = nn.Identity()
    with torch.no_grad(), pytest.raises(AssertionError, match="not close"):
        torch.testing.assert_close(ours.eval()(_views()), theirs.eval()(_views()))


def test_one_training_step_moves_the_statistics_as_torchvision_does() -> None:
    theirs, ours = models.resnet18(), ResNet(18)
    _load(ours, theirs.state_dict())
    theirs.fc = nn.Identity()
    torch.testing.assert_close(ours(_views(4)), theirs(_views(4)))
    for name, value in ours.state_dict().items():
        torch.testing.assert_close(value, theirs.state_dict()[name])


def test_a_grey_encoder_answers_as_the_colour_one_does_to_repeated_grey() -> None:
    theirs = models.resnet18()
    _stir(theirs)
    grey = ResNet(18, channels=1)
    _load(grey, theirs.state_dict())
    theirs.fc = nn.Identity()
    with torch.no_grad():
        answer = theirs.eval()(_views(c=1).expand(-1, 3, -1, -1))
        torch.testing.assert_close(grey.eval()(_views(c=1)), answer, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("settings", [{"depth": 34}, {"depth": 18, "width": 2.0}])
def test_weights_of_another_shape_do_not_fit(settings: dict[str, float]) -> None:
    assert not match(rename(models.resnet18().state_dict(), ours := ResNet(**settings)), ours).fits


def test_of_another_stem_the_first_convolution_alone_is_missing_and_named() -> None:
    found = match(rename(models.resnet18().state_dict(), ours := ResNet(depth=18, stem="small")), ours)
    assert found.missing == {"conv1.weight": "(64, 3, 7, 7), not (64, 3, 3, 3)"}


@pytest.mark.parametrize(
    ("depth", "width", "dim"),
    [(10, 1.0, 512), (18, 2.0, 1024), (50, 1.0, 2048), (50, 4.0, 8192), (200, 1.0, 2048), (18, 0.25, 128)],
)
def test_dim_follows_depth_and_width(depth: int, width: float, dim: int) -> None:
    encoder = _on_meta(ResNet, depth, width=width)
    assert encoder.dim == dim
    assert encoder(torch.empty(2, 3, 64, 64, device="meta")).shape == (2, dim)


def test_depth_counts_the_layers_with_weights() -> None:
    for depth in (10, 18, 34, 50, 101, 152, 200):
        encoder = _on_meta(ResNet, depth)
        on_the_path = [
            name for name, part in encoder.named_modules() if isinstance(part, nn.Conv2d) and "down" not in name
        ]
        assert len(on_the_path) + 1 == depth  # the classifier that is not there


@pytest.mark.parametrize("width", [0.25, 0.3, 0.5, 0.7, 1.5, 3.0, 4.0])
def test_every_width_is_scaled_to_a_multiple_of_eight(width: float) -> None:
    wide, plain = _on_meta(ResNet, 50, width=width), _on_meta(ResNet, 50)
    pairs = list(zip(wide.modules(), plain.modules(), strict=True))
    convolutions = [(a, b) for a, b in pairs if isinstance(a, nn.Conv2d)]
    assert convolutions[0][0].in_channels == 3
    for ours, one in convolutions:
        assert ours.out_channels % 8 == 0
        assert abs(ours.out_channels - width * one.out_channels) <= 16  # at most 4, times the bottleneck's expansion


@pytest.mark.parametrize("stages", [1, 2, 3, 4])
@pytest.mark.parametrize(("depth", "expansion"), [(18, 1), (50, 4)])
def test_only_the_first_stages_are_built(depth: int, expansion: int, stages: int) -> None:
    encoder = _on_meta(ResNet, depth, stages=stages, stem="small")
    whole = _shapes(_on_meta(ResNet, depth, stem="small"))
    kept = tuple(["conv1", "bn1"] + [f"layer{index + 1}" for index in range(stages)])
    assert _shapes(encoder) == {name: shape for name, shape in whole.items() if name.startswith(kept)}
    assert encoder.dim == 64 * 2 ** (stages - 1) * expansion
    assert encoder(torch.empty(2, 3, 32, 32, device="meta")).shape == (2, encoder.dim)


@pytest.mark.parametrize(("stem", "kernel", "side"), [("imagenet", 7, 16), ("small", 3, 64), ("strided", 3, 32)])
def test_stems(stem: str, kernel: int, side: int) -> None:
    encoder = _on_meta(ResNet, 10, stem=stem, stages=1)
    assert encoder.conv1.kernel_size == (kernel, kernel)
    inputs: list[torch.Size] = []
    encoder.layer1.register_forward_pre_hook(lambda _, values: inputs.append(values[0].shape))
    encoder(torch.empty(2, 3, 64, 64, device="meta"))
    assert inputs == [(2, 64, side, side)]


def test_small_stem_count_is_the_published_one() -> None:
    assert _count(_on_meta(ResNet, 18, stem="small")) == 11_168_832


@pytest.mark.parametrize("depth", [18, 50])
def test_zero_init_makes_every_block_its_shortcut(depth: int) -> None:
    encoder = ResNet(depth, width=0.25, stem="small")
    blocks = [block for block in encoder.modules() if isinstance(block, BasicBlock | Bottleneck)]
    for block in blocks:
        x = torch.rand(4, block.conv1.in_channels, 8, 8)
        shortcut = x if block.downsample is None else block.downsample(x)
        torch.testing.assert_close(block(x), shortcut.clamp(min=0))
    last = "bn2" if depth == 18 else "bn3"
    gammas = {name: part.weight for name, part in encoder.named_modules() if isinstance(part, nn.BatchNorm2d)}
    zero = {name for name, gamma in gammas.items() if not gamma.any()}
    assert zero == {name for name in gammas if name.startswith("layer") and name.endswith(last)}
    assert all((gamma == 1).all() for name, gamma in gammas.items() if name not in zero)


def test_without_zero_init_every_gamma_is_one() -> None:
    encoder = ResNet(18, width=0.25, zero_init=False)
    assert all((part.weight == 1).all() for part in encoder.modules() if isinstance(part, nn.BatchNorm2d))


def test_kernels_start_with_he_s_variance_over_the_fan_out() -> None:
    torch.manual_seed(0)
    for part in ResNet(18).modules():
        if isinstance(part, nn.Conv2d):
            fan_out = part.out_channels * part.kernel_size[0] ** 2
            assert part.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.05)


def test_in_evaluation_a_picture_does_not_see_its_neighbours() -> None:
    encoder = ResNet(10, width=0.25, stem="small").eval()
    views = _views(5, s=16)
    with torch.no_grad():
        alone = torch.cat([encoder(view[None]) for view in views])
        torch.testing.assert_close(encoder(views), alone)


def test_channels_last_changes_nothing() -> None:
    encoder = ResNet(10, width=0.25, stem="small").eval()
    with torch.no_grad():
        h = encoder(_views(2, s=16))
        encoder.to(memory_format=torch.channels_last)
        torch.testing.assert_close(encoder(_views(2, s=16).contiguous(memory_format=torch.channels_last)), h)


def test_the_recipe_reaches_the_encoder() -> None:
    recipe = EncoderRecipe(encoder="resnet34", width=0.5, stages=3, stem="strided", zero_init=False)
    encoder = build_encoder(recipe, channels=1)
    assert isinstance(encoder, ResNet)
    expected = ResNet(34, channels=1, width=0.5, stages=3, stem="strided", zero_init=False)
    assert _shapes(encoder) == _shapes(expected)
    assert encoder.conv1.stride == (2, 2)
    assert encoder.layer1[0].bn2.weight.all()
    assert encoder.dim == 128


@pytest.mark.parametrize(
    "settings", [{"depth": 19}, {"depth": 18, "stem": "smal"}, {"depth": 18, "width": 5.0}, {"depth": 18, "stages": 0}]
)
def test_refuses_shapes_that_it_does_not_have(settings: dict[str, float | str]) -> None:
    with pytest.raises(TwofoldError, match=r"unknown (encoder|stem)|must be"):
        ResNet(**settings)
