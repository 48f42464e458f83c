"""Templates of pages, in which text from outside is shown letter by letter: no markup, no control characters."""

from collections.abc import Callable
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from twofold.console import visible


def load_template(name: str, *packages: str, **filters: Callable[..., object]) -> Template:
    """The template `name` from the first of the `packages` that has it, with `filters` beside Jinja's and `visible`.

    What is put in is escaped unless it is Markup; what would turn or hide text around it is spelt out, as on a
    terminal (`twofold.console`). What `tojson` writes is Markup: texts in it go through `visible` before.
    """
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package) for package in packages]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters |= {"visible": visible, **filters}
    return environment.get_template(name)


def _shown(value: Any) -> Any:
    return visible(value, keep="\n") if isinstance(value, str) and not isinstance(value, Markup) else value
