"""Every setting of a run, as frozen dataclasses that validate themselves. Nothing here imports torch.

The names of the leaves are unique over the whole tree, so that a setting has one name everywhere: a field here, a
keyword in Python (`twofold.pretrain(..., batch_size=512)`) and a flag on the command line (`--batch-size 512`).
"""

import dataclasses
import functools
import math
import re
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, get_args, get_type_hints

from twofold.errors import TwofoldError, require, require_choice, unknown_name
from twofold.recipes.augmentation import OPS as OPS
from twofold.recipes.augmentation import Op as Op
from twofold.recipes.augmentation import as_ops
from twofold.recipes.data import DataRecipe as DataRecipe
from twofold.recipes.hardware import HardwareRecipe as HardwareRecipe
from twofold.recipes.help import Help as Help
from twofold.recipes.init import InitRecipe as InitRecipe
from twofold.recipes.kinds import check_kinds
from twofold.recipes.loss import LossRecipe as LossRecipe
from twofold.recipes.own import is_own
from twofold.recipes.views import ViewsRecipe as ViewsRecipe
from twofold.recipes.views import require_used

_LATER = "init"  # a stage that recipes of earlier versions do not hold
DEPTHS = (10, 18, 34, 50, 101, 152, 200)


@dataclass(frozen=True, kw_only=True)
class EncoderRecipe:
    """f: views -> h (paper, section 2.1; reference 4.1)."""

    encoder: Annotated[str, Help("resnet10/18/34/50/101/152/200, torchvision:NAME or timm:NAME")] = "resnet50"
    width: Annotated[float, Help("multiplies every width of a ResNet, 0.25 to 4")] = 1.0
    stages: Annotated[int, Help("how many of a ResNet's four stages are built, 1 to 4")] = 4
    stem: Annotated[
        str, Help("imagenet (7x7 stride 2, max-pool), small (3x3 stride 1) or strided (3x3 stride 2, no pool)")
    ] = "imagenet"
    zero_init: Annotated[bool, Help("the last batch-norm gamma of each residual block starts at zero")] = True

    def __post_init__(self) -> None:
        check_kinds(self)
        names = tuple(f"resnet{depth}" for depth in DEPTHS)
        if not re.fullmatch(r"(torchvision|timm):\S+", self.encoder) and not is_own(self.encoder):
            require_choice("encoder", self.encoder, (*names, "torchvision:NAME", "timm:NAME"))
        require(0.25 <= self.width <= 4, "width", self.width, "in [0.25, 4]")
        require(1 <= self.stages <= 4, "stages", self.stages, "1, 2, 3 or 4")
        require_choice("stem", self.stem, ("imagenet", "small", "strided"))


@dataclass(frozen=True, kw_only=True)
class HeadRecipe:
    """g: h -> z (paper, section 4.2; reference 4.2)."""

    head: Annotated[str, Help("none, linear or nonlinear")] = "nonlinear"
    head_layers: Annotated[int, Help("dense layers of a nonlinear head; 2 is the paper's")] = 2
    z_dim: Annotated[int, Help("dimension of z")] = 128

    def __post_init__(self) -> None:
        check_kinds(self)
        require_choice("head", self.head, ("none", "linear", "nonlinear"))
        require(self.head_layers >= 2, "head_layers", self.head_layers, "at least 2 (1 layer is --head linear)")
        require(self.z_dim >= 1, "z_dim", self.z_dim, "at least 1")


@dataclass(frozen=True, kw_only=True)
class OptimRecipe:
    """How the weights move (reference 3)."""

    optimizer: Annotated[str, Help("lars, sgd (Nesterov) or adamw")] = "lars"
    base_lr: Annotated[float, Help("learning rate before scaling by the batch size")] = 0.3
    lr_scaling: Annotated[str, Help("lr = base_lr * B/256 (linear), * sqrt(B) (sqrt) or as it is (none)")] = "linear"
    momentum: Annotated[float, Help("momentum of LARS and SGD; AdamW's first beta")] = 0.9
    weight_decay: Annotated[float, Help("weight decay; biases and batch norm are exempt")] = 1e-6
    trust_coefficient: Annotated[float, Help("LARS's eta")] = 1e-3
    warmup_fraction: Annotated[float, Help("share of the steps over which the learning rate rises linearly")] = 0.1

    def __post_init__(self) -> None:
        check_kinds(self)
        if not is_own(self.optimizer):
            require_choice("optimizer", self.optimizer, ("lars", "sgd", "adamw"))
        require(0 < self.base_lr < math.inf, "base_lr", self.base_lr, "above 0 and finite")
        require_choice("lr_scaling", self.lr_scaling, ("linear", "sqrt", "none"))
        require(0.0 <= self.momentum < 1.0, "momentum", self.momentum, "in [0, 1)")
        require(0 <= self.weight_decay < math.inf, "weight_decay", self.weight_decay, "at least 0 and finite")
        trust = self.trust_coefficient
        require(0 < trust < math.inf, "trust_coefficient", trust, "above 0 and finite")
        require(0.0 <= self.warmup_fraction < 1.0, "warmup_fraction", self.warmup_fraction, "a fraction in [0, 1)")


