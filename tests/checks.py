"""The types of every call of the package are checked, and its shapes.

As jaxtyping's hook does it (`--jaxtyping-packages`), the arguments are checked twice, with and without the result, and
bound to the names of the parameters before that. Here beartype checks each once: in a scope of jaxtyping where a
function's hints name shapes, and as it is where they do not. Arguments are bound only where a shape names one: "n {k}".
Of a function that a test calls often, such as in each step of a training, the first `ALL` calls are checked, then each
`THEN`-th.
"""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from functools import wraps
from typing import Any, get_args

import jaxtyping
import torch
from beartype import BeartypeConf, beartype

ALL, THEN = 20, 10
_test = [0]  # how many have begun

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


def begin_test() -> None:
    """From here on calls are counted anew."""
    _test[0] += 1


def _some(what: Callable[..., Any], checked: Callable[..., Any]) -> Callable[..., Any]:
    """`checked`, but of many calls in one test, most of them `what` as it is."""
    calls, of = 0, -1

    @wraps(what)
    def called(*arguments: Any, **options: Any) -> Any:
        nonlocal calls, of
        if torch.compiler.is_compiling():  # a count would be a constant of the graph
            return checked(*arguments, **options)
        if of != _test[0]:
            calls, of = 0, _test[0]
        calls += 1
        return (checked if calls <= ALL or calls % THEN == 0 else what)(*arguments, **options)

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
        checked = _jaxtyped(checked, typechecker=None)
    elif shapes:
        checked = _in_scope(checked)
    return _some(what, checked)


jaxtyping.jaxtyped = _checked
