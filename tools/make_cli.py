"""Write docs/cli.md from the command line itself: the same texts as its help.

python tools/make_cli.py
"""

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_type_hints

from twofold.cli.arguments import CommonFlags
from twofold.cli.main import COMMANDS
from twofold.recipes.flags import ReadingFlags, Settings

PAGE = Path(__file__).parents[1] / "docs" / "cli.md"
_SETTINGS = "settings of the recipe"


def page() -> str:
    """The whole page."""
    lines = [
        "# The commands",
        "",
        "Written by `python tools/make_cli.py` from the texts of `--help`. `twofold COMMAND --help` says the same.",
    ]
    for name, command in COMMANDS.items():
        lines += ["", f"## twofold {name}", "", inspect.getdoc(command) or "", *_table(list(_rows(command)))]
        if "settings" in inspect.signature(command).parameters:
            lines += ["", f"And the [{_SETTINGS}](#{_SETTINGS.replace(' ', '-')})."]
    lines += [
        "",
        f"## {_SETTINGS.capitalize()}",
        "",
        "Each replaces what the recipe says.",
        *_table(list(_leaves(Settings))),
    ]
    return "\n".join(lines) + "\n"


def _rows(command: Callable[..., None]) -> Iterator[tuple[str, str, str]]:
    """What is given, its default, and what it is."""
    hints = get_type_hints(command, include_extras=True)
    for name, parameter in inspect.signature(command).parameters.items():
        if name == "settings":
            continue
        if name == "reading":
            own = "the recipe's" if "recipe" in hints else "the run's"
            yield from ((shown, own, text) for shown, _, text in _leaves(ReadingFlags))
            continue
        if name == "common":
            for flag, hint in get_type_hints(CommonFlags, include_extras=True).items():
                yield _flag(flag), _default(parameter.default[flag], _about(hint)), _about(hint).help or ""
            continue
        about = _about(hints[name])
        shown = name.upper() if parameter.kind is parameter.POSITIONAL_ONLY else _flag(name)
        yield shown, _default(parameter.default, about), about.help or ""


def _leaves(flags: type) -> Iterator[tuple[str, str, str]]:
    for name, hint in get_type_hints(flags, include_extras=True).items():
        about = _about(hint)
        yield f"{_flag(name)} {about.metavar}", "", about.help or ""


def _about(hint: Any) -> Any:
    """What the command line says of an argument."""
    return next(one for one in hint.__metadata__ if getattr(one, "help", None))


def _flag(name: str) -> str:
    return f"--{name.rstrip('_').replace('_', '-')}"


def _default(value: Any, about: Any) -> str:
    if about.help_behavior_hint:
        return str(about.help_behavior_hint).strip("()").removeprefix("default: ")
    if value is inspect.Parameter.empty or value is None or value == ():
        return ""
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _table(rows: list[tuple[str, str, str]]) -> list[str]:
    if not rows:
        return []
    with_default = any(default for _, default, _ in rows)
    head = ["", "| | default | |", "|---|---|---|"] if with_default else ["", "| | |", "|---|---|"]
    cells = [(f"`{shown}`".replace("|", "\\|"), default, text.replace("|", "\\|")) for shown, default, text in rows]
    return [*head, *(f"| {' | '.join(row if with_default else (row[0], row[2]))} |" for row in cells)]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"Written: {PAGE}")
