"""f: views -> h."""

from twofold.errors import TwofoldError
from twofold.models.adapters import adapt, build_timm, build_torchvision
from twofold.models.dry_run import require_size
from twofold.models.encoder import Encoder
from twofold.models.own import OwnEncoder, needs_source
from twofold.models.resnet import ResNet
from twofold.recipes.own import is_own
from twofold.recipes.recipe import EncoderRecipe

__all__ = ["Encoder", "ResNet", "adapt", "build_encoder", "require_size"]


def build_encoder(recipe: EncoderRecipe, *, channels: int, size_px: int = 224) -> Encoder:
    """The encoder that a recipe names or holds, with fresh weights, for views of `channels` (1 or 3) channels.

    size_px: side of the views, for networks that are built for one size (vision transformers); a ResNet takes any.
    Raises TwofoldError for an unknown name, a package that is not installed, and for width, stages or stem set on a
    network that is not Twofold's own ResNet. The same for a class of the user's of which only the name is known.
    """
    if isinstance(recipe, OwnEncoder):
        return recipe.build(channels=channels, size_px=size_px)
    if is_own(recipe.encoder):
        raise needs_source(recipe.encoder)
    source, _, name = recipe.encoder.rpartition(":")
    if source:
        _require_untouched(recipe)
        if source == "timm":
            return build_timm(name, channels=channels, size_px=size_px)
        return build_torchvision(name, channels=channels, size_px=size_px, zero_init=recipe.zero_init)
    return ResNet(
        int(name.removeprefix("resnet")),
        channels=channels,
        width=recipe.width,
        stages=recipe.stages,
        stem=recipe.stem,
        zero_init=recipe.zero_init,
    )


def _require_untouched(recipe: EncoderRecipe) -> None:
    for name, own in (("width", 1.0), ("stages", 4), ("stem", "imagenet")):
        value = getattr(recipe, name)
        if value != own:
            raise TwofoldError(
                f"{name} is {value!r}, but '{recipe.encoder}' has a shape of its own. "
                f"Give --{name} {own} or an --encoder resnet10 to resnet200."
            )
