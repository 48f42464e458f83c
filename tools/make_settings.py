"""Write src/twofold/recipes/settings.py: the leaves of the recipe as typed keyword arguments.

python tools/make_settings.py
"""

import types
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from twofold.recipes.recipe import Recipe, setting_owners

PAGE = Path(__file__).parents[1] / "src" / "twofold" / "recipes" / "settings.py"
OBJECTS = ("encoder", "optimizer")  # which a function of Python takes as arguments of their own
WIDER = {"ops": "Sequence[object] | None", "init": "object"}  # than in the recipe: augmentations, weights


def text() -> str:
    """The whole file."""
    stages, imports, lines = get_type_hints(Recipe), set[str](), dict[str, str]()
    for name, stage in setting_owners().items():
        kind = WIDER.get(name) or _written(get_type_hints(stages[stage])[name], imports)
        lines[name] = f"    {name}: {kind}"
    plain = "\n".join(line for name, line in lines.items() if name not in OBJECTS)
    objects = "\n".join(lines[name] for name in OBJECTS)
    named = "".join(f"\n{line}" for line in sorted(imports))
    typing = ", ".join(["Literal"] * any("Literal[" in line for line in lines.values()) + ["TypedDict"])
    return f'''"""The recipe's leaves as keyword arguments of Python, with their types: what an editor completes.

Written by tools/make_settings.py. What each means is the help of its flag (docs/cli.md).
"""

from collections.abc import Sequence
from typing import {typing}
{named}

class PlainSettings(TypedDict, total=False):
    """Every setting but those that may be given as an object too."""

{plain}


class Settings(PlainSettings, total=False):
    """Every setting of the recipe."""

{objects}
'''


def _written(kind: Any, imports: set[str]) -> str:
    """A type as one writes it; where it comes from goes to `imports`."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return " | ".join(_written(one, imports) for one in arguments)
    if origin is Literal:
        return f"Literal[{', '.join(repr(one).replace(chr(39), chr(34)) for one in arguments)}]"
    if origin is not None:
        return f"{origin.__name__}[{', '.join(_written(one, imports) for one in arguments)}]"
    if kind is Ellipsis or kind is types.NoneType:
        return "..." if kind is Ellipsis else "None"
    if kind.__module__ != "builtins":
        imports.add(f"from {kind.__module__} import {kind.__name__}")
    return str(kind.__name__)


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
    print(f"Written: {PAGE}")
