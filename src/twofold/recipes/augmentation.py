"""One augmentation of a policy, as data."""

import hashlib
import math
import re
from dataclasses import asdict, dataclass, field
from typing import Any

from twofold.errors import TwofoldError, require, require_choice, unknown_name
from twofold.recipes.imported import import_object
from twofold.recipes.kinds import check_kinds
from twofold.recipes.own import module_of

OPS: dict[str, int] = {  # name -> how many numbers its range holds
    "crop": 2,  # area fraction: low, high
    "flip": 0,
    "jitter": 4,  # brightness, contrast, saturation: factor in [max(0, 1 - x), 1 + x]; hue: shift in [-x, x] turns
    "grayscale": 0,
    "channel-jitter": 3,  # of each channel: gain in [max(0, 1 - x), 1 + x], offset in [-x, x], gamma in [e^-x, e^x]
    "channel-drop": 0,
    "blur": 2,  # sigma in pixels: low, high
    "cutout": 2,  # area fraction of the erased square: low, high
    "sobel": 0,
    "noise": 2,  # standard deviation in units of the [0, 1] range: low, high
    "rotate": 2,  # quarter turns: lowest, highest, both included
    "solarise": 2,  # threshold in [0, 1]: low, high
    "vertical-flip": 0,
    "rotate-degrees": 2,  # angle in degrees, counter-clockwise: low, high
}
POLICY = "policy"  # in a list of ops: all ops of the named policy

BRANCHES = ("each", "shared", "b")

_USUAL: dict[str, tuple[float, ...]] = {  # ranges of ops that are given by their name alone
    "crop": (0.08, 1.0),
    "jitter": (0.8, 0.8, 0.8, 0.2),
    "channel-jitter": (0.4, 0.1, 0.4),
    "blur": (0.1, 2.0),
    "cutout": (0.1, 0.3),
    "noise": (0.05, 0.2),
    "rotate": (0.0, 3.0),
    "rotate-degrees": (-180.0, 180.0),
    "solarise": (0.5, 0.5),
}
_NOTATION = re.compile(r"(?P<name>[^@=/]+)(/(?P<branch>\w+))?(@(?P<prob>[^=]+))?(=(?P<range>.+))?")


@dataclass(frozen=True, kw_only=True, repr=False)
class Op:
    """One augmentation of a policy: applied to an image with probability `prob`, its parameters drawn from `range`.

    `branch` says on which of the two views: drawn for `each` by itself, drawn once and `shared`, or on view `b` alone.
    An `augmentation` of the user's own (`twofold.Augmentation`) takes the place of `name` and `range`; two of them are
    the same where `own`, its class with its public attributes, is.
    """

    name: str = ""
    prob: float = 1.0
    range: tuple[float, ...] = ()
    branch: str = "each"
    own: str | None = None
    augmentation: object = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if self.augmentation is not None:
            object.__setattr__(self, "own", _described(self.augmentation))
            object.__setattr__(self, "name", getattr(self.augmentation, "name", type(self.augmentation).__name__))
        check_kinds(self)
        require_choice("branch", self.branch, BRANCHES)
        _require(0.0 <= self.prob <= 1.0, "prob", self.prob, f"a probability in [0, 1] (op '{self.name}')")
        if self.own is None:
            require_choice("op", self.name, (*OPS, POLICY))
            _require_range(self.name, self.range)
        else:
            rule = f"a name that no built-in op has ({', '.join((*OPS, POLICY))})"
            require(self.name not in (*OPS, POLICY), "name", self.name, rule, fix="Change it in the augmentation.")
            _require(self.range == (), "range", self.range, f"empty: '{self.name}' holds its own numbers")

    def __str__(self) -> str:
        """As it is written on a command line: NAME, then /BRANCH, @PROBABILITY and =NUMBERS where they are needed."""
        return self._written(self.name if self.own is None else self.own.partition("(")[0])

    def __repr__(self) -> str:
        """The same, with the attributes of an augmentation of the user's own."""
        return self._written(self.own or self.name)

    def _written(self, name: str) -> str:
        branch = "" if self.branch == "each" else f"/{self.branch}"
        prob = "" if self.prob == 1 else f"@{self.prob!r}"
        return f"{name}{branch}{prob}" + (f"={','.join(map(repr, self.range))}" if self.range else "")

    def __getstate__(self) -> dict[str, Any]:
        """Other processes are told what it is; each has an object of its own."""
        return {**self.__dict__, "augmentation": None}

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        values = asdict(Op(**self.__getstate__()))
        del values["augmentation"]
        return values if self.own else {name: value for name, value in values.items() if name != "own"}


