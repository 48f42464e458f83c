"""Values from Python, checked like flags: each becomes the plain value of the kind that is wanted, or a clear error."""

import dataclasses
import functools
import numbers
import os
import reprlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from twofold.errors import TwofoldError

AnyPath = str | os.PathLike[str]

_UNFIT = object()
_WORDS = {int: "a whole number", float: "a number", bool: "True or False", str: "text", NoneType: "None"}
_MANY = {int: "whole numbers", float: "numbers", bool: "True or False", str: "texts"}


def as_kind(name: str, value: object, kind: Any) -> Any:
    """`value` as plain Python of the type `kind`, which may be optional or a tuple of such.

    Numbers of numpy become Python's, lists become tuples; a whole number serves as a float, a bool as no number.
    Raises TwofoldError naming the setting, its value and its type for anything else.
    """
    fitted = _fit(value, kind)
    if fitted is _UNFIT:
        raise unfit(name, value, _words(kind))
    return fitted


def as_several(name: str, value: object, kind: Any) -> tuple[Any, ...]:
    """The values of a sequence, each `as_kind`; one value alone counts as a sequence of one."""
    value = _plain(value)
    if isinstance(value, str | os.PathLike | Mapping) or not isinstance(value, Iterable):
        return (as_kind(name, value, kind),)
    return tuple(as_kind(name, one, kind) for one in value)


def as_path(name: str, value: object) -> Path:
    """A path or its text, with ~ replaced by the home folder."""
    fitted = _fit(value, os.PathLike)
    if fitted is _UNFIT:
        raise unfit(name, value, _words(os.PathLike))
    return Path(fitted).expanduser()


def as_data(value: object, name: str = "data") -> str:
    """The text of a path or a name, as it is given, with ~ replaced by the home folder."""
    fitted = _fit(value, os.PathLike)
    if fitted is _UNFIT:
        raise unfit(name, value, "a path or a name")
    return str(Path(fitted).expanduser()) if fitted.startswith("~") else str(fitted)


def as_optional_path(name: str, value: object) -> Path | None:
    """`as_path`, or None."""
    return None if value is None else as_path(name, value)


def check_kinds(owner: Any) -> None:
    """Make every field of a dataclass a plain value of its annotated type, in place. Raises TwofoldError."""
    owner_type: Any = type(owner)
    for name, kind in _kinds(owner_type).items():
        object.__setattr__(owner, name, as_kind(name, getattr(owner, name), kind))  # also where it is frozen


def unfit(name: str, value: object, wanted: str) -> TwofoldError:
    """The error for a value of another type than the `wanted` one."""
    shown = f"{reprlib.repr(value)} of the type {type(value).__name__}"
    return TwofoldError(f"{name} is {shown}, but it must be {wanted}. Change {name}.")


@functools.cache
def _kinds(owner: type) -> dict[str, Any]:
    hints = get_type_hints(owner)
    return {field.name: hints[field.name] for field in dataclasses.fields(owner)}


def _fit(value: Any, kind: Any) -> Any:
    if type(value) is kind:  # nearly always: a recipe is checked each time a setting of it changes
        return value
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        fits = (_fit(value, one) for one in get_args(kind))
        return next((fitted for fitted in fits if fitted is not _UNFIT), _UNFIT)
    if origin is tuple:
        return _fit_tuple(value, get_args(kind))
    if origin is Literal:
        return str(value) if isinstance(value, str) and value in get_args(kind) else _UNFIT
    value = _plain(value)
    if kind is os.PathLike:
        path = os.fspath(value) if isinstance(value, str | os.PathLike) else None
        return path if isinstance(path, str) else _UNFIT
    if isinstance(value, bool) and kind is not bool:
        return _UNFIT
    if kind is int:
        return int(value) if isinstance(value, numbers.Integral) else _UNFIT
    if kind is float:
        return float(value) if isinstance(value, numbers.Real) else _UNFIT
    if kind is str:
        return str(value) if isinstance(value, str) else _UNFIT
    return value if isinstance(value, kind) else _UNFIT


def _fit_tuple(value: Any, kinds: tuple[Any, ...]) -> Any:
    if isinstance(value, str | Mapping) or not (isinstance(value, list | tuple) or hasattr(value, "__array__")):
        return _UNFIT
    values = list(value) if getattr(value, "ndim", 1) == 1 else []
    wanted = [kinds[0]] * len(values) if kinds[-1] is Ellipsis else list(kinds)
    fitted = [_fit(one, kind) for one, kind in zip(values, wanted, strict=False)]
    return tuple(fitted) if len(values) == len(wanted) and _UNFIT not in fitted else _UNFIT


def _plain(value: Any) -> Any:
    """A number of numpy as one of Python."""
    if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0:
        return value.item()
    return value


def _words(kind: Any) -> str:
    if get_origin(kind) in (Union, UnionType):
        return " or ".join(_words(one) for one in get_args(kind))
    if get_origin(kind) is tuple:
        first, last = get_args(kind)[0], get_args(kind)[-1]
        many = _MANY.get(first, f"objects of the type {first.__name__}")
        return f"a list of {many}" if last is Ellipsis else f"{len(get_args(kind))} {many}"
    if get_origin(kind) is Literal:
        return " or ".join(repr(one) for one in get_args(kind))
    if kind is os.PathLike:
        return "a path"
    return _WORDS.get(kind, f"an object of the type {getattr(kind, '__name__', kind)}")