@dataclass(frozen=True, kw_only=True)
class ScheduleRecipe:
    """How long, in which portions. One of `epochs` and `minutes` is set."""

    batch_size: Annotated[int, Help("images a step (twice as many views), over all processes")] = 256
    epochs: Annotated[float | None, Help("passes over the training images")] = None
    minutes: Annotated[
        float | None,
        Help(
            "time to train for, reading and monitoring included, turned into a number of steps by a short measurement; "
            "measuring, compiling and the report come on top"
        ),
    ] = None
    chunk: Annotated[
        int | Literal["auto"] | None,
        Help(
            "images of the batch (over all processes) that go through the encoder together; the loss sees all of them: "
            "the gradient of the whole batch, with batch norm per chunk. auto: as many as fit on the GPU, measured"
        ),
    ] = None
    seed: Annotated[int, Help("seed of weights, order and views")] = 0
    duplicates: Annotated[
        str,
        Help(
            "copies of one image: together (as they come), apart (copies with equal pixels are never in one batch, "
            "where they would be negatives of each other) or a findings.csv of clean (its copies too)"
        ),
    ] = "together"

    def __post_init__(self) -> None:
        check_kinds(self)
        is_known = self.duplicates in ("together", "apart") or self.duplicates.endswith(".csv")
        require(is_known, "duplicates", self.duplicates, "together, apart or a findings.csv of 'twofold clean'")
        chunk = self.fixed_chunk
        require(chunk is None or chunk >= 2, "chunk", chunk, "auto or at least 2: batch norm needs several")
        require(self.batch_size >= 2, "batch_size", self.batch_size, "at least 2: NT-Xent needs negatives")
        if (self.epochs is None) == (self.minutes is None):
            raise TwofoldError(
                f"epochs is {self.epochs} and minutes is {self.minutes}, but exactly one of them says how long to "
                "train. Give --epochs or --minutes."
            )
        for name in ("epochs", "minutes"):
            value = getattr(self, name)
            require(value is None or 0 < value <= 1e9, name, value, "above 0 and at most 1e9")
        require(0 <= self.seed < 2**32, "seed", self.seed, "in [0, 2^32)")

    @property
    def fixed_chunk(self) -> int | None:
        """The chunk where it is a number; "auto" becomes one in a run's plan."""
        return None if self.chunk == "auto" else self.chunk