def as_ops(given: object) -> Any:
    """A list or tuple of ops, of their notations and of augmentations as a tuple of ops; anything else as it is.

    Raises TwofoldError for a text that names no op.
    """
    if not isinstance(given, list | tuple):
        return given
    ops = tuple(_as_op(one) for one in given)
    return ops if all(isinstance(one, Op) for one in ops) else given


def parse_op(text: str) -> Op:
    """The op that a text such as "crop", "flip@0.5", "blur@0.5=0.1,2.0" or "my_module:Stain@0.3" stands for.

    @ gives the probability (1), = the numbers of its range (the paper's), /b or /shared the branch. MODULE:NAME names
    an augmentation of the user's own: an object, or a class that is called without arguments. Raises TwofoldError.
    """
    parts = _NOTATION.fullmatch(text.strip())
    if not parts:
        raise TwofoldError(f"'{text}' is not an op: write NAME, NAME@PROBABILITY or NAME@PROBABILITY=LOW,HIGH.")
    name, branch = parts["name"], parts["branch"] or "each"
    try:
        prob = float(parts["prob"] or 1)
        numbers = tuple(float(number) for number in parts["range"].split(",")) if parts["range"] else None
    except ValueError as error:
        raise TwofoldError(f"'{text}' is not an op ({error}): write NAME@PROBABILITY=LOW,HIGH with numbers.") from error
    if ":" in name:
        return Op(augmentation=_imported(name), prob=prob, range=numbers or (), branch=branch)
    if name not in (*OPS, POLICY):
        raise unknown_name("op", name, (*OPS, POLICY, "MODULE:NAME"))
    return Op(name=name, prob=prob, range=_USUAL.get(name, ()) if numbers is None else numbers, branch=branch)


def is_augmentation(one: object) -> bool:
    """Whether an object offers what an augmentation does: `draw` and `apply`."""
    return all(callable(getattr(one, name, None)) for name in ("draw", "apply")) and not isinstance(one, type)


def _as_op(one: object) -> object:
    if isinstance(one, str):
        return parse_op(one)
    if hasattr(one, "as_op"):  # one of the built-in ops
        return one.as_op()
    return Op(augmentation=one) if is_augmentation(one) else one


def _imported(text: str) -> object:
    found = import_object(text, "augmentation")
    one = found() if isinstance(found, type) else found
    if not is_augmentation(one):
        raise TwofoldError(
            f"'{text}' is of the type {type(one).__name__}, but an augmentation has the methods draw(m, generator) and "
            "apply(images, values). Name such an object, or its class."
        )
    return one


def _described(augmentation: object) -> str:
    """MODULE:CLASS(attribute=value, ...), the public attributes as they were given."""
    kind = type(augmentation)
    values = {name: value for name, value in getattr(augmentation, "__dict__", {}).items() if name != "name"}
    shown = [f"{name}={_value(value)}" for name, value in values.items() if not name.startswith("_")]
    return f"{module_of(kind)}:{kind.__qualname__}" + (f"({', '.join(shown)})" if shown else "")


def _value(value: Any) -> str:
    """The same for equal values, in every process."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if hasattr(value, "__array__"):
        content = value.__array__()
        return f"array of {content.shape}, {hashlib.sha256(content.tobytes()).hexdigest()[:12]}"
    return repr(value) if isinstance(value, bool | int | float | str | None) else type(value).__qualname__


def _require_range(name: str, numbers: tuple[float, ...]) -> None:
    count = OPS.get(name, 0)
    _require(len(numbers) == count, "range", numbers, f"{count} numbers for the op '{name}'")
    _require(all(map(math.isfinite, numbers)), "range", numbers, f"finite numbers (op '{name}')")
    if count == 2:
        _require(numbers[0] <= numbers[1], "range", numbers, f"low, high in order (op '{name}')")
    if name in ("crop", "cutout"):
        _require(0 < numbers[0] <= numbers[1] <= 1, "range", numbers, f"in (0, 1] (op '{name}')")
    elif name == "jitter":
        _require(min(numbers) >= 0 and numbers[3] <= 0.5, "range", numbers, ">= 0, and hue <= 0.5")
    elif name == "channel-jitter":
        _require(min(numbers) >= 0, "range", numbers, ">= 0: gain, offset and gamma")
    elif name == "rotate":
        whole = all(v == int(v) and abs(v) <= 4 for v in numbers)
        _require(whole, "range", numbers, "whole quarter turns in [-4, 4]")
    elif name == "rotate-degrees":
        _require(max(map(abs, numbers)) <= 180, "range", numbers, "degrees in [-180, 180]")
    elif count == 2:
        _require(numbers[0] >= 0, "range", numbers, f">= 0 (op '{name}')")


def _require(rule_holds: bool, name: str, value: object, rule: str) -> None:
    require(rule_holds, name, value, rule, fix="Change it in the list of ops.")
