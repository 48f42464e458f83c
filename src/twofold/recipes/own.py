"""Names of what Python hands over as an object, an encoder or an optimizer: a recipe.json keeps no more of it."""

import sys
from collections.abc import Callable
from pathlib import Path

from twofold.errors import TwofoldError

OWN = "own:"  # before the name of the class


def own_name(kind: type) -> str:
    """ "own:" with the module and the name of a class, as one imports it."""
    return f"{OWN}{module_of(kind)}.{kind.__qualname__}"


def module_of(kind: type) -> str:
    """The module that one imports a class from.

    For a class of the script that runs it is the script's name; in a notebook it stays __main__.
    """
    module = kind.__module__
    if module == "__main__":
        main = sys.modules["__main__"]
        spec, file = getattr(main, "__spec__", None), getattr(main, "__file__", None)
        module = spec.name if spec else Path(file).stem if file else module
    return module


def is_own(name: str) -> bool:
    """Whether a setting names an object that Python handed over."""
    return name.startswith(OWN)


def call_own(setting: str, function: Callable[..., object], *given: object, fix: str) -> object:
    """What a function of the user's returns. Raises TwofoldError, caused by its own error, where it fails."""
    try:
        return function(*given)
    except TwofoldError:
        raise
    except Exception as error:  # the user's code may fail in any way
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise TwofoldError(f"{setting} is a function that failed when it was called ({reason}). {fix}") from error


def without_module(name: str) -> str:
    """The class's own name: own:nets.vit.TinyViT -> TinyViT."""
    return name.rpartition(".")[2]
