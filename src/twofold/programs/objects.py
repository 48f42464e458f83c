"""What Python hands over as an object in place of a name: the encoder, the optimizer and initial weights."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import nn

from twofold.errors import TwofoldError
from twofold.models.own import OwnEncoder, own_encoder
from twofold.optim.own import OwnOptimizer, own_optimizer
from twofold.recipes.kinds import as_data
from twofold.recipes.recipe import Recipe
from twofold.runs.weights import OwnInit, name_of

_SAME_UNTRAINED = (
    "the untrained encoder is the module that was given, with the weights that it has, the same for every seed; its "
    "class has fresh ones"
)
_OF_A_NAMED_ENCODER = ("width", "stages", "stem", "zero_init")
_OF_A_NAMED_OPTIMIZER = ("base_lr", "lr_scaling", "momentum", "weight_decay", "trust_coefficient")


@dataclass(frozen=True)
class Objects:
    """Those that were given, as parts of a recipe."""

    encoder: OwnEncoder | None
    optimizer: OwnOptimizer | None
    init: object = None  # weights

    def put_into(self, recipe: Recipe) -> Recipe:
        """The recipe with them in place of what it names; the schedule stays."""
        if self.encoder:
            recipe = replace(recipe, encoder=self.encoder)
        if self.optimizer:
            warmup = recipe.optim.warmup_fraction
            recipe = replace(recipe, optim=replace(self.optimizer, warmup_fraction=warmup))
        if self.init is not None:
            recipe = replace(recipe, init=OwnInit(**vars(recipe.init), weights=self.init))
        return recipe


def as_objects(encoder: object, optimizer: object, settings: Mapping[str, object]) -> Objects:
    """What was given and is no name. Raises TwofoldError for other objects, and for settings that they decide."""
    own = None if encoder is None or isinstance(encoder, str) else own_encoder(encoder)
    stepper = None if optimizer is None or isinstance(optimizer, str) else own_optimizer(optimizer)
    _require_alone("encoder", own, _OF_A_NAMED_ENCODER, settings)
    _require_alone("optimizer", stepper, _OF_A_NAMED_OPTIMIZER, settings)
    init = settings.get("init")
    return Objects(own, stepper, None if init is None or isinstance(init, str | os.PathLike) else init)


def notes_on(encoder: object) -> list[str]:
    """What the figures of an evaluation depend on where `encoder` is given."""
    return [_SAME_UNTRAINED] if isinstance(encoder, nn.Module) else []


def _require_alone(name: str, given: object, decided: tuple[str, ...], settings: Mapping[str, object]) -> None:
    for setting in decided:
        if given and setting in settings:
            raise TwofoldError(
                f"{setting} is {settings[setting]!r}, but the {name} that is given decides that by itself. Set it "
                f"there and leave {setting} out."
            )


def names(**given: object) -> dict[str, str]:
    """Those that are names, as settings of the recipe."""
    return {name: value for name, value in given.items() if isinstance(value, str)}


def named_init(settings: Mapping[str, object]) -> dict[str, str]:
    """The setting `init`, where it is given, as a recipe keeps it: a path, or the name of what holds the weights."""
    init = settings.get("init")
    if init is None:
        return {}
    return {"init": as_data(init, "init") if isinstance(init, str | os.PathLike) else name_of(init)}
