"""Other people's networks as encoders: torchvision, timm, or any module."""

import difflib
from collections.abc import Callable
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from twofold.errors import TwofoldError, import_extra, unknown_name
from twofold.models.dry_run import FAILURES, dry_run, shortened
from twofold.models.encoder import Encoder

CLASSIFIERS = ("fc", "classifier", "head", "heads")


class Adapted(Encoder):
    """A module whose output is turned into vectors: (n, dim) as it is, (n, dim, h, w) averaged over h and w.

    channels: of the views; in_channels: of the module. Grey views are repeated to three channels where the module
    wants colour. `dim` comes from a dry run on size_px x size_px zeros that leaves parameters, buffers and modes as
    they were. Raises TwofoldError when the module cannot take such views or returns anything else than a tensor of
    two or four dimensions.
    """

    def __init__(
        self, module: nn.Module, *, channels: int = 3, in_channels: int | None = None, size_px: int = 224
    ) -> None:
        super().__init__()
        self.module = module
        self.repeat = (in_channels or channels) // channels
        self.dim = -1
        try:
            self.dim = dry_run(self, channels=channels, size_px=size_px).shape[1]
        except TwofoldError:
            raise
        except Exception as error:  # a module of the user's may raise anything
            raise TwofoldError(
                f"{type(module).__name__} failed on views of shape (1, {channels}, {size_px}, {size_px}), but an "
                f"encoder must take them ({shortened(error)}). Give channels or size_px to match."
            ) from error
        self.size_px = size_px

    def forward(self, views: Float[Tensor, "n c s1 s2"]) -> Float[Tensor, "n d"]:
        """Views (n, c, s, s) in [0, 1] -> h (n, dim)."""
        h = _to_vectors(self.module(views.expand(-1, views.shape[1] * self.repeat, -1, -1)), self.module)
        if self.dim not in (-1, h.shape[1]):
            raise TwofoldError(
                f"{type(self.module).__name__} returned vectors of length {h.shape[1]} for views of {views.shape[2]} "
                f"px, but {self.dim} before. Give adapt() the size_px of the views."
            )
        return h


def adapt(module: nn.Module, *, channels: int = 3, size_px: int = 224) -> Encoder:
    """Any module (n, channels, s, s) -> (n, d) or (n, d, h, w) as an encoder; see `Adapted`.

    >>> encoder = adapt(nn.Conv2d(3, 8, 3), size_px=32)  # a map, averaged over its places
    >>> encoder.dim
    8
    """
    return Adapted(module, channels=channels, size_px=size_px)


def build_torchvision(name: str, *, channels: int, size_px: int = 224, zero_init: bool = True) -> Encoder:
    """A torchvision classification network without weights and without its classifier, for views of size_px.

    A fixed grid before a classifier (AlexNet, VGG) becomes a global average, so h does not depend on the view's size.
    zero_init: the last gamma of each residual branch starts at 0, in the ResNet family only. Raises TwofoldError for
    an unknown name and for views that the network cannot take.
    """
    from torchvision import models
    from torchvision.models import get_model, list_models

    names: list[str] = list_models(module=models)
    if name not in names:
        raise unknown_name("torchvision encoder", name, _near(name, names))
    try:
        module = get_model(name, weights=None, **_torchvision_options(name, size_px, zero_init))
    except AssertionError as error:
        raise TwofoldError(f"size_px is {size_px}, but {name} refuses it ({error}). Change --size-px.") from error
    for attribute in CLASSIFIERS:
        classifier = getattr(module, attribute, None)
        if isinstance(classifier, nn.Module):
            convolves = any(isinstance(part, nn.Conv2d) for part in classifier.modules())
            setattr(module, attribute, nn.AdaptiveAvgPool2d(1) if convolves else nn.Identity())
    if isinstance(getattr(module, "avgpool", None), nn.AdaptiveAvgPool2d):
        module.avgpool = nn.AdaptiveAvgPool2d(1)
    return Adapted(module, channels=channels, in_channels=3, size_px=size_px)


def build_timm(name: str, *, channels: int, size_px: int = 224) -> Encoder:
    """A timm network without weights and without its classifier, for views of size_px.

    Raises TwofoldError when timm is not installed, has no such network, or the network cannot take such views.
    """
    timm = import_extra("timm", f"the encoder 'timm:{name}'", "timm")
    names: list[str] = timm.list_models()
    if name.split(".")[0] not in names:
        raise unknown_name("timm encoder", name, _near(name, names))
    module = _create_timm(timm.create_model, name, channels, size_px)
    return Adapted(module, channels=channels, size_px=size_px)


def _near(name: str, names: list[str]) -> list[str]:
    """Eight names like it: neither library's list fits into an error."""
    return difflib.get_close_matches(name, names, n=8, cutoff=0.3) or names[:8]


def _create_timm(create_model: Callable[..., nn.Module], name: str, channels: int, size_px: int) -> nn.Module:
    settings: dict[str, Any] = {"pretrained": False, "num_classes": 0, "in_chans": channels}
    try:
        return create_model(name, **settings, img_size=size_px)
    except TypeError:  # a network for views of any size has no such setting
        return create_model(name, **settings)
    except (*FAILURES, ValueError) as error:
        raise TwofoldError(
            f"size_px is {size_px}, but {name} refuses it ({shortened(error)}). Change --size-px."
        ) from error


def _torchvision_options(name: str, size_px: int, zero_init: bool) -> dict[str, Any]:
    if name in ("googlenet", "inception_v3"):  # with auxiliary classifiers they return several answers while training
        return {"aux_logits": False, "init_weights": True}
    if name.startswith("vit_"):
        return {"image_size": size_px}
    if name.startswith(("resnet", "resnext", "wide_resnet")):
        return {"zero_init_residual": zero_init}
    return {}


def _to_vectors(output: object, module: nn.Module) -> Tensor:
    if isinstance(output, Tensor) and output.ndim == 4:
        return output.mean(dim=(2, 3))
    if isinstance(output, Tensor) and output.ndim == 2:
        return output
    got = f"a tensor of shape {tuple(output.shape)}" if isinstance(output, Tensor) else f"a {type(output).__name__}"
    raise TwofoldError(
        f"{type(module).__name__} returned {got}, but an encoder returns one tensor (n, d) or (n, d, h, w). "
        "Wrap it in a module that picks one."
    )
