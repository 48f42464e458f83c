"""The sizes of the studies: in miniature on a laptop, longer where that decides nothing, and as in the paper."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from twofold.errors import TwofoldError, require_choice
from twofold.recipes.named import cifar10_laptop, imagenet_resnet50
from twofold.recipes.recipe import Recipe
from twofold.studies.engine.cell import Cell, halved, of_premises, with_seeds

NAMES = ("laptop", "longer", "paper")


@dataclass(frozen=True, kw_only=True)
class Scale:
    """The base recipe that all cells change a little, and the values of the axes that depend on the size."""

    name: str
    base: Recipe
    data: str | None  # what the studies are run on where nothing else is said
    labels: int | None  # at most so many labelled images fit a probe; None: all
    z_dims: tuple[int, ...]
    batch_sizes: tuple[int, ...]
    lengths: tuple[float, ...]  # multiples of the base's epochs, ascending
    short: float  # the same, for tuning
    pairs: float  # the same, for pairs of augmentations, which need longer to come apart
    pretrained: float  # the same, for an encoder that is fine-tuned
    encoders: Mapping[str, Mapping[str, Any]]  # name -> settings, from small to large
    fractions: tuple[float, ...]  # of the labels
    tuning: Mapping[str, tuple[float, ...]]  # setting -> values to choose among
    label_epochs: Mapping[float, float] = field(default_factory=dict)  # share of labels -> epochs, else the paper's
    seeds: int = 3
    checked: bool = False  # whether premises have cells of their own, and claims cells of half the length
    tuning_seeds: int = (
        1  # with so many each value that is tried; above 1 rates are chosen for each cell that is compared
    )
    largest_batch: int | None = None  # at which optimizers are compared; None: the last of `batch_sizes`
    by_study: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # study -> what it has of its own

    @property
    def epochs(self) -> float:
        """Passes over the images in a standard cell."""
        epochs = self.base.schedule.epochs
        if epochs is None:
            raise TwofoldError("epochs is not set, but cells of a study are compared after equally many. Set it.")
        return epochs

    def with_settings(self, **settings: Any) -> "Scale":
        """The same with other values in the base recipe."""
        return replace(self, base=self.base.with_settings(**settings))

    @property
    def tuned(self) -> bool:
        """Whether everything that is compared has a rate of its own."""
        return self.tuning_seeds > 1

    def repeated(self, cells: list[Cell], seeds: int, *, premises: list[Cell] | None = None) -> list[Cell]:
        """The cells with all seeds; where the scale is `checked`, also half as long, and `premises` with their seeds.

        Three seeds are enough for the halves: a comparison of both takes those that they share.
        """
        if not self.checked:
            return with_seeds(cells, seeds)
        halves = with_seeds(halved(cells, self.epochs), min(seeds, 3))
        return [*with_seeds(cells, seeds), *halves, *of_premises(premises or [])]

    def of(self, study: str) -> "Scale":
        """The scale of one study: `epochs` and other settings of the base recipe, and fields of the scale."""
        own = dict(self.by_study.get(study, {}))
        fields = {name: own.pop(name) for name in list(own) if name in self.__dataclass_fields__}
        return replace(self.with_settings(**own), **fields)


def get_scale(name: str) -> Scale:
    """The scale called `name`. Raises TwofoldError for an unknown one."""
    require_choice("scale", name, NAMES)
    return {"laptop": LAPTOP, "longer": LONGER, "paper": PAPER}[name]


LAPTOP = Scale(
    name="laptop",
    base=cifar10_laptop.RECIPE.with_settings(epochs=2.0, base_lr=0.6, weight_decay=3e-4, monitor_share=1.0),
    data="CIFAR10",
    labels=10_000,
    z_dims=(32, 128, 512),
    batch_sizes=(64, 256, 1024),
    lengths=(0.25, 0.5, 1.0),
    short=0.5,
    pairs=2.0,
    pretrained=4.0,
    encoders={
        "ResNet-10 x 0.25": {"encoder": "resnet10", "width": 0.25},
        "ResNet-10 x 0.5": {"encoder": "resnet10", "width": 0.5},
        "ResNet-18 x 0.5": {"encoder": "resnet18", "width": 0.5},
        "ResNet-10 x 1": {"encoder": "resnet10", "width": 1.0},
    },
    fractions=(0.01, 0.1, 1.0),
    tuning={
        "base_lr": (0.2, 0.6, 1.8),
        "lars_lr": (0.3, 1.0, 3.0),
        "temperature": (0.1, 0.2, 0.5),
        "margin": (0.4, 0.8),
    },
    label_epochs={1.0: 4.0},
)
LONGER = replace(  # longer where the laptop's length decided nothing; every side tuned, on three selection seeds
    LAPTOP,
    name="longer",
    checked=True,
    tuning_seeds=3,
    by_study={
        "head": {"epochs": 20.0, "seeds": 5},
        "layer": {"epochs": 20.0, "base_lr": 0.2},
        "colour": {"epochs": 20.0, "short": 0.25},
        "size": {"epochs": 10.0, "short": 0.25, "labels": None},
        "loss": {"seeds": 6},
        "temperature": {"seeds": 6},
        "labels": {"seeds": 6},
        "batch": {
            "epochs": 32.0,  # half of which are 1,552 steps of 512 images
            "short": 0.125,
            "lengths": (0.5, 1.0),
            "batch_sizes": (32, 128, 512),
            "largest_batch": 4096,
        },
        "duration": {"batch_sizes": (32, 256, 1024), "seeds": 5},
    },
)
PAPER = Scale(
    name="paper",
    base=imagenet_resnet50.RECIPE,
    data=None,
    labels=None,
    z_dims=(32, 64, 128, 256, 512, 1024, 2048),
    batch_sizes=(256, 512, 1024, 2048, 4096, 8192),
    lengths=(1.0, 2.0, 4.0, 8.0),
    short=1.0,
    pairs=1.0,
    pretrained=8.0,
    encoders={
        f"ResNet-{depth} x {width}": {"encoder": f"resnet{depth}", "width": float(width)}
        for depth in (18, 34, 50, 101, 152)
        for width in (1, 2, 4)
    },
    fractions=(0.01, 0.1, 1.0),
    tuning={
        "base_lr": (0.01, 0.1, 0.3, 0.5, 1.0),
        "lars_lr": (0.1, 0.3, 0.5, 1.0),
        "temperature": (0.1, 0.2, 0.5, 1.0),
        "margin": (0.4, 0.8, 1.6),
    },
)
