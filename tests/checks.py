"""The types of every call of the package are checked, and its shapes.

As jaxtyping's hook does it (`--jaxtyping-packages`), the arguments are checked twice, with and without the result, and
bound to the names of the parameters before that. Here beartype checks each once: in a scope of jaxtyping where a
function's hints name shapes, and as it is where they do not. Arguments are bound only where a shape names one: "n {k}".
"""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from functools import wraps
from typing import Any, get_args

import jaxtyping
from beartype import BeartypeConf, beartype

_jaxtyped = jaxtyping.jaxtyped
_check = beartype(conf=BeartypeConf(violation_type=jaxtyping.TypeCheckError))  # a TypeError, as jaxtyping raises
_scope = _jaxtyped("context")


def _shapes(hint: Any) -> Iterator[str]:
    """The shapes that it names, at any depth."""
    if type(hint).__module__.startswith("jaxtyping"):
        yield hint.dim_str
    for part in hint if isinstance(hint, list) else get_args(hint):
        yield from _shapes(part)


def _in_scope(checked: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(checked)
    def called(*arguments: Any, **options: Any) -> Any:
        with _scope:
            return checked(*arguments, **options)

    return called


def _checked(what: Any = None, *, typechecker: Callable[[Any], Any]) -> Any:
    """In place of `jaxtyping.jaxtyped`, as its hook calls it."""
    if what is None:
        return lambda given: _checked(given, typechecker=typechecker)
    if inspect.isclass(what):
        made = vars(what).get("__init__")
        if is_dataclass(what) and made and not hasattr(made, "__wrapped__"):
            what.__init__ = _checked(made, typechecker=typechecker)
        return what
    shapes = [shape for hint in getattr(what, "__annotations__", {}).values() for shape in _shapes(hint)]
    if not inspect.isfunction(what) or (shapes and inspect.isgeneratorfunction(what)):
        return _jaxtyped(what, typechecker=typechecker)  # what follows a generator's first value is of no scope
    checked = _check(what)
    if any("{" in shape for shape in shapes):
        return _jaxtyped(checked, typechecker=None)
    return _in_scope(checked) if shapes else checked


jaxtyping.jaxtyped = _checked
