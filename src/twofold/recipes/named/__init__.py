"""Named recipes, as code. Each module's docstring holds its command, hardware, time and result."""

import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twofold.errors import TwofoldError, unknown_name
from twofold.recipes.named import cifar10_laptop, cifar10_resnet18, fashion_demo, imagenet_resnet50, photos
from twofold.recipes.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a recipe may look at before it decides: the images' number, size and colour, and the machine."""

    pictures: int
    short_side_px: int
    channels: int
    gpu_gib: float | None  # memory of the CUDA GPU, where there is one


Build = Callable[[Found], tuple[Recipe, list[str]]]


def _fixed(recipe: Recipe) -> Build:
    return lambda _found: (recipe, [])


_BUILDERS: dict[str, tuple[Any, Build]] = {
    "photos": (
        photos,
        lambda found: photos.build(
            pictures=found.pictures,
            short_side_px=found.short_side_px,
            channels=found.channels,
            gpu_gib=found.gpu_gib,
        ),
    ),
    "fashion-demo": (fashion_demo, _fixed(fashion_demo.RECIPE)),
    "cifar10-laptop": (cifar10_laptop, _fixed(cifar10_laptop.RECIPE)),
    "cifar10-resnet18": (cifar10_resnet18, _fixed(cifar10_resnet18.RECIPE)),
    "imagenet-resnet50": (imagenet_resnet50, _fixed(imagenet_resnet50.RECIPE)),
}
NAMES = tuple(_BUILDERS)


def describe_recipes() -> dict[str, str]:
    """Each recipe's name -> its docstring."""
    return {name: inspect.getdoc(module) or "" for name, (module, _) in _BUILDERS.items()}


def build_recipe(name: str, look: Callable[[], Found]) -> tuple[Recipe, list[str]]:
    """The recipe called `name`, or the one saved in a recipe.json, and the reasons for what it picked.

    `look` is called only by recipes that depend on the images. Raises TwofoldError for an unknown name.
    """
    if name.endswith(".json"):
        return load_recipe(Path(name)), []
    if name not in _BUILDERS:
        raise unknown_name("recipe", name, (*NAMES, "RUN/recipe.json"))
    if name == "photos":
        return _BUILDERS[name][1](look())
    return _BUILDERS[name][1](Found(pictures=0, short_side_px=0, channels=3, gpu_gib=None))


def load_recipe(path: Path) -> Recipe:
    """The recipe of a run's recipe.json, or a file that holds just a recipe. Raises TwofoldError for anything else."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return Recipe.from_dict(record.get("recipe", record))
    except OSError as error:
        raise TwofoldError(
            f"cannot read the recipe '{path}' ({error.strerror}). Give a name or a recipe.json."
        ) from error
    except TwofoldError:
        raise
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise TwofoldError(f"'{path}' is not a recipe ({error}). Give a name or the recipe.json of a run.") from error
