"""ResNet encoders of any depth and width, for large and small images (paper, section 2.1; reference 4.1).

Names of parameters and buffers are torchvision's, so weights travel in both directions.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from twofold.errors import TwofoldError, unknown_name
from twofold.models.convolution import Convolution
from twofold.models.encoder import Encoder

BLOCKS: dict[int, tuple[int, int, int, int]] = {  # depth -> residual blocks in each stage
    10: (1, 1, 1, 1),
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
    200: (3, 24, 36, 3),
}
STEMS: dict[str, tuple[int, int]] = {"imagenet": (7, 2), "small": (3, 1), "strided": (3, 2)}  # kernel, stride
_BASE_WIDTHS = (64, 128, 256, 512)
_FIRST_BOTTLENECK_DEPTH = 50


class BasicBlock(nn.Module):
    """Two 3x3 convolutions, the first with the stride, and a shortcut around both."""

    expansion = 1

    def __init__(self, in_width: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _convolution(in_width, width, 3, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _convolution(width, width, 3)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(in_width, width, stride)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c2 h2 w2"]:
        """relu(branch(x) + shortcut(x))."""
        y = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        y += x if self.downsample is None else self.downsample(x)
        return functional.relu(y, inplace=True)


class Bottleneck(nn.Module):
    """1x1, 3x3 with the stride, 1x1 to four times the width, and a shortcut around all three."""

    expansion = 4

    def __init__(self, in_width: int, width: int, stride: int) -> None:
        super().__init__()
        out_width = self.expansion * width
        self.conv1 = _convolution(in_width, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _convolution(width, width, 3, stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = _convolution(width, out_width, 1)
        self.bn3 = nn.BatchNorm2d(out_width)
        self.downsample = _shortcut(in_width, out_width, stride)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c2 h2 w2"]:
        """relu(branch(x) + shortcut(x))."""
        y = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        y = functional.relu(self.bn2(self.conv2(y)), inplace=True)
        y = self.bn3(self.conv3(y))
        y += x if self.downsample is None else self.downsample(x)
        return functional.relu(y, inplace=True)


class ResNet(Encoder):
    """A post-activation ResNet without its classifier; h is the global average of the last stage built.

    depth: 10, 18, 34 (basic blocks), 50, 101, 152, 200 (bottlenecks, stride in the 3x3). width: multiplies every
    width, rounded to a multiple of 8. stages: how many of the four are built. stem: imagenet (7x7 stride 2, then 3x3
    max-pool stride 2), small (3x3 stride 1) or strided (3x3 stride 2). zero_init: the last batch-norm gamma of every
    residual branch starts at 0, so that each block starts as its shortcut. Weights: He normal, fan out.

    As in torchvision, the first block of ResNet-10/18/34 has an identity shortcut; the official code has a 1x1
    projection there (4,224 parameters more at width 1). Source: reference 4.1; differences from the official code: 7.
    Raises TwofoldError for a wrong depth, stem, width or number of stages.

    >>> encoder = ResNet(18, stem="small", width=0.25)
    >>> encoder(torch.rand(2, 3, 32, 32)).shape, encoder.dim
    (torch.Size([2, 128]), 128)
    """

    def __init__(
        self,
        depth: int,
        *,
        channels: int = 3,
        width: float = 1.0,
        stages: int = 4,
        stem: str = "imagenet",
        zero_init: bool = True,
    ) -> None:
        super().__init__()
        _require_shape(depth, width, stages, stem)
        block = Bottleneck if depth >= _FIRST_BOTTLENECK_DEPTH else BasicBlock
        widths = [max(8, 8 * round(base * width / 8)) for base in _BASE_WIDTHS]
        kernel, stride = STEMS[stem]
        self.conv1 = _convolution(channels, widths[0], kernel, stride)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1) if stem == "imagenet" else nn.Identity()
        in_width = widths[0]
        self.stages = stages
        for stage in range(stages):
            layer = nn.Sequential()
            for index in range(BLOCKS[depth][stage]):
                layer.append(block(in_width, widths[stage], 2 if stage > 0 and index == 0 else 1))
                in_width = widths[stage] * block.expansion
            self.add_module(f"layer{stage + 1}", layer)
        self.dim = in_width
        _initialise(self, zero_init)

    def forward(self, views: Float[Tensor, "n c s1 s2"]) -> Float[Tensor, "n d"]:
        """Views (n, c, s, s) in [0, 1] -> h (n, dim)."""
        x = self.maxpool(functional.relu(self.bn1(self.conv1(views)), inplace=True))
        for stage in range(self.stages):
            x = self.get_submodule(f"layer{stage + 1}")(x)
        return functional.adaptive_avg_pool2d(x, 1).flatten(1)


def _convolution(in_width: int, out_width: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return Convolution(in_width, out_width, kernel, stride=stride, padding=kernel // 2, bias=False)


def _shortcut(in_width: int, out_width: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and in_width == out_width:
        return None
    return nn.Sequential(_convolution(in_width, out_width, 1, stride), nn.BatchNorm2d(out_width))


def _initialise(encoder: nn.Module, zero_init: bool) -> None:
    for module in encoder.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    if not zero_init:
        return
    with torch.no_grad():
        for module in encoder.modules():
            if isinstance(module, BasicBlock):
                module.bn2.weight.zero_()
            elif isinstance(module, Bottleneck):
                module.bn3.weight.zero_()


def _require_shape(depth: int, width: float, stages: int, stem: str) -> None:
    if depth not in BLOCKS:
        raise unknown_name("encoder", f"resnet{depth}", [f"resnet{known}" for known in BLOCKS])
    if stem not in STEMS:
        raise unknown_name("stem", stem, STEMS)
    if not 0.25 <= width <= 4:
        raise TwofoldError(f"width is {width!r}, but it must be in [0.25, 4]. Change --width.")
    if stages not in (1, 2, 3, 4):
        raise TwofoldError(f"stages is {stages!r}, but it must be 1, 2, 3 or 4. Change --stages.")
