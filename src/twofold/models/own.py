"""A module that Python hands over as the encoder, in place of a name in the recipe."""

import copy
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field

from torch import nn

from twofold.errors import TwofoldError
from twofold.hardware.randomness import weights_of_seed
from twofold.models.adapters import Adapted
from twofold.recipes.kinds import unfit
from twofold.recipes.own import call_own, is_own, own_name, without_module
from twofold.recipes.recipe import EncoderRecipe

EncoderSource = nn.Module | Callable[[], nn.Module]  # a class is such a function


@dataclass(frozen=True)
class OwnEncoder(EncoderRecipe):
    """The recipe of an encoder that `source` makes. A recipe.json keeps the name of its class alone."""

    _: KW_ONLY
    source: object = field(compare=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not is_own(self.encoder):
            raise TwofoldError(f"encoder is '{self.encoder}', but a module was given as the encoder. Give one of them.")

    def build(self, *, channels: int, size_px: int) -> Adapted:
        """The encoder for views (n, channels, size_px, size_px): what a function returns, a copy of a module."""
        return Adapted(make_module(self.source), channels=channels, size_px=size_px)


def own_encoder(source: object) -> OwnEncoder:
    """The recipe of `source`: an nn.Module, or a function or class without arguments that returns one.

    A function is called for each set of fresh weights, under the seed. A module is copied, so training begins at its
    weights and leaves it as it is. Raises TwofoldError for anything else.
    """
    with weights_of_seed(0):  # the program around keeps its random numbers
        kind = type(make_module(source))
    return OwnEncoder(encoder=own_name(kind), source=source)


def saved_encoder(recipe: EncoderRecipe, source: object, where: object) -> EncoderRecipe:
    """The recipe of an encoder that was trained in `where`, with the `source` of it; None where its name builds it.

    A class may have moved to another module since: its own name must be the same. Raises TwofoldError where it is
    not, where a source is missing, and where there is one too many.
    """
    name = recipe.encoder
    if source is None:
        if is_own(name):
            raise needs_source(name)
        return recipe
    if not is_own(name):
        raise TwofoldError(
            f"encoder is given, but '{where}' was trained with '{name}', which is built by its name. Leave it out."
        )
    given = own_encoder(source)
    if without_module(given.encoder) != without_module(name):
        raise TwofoldError(
            f"encoder makes a {without_module(given.encoder)}, but '{where}' was trained with a "
            f"{without_module(name)}. Give that class, or a function that returns one."
        )
    return OwnEncoder(encoder=name, source=source)


def needs_source(name: str) -> TwofoldError:
    """The error where an encoder of the user's is known by its name alone."""
    return TwofoldError(
        f"encoder is '{name}', a class of your own: a run keeps its name and its weights, but not its code. Give it in "
        f"Python: encoder={without_module(name)}, as in twofold.load(run, encoder={without_module(name)})."
    )


def as_source(source: object) -> EncoderSource | None:
    """None, a module, or what may return one. Raises TwofoldError for anything else."""
    if source is None or isinstance(source, nn.Module) or callable(source):
        return source
    raise _unfit(source)


def make_module(source: object) -> nn.Module:
    """A copy of a module, or what a function returns. Raises TwofoldError where that fails or is no module."""
    if isinstance(source, nn.Module):
        try:
            return copy.deepcopy(source)
        except (RuntimeError, TypeError) as error:
            raise TwofoldError(
                f"encoder is a {type(source).__name__} that cannot be copied ({error}). Give a function that returns "
                "a new one."
            ) from error
    if not callable(source):
        raise _unfit(source)
    fix = "It gets no arguments; give those that it needs in a lambda: Net(dim=64)."
    module = call_own("encoder", source, fix=fix)
    if not isinstance(module, nn.Module):
        raise TwofoldError(
            f"encoder returned an object of the type {type(module).__name__}, but it must return an nn.Module. "
            "Return one."
        )
    return module


def _unfit(source: object) -> TwofoldError:
    return unfit("encoder", source, "an nn.Module or a function that returns one")
