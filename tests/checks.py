"""The types of every call of the package are checked, and its shapes.

As jaxtyping's hook does it (`--jaxtyping-packages`), the arguments are checked twice, with and without the result. Here
beartype checks each once: in a scope of jaxtyping where a function's hints name shapes, and as it is where they do not.
"""

import inspect
from collections.abc import Callable
from typing import Any, get_args

import jaxtyping
from beartype import BeartypeConf, beartype

_jaxtyped = jaxtyping.jaxtyped
_check = beartype(conf=BeartypeConf(violation_type=jaxtyping.TypeCheckError))  # a TypeError, as jaxtyping raises


def _names_shapes(hint: Any) -> bool:
    parts = hint if isinstance(hint, list) else get_args(hint)
    return type(hint).__module__.startswith("jaxtyping") or any(map(_names_shapes, parts))


def _checked(what: Any = None, *, typechecker: Callable[[Any], Any]) -> Any:
    """In place of `jaxtyping.jaxtyped`, as its hook calls it."""
    if what is None:
        return lambda given: _checked(given, typechecker=typechecker)
    shapes = any(map(_names_shapes, getattr(what, "__annotations__", {}).values()))
    if not inspect.isfunction(what) or (shapes and inspect.isgeneratorfunction(what)):
        return _jaxtyped(what, typechecker=typechecker)  # what follows a generator's first value is of no scope
    checked = _check(what)
    return _jaxtyped(checked, typechecker=None) if shapes else checked


jaxtyping.jaxtyped = _checked