@dataclass(frozen=True, kw_only=True)
class MonitorRecipe:
    """What is watched and kept while training. Nothing here changes the weights."""

    checkpoint_minutes: Annotated[float, Help("minutes between checkpoints")] = 2.0
    monitor_share: Annotated[float, Help("share of the steps between two checks of the representation's health")] = 0.1

    def __post_init__(self) -> None:
        check_kinds(self)
        require(self.checkpoint_minutes >= 0, "checkpoint_minutes", self.checkpoint_minutes, "at least 0")
        require(1e-9 <= self.monitor_share <= 1.0, "monitor_share", self.monitor_share, "in [1e-9, 1]")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A whole run. Stages are handed their own leaf, never this."""

    name: str = "custom"
    data: DataRecipe = field(default_factory=DataRecipe)
    views: ViewsRecipe = field(default_factory=ViewsRecipe)
    encoder: EncoderRecipe = field(default_factory=EncoderRecipe)
    init: InitRecipe = field(default_factory=InitRecipe)
    head: HeadRecipe = field(default_factory=HeadRecipe)
    loss: LossRecipe = field(default_factory=LossRecipe)
    optim: OptimRecipe = field(default_factory=OptimRecipe)
    schedule: ScheduleRecipe = field(default_factory=lambda: ScheduleRecipe(epochs=100.0))
    hardware: HardwareRecipe = field(default_factory=HardwareRecipe)
    monitor: MonitorRecipe = field(default_factory=MonitorRecipe)

    def __post_init__(self) -> None:
        check_kinds(self)

    @property
    def stored_px(self) -> int:
        """Short side that the store keeps: by default a crop of a quarter of the area still needs no enlarging."""
        return self.data.store_px or 2 * self.views.embedding_px

    def with_settings(self, **settings: Any) -> "Recipe":
        """A copy with some leaves changed by name: `recipe.with_settings(batch_size=512, epochs=10)`.

        Setting one of `epochs` and `minutes` unsets the other, setting `policy` a list of `ops`. `ops` may hold texts
        (`parse_op`) and augmentations too. None unsets what can be None. Raises TwofoldError for a name that is no
        setting, and for None where a value is needed.
        """
        owners, optional = setting_owners(), optional_settings()
        for name, value in settings.items():
            if name not in owners:
                raise unknown_name("setting", name, owners)
            rule = f"a value (only these can be None: {', '.join(optional)})"
            require(value is not None or name in optional, name, value, rule)
        if settings.get("epochs") is not None and settings.get("minutes") is None:
            settings["minutes"] = None
        elif settings.get("minutes") is not None and settings.get("epochs") is None:
            settings["epochs"] = None
        if ":" in str(settings.get("encoder", "")):  # a foreign network has a width and a stem of its own
            settings = {"width": 1.0, "stages": 4, "stem": "imagenet"} | settings
        if hasattr(settings.get("bands"), "__len__"):
            settings = {"channels": len(settings["bands"])} | settings
        if "ops" in settings:
            settings["ops"] = as_ops(settings["ops"])
        if "policy" in settings:
            settings = {"ops": None} | settings
        if "size_px" in settings:  # a recipe's own size for embedding belongs to its own size of views
            settings = {"eval_size_px": None} | settings
        changed = {}
        for stage in {owners[name] for name in settings}:
            leaves = {name: value for name, value in settings.items() if owners[name] == stage}
            changed[stage] = dataclasses.replace(getattr(self, stage), **leaves)
        recipe = dataclasses.replace(self, **changed)
        if "colour" not in settings and recipe.data.channels not in (1, 3):
            recipe = dataclasses.replace(recipe, views=dataclasses.replace(recipe.views, colour="channels"))
        require_used(recipe.views, settings, self.settings())
        return recipe

    def to_dict(self) -> dict[str, Any]:
        """Nested plain values, ready for JSON: the settings alone, also where a stage holds an object of Python's."""
        values: dict[str, Any] = {"name": self.name, **{stage: {} for stage in _stage_types()}}
        for name, stage in setting_owners().items():
            values[stage][name] = getattr(getattr(self, stage), name)
        ops = self.views.ops
        values["views"]["ops"] = None if ops is None else tuple(op.to_dict() for op in ops)
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Recipe":
        """The inverse of `to_dict`, also after a trip through JSON (where tuples become lists)."""
        stages: dict[str, Any] = {}
        for stage, stage_type in _stage_types().items():
            leaves = dict(values.get(stage, {}) if stage == _LATER else values[stage])
            for leaf, value in leaves.items():
                if leaf == "ops" and value is not None:
                    leaves[leaf] = tuple(_op(one) for one in value)
                elif isinstance(value, list):
                    leaves[leaf] = tuple(value)
            try:
                stages[stage] = stage_type(**leaves)
            except TypeError as error:
                raise TwofoldError(f"the recipe's part '{stage}' does not fit this version: {error}.") from error
        return cls(name=values["name"], **stages)

    def settings(self) -> dict[str, Any]:
        """Every leaf by its name."""
        return {name: getattr(getattr(self, stage), name) for name, stage in setting_owners().items()}


def _op(values: dict[str, Any]) -> Op:
    return Op(
        name=values["name"],
        prob=values["prob"],
        range=tuple(float(x) for x in values["range"]),
        branch=values.get("branch", "each"),  # recipes of earlier versions do not hold these two
        own=values.get("own"),
    )


@functools.cache
def _stage_types() -> dict[str, type]:
    hints = get_type_hints(Recipe)
    return {f.name: hints[f.name] for f in dataclasses.fields(Recipe) if f.name != "name"}


@functools.cache
def setting_owners() -> dict[str, str]:
    """Every setting's name -> the stage of the recipe that holds it."""
    return {f.name: stage for stage, kind in _stage_types().items() for f in dataclasses.fields(kind)}


@functools.cache
def optional_settings() -> tuple[str, ...]:
    """The names of the settings that can be None."""
    hints = {stage: get_type_hints(kind) for stage, kind in _stage_types().items()}
    return tuple(name for name, stage in setting_owners().items() if type(None) in get_args(hints[stage][name]))
