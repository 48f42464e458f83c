"""What an augmentation is: numbers drawn for each view, and a pure function of images and numbers."""

from abc import ABC, abstractmethod
from dataclasses import astuple, dataclass
from typing import ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor

from twofold.recipes.augmentation import Op

Values = Tensor | tuple[Tensor, ...]


@runtime_checkable
class Augmentation(Protocol):
    """One augmentation: `draw` gives random numbers for m views, `apply` changes images by such numbers.

    An object of your own stands beside the built-in ops in `ops=(...)`:

    >>> import torch
    >>> class Darken:
    ...     name = "darken"
    ...     def __init__(self, most: float = 0.5) -> None:
    ...         self.most = most  # public attributes are written into the run, and a continued run compares them
    ...     def draw(self, m, generator):
    ...         return self.most * torch.rand(m, generator=generator)
    ...     def apply(self, images, values):
    ...         return images * (1 - values[:, None, None, None])
    >>> from twofold import TwoViews
    >>> two_views = TwoViews(("crop", "flip@0.5", Darken(0.3)), size_px=32)
    >>> two_views(torch.rand(8, 3, 40, 40)).shape
    torch.Size([16, 3, 32, 32])

    The object of a run must give the same result in every process and after a restart: `draw` takes all its random
    numbers from `generator`, and row i of what `apply` returns depends on image i and on row i of the values alone.
    """

    def draw(self, m: int, generator: Generator) -> Values:
        """Numbers for m views: a tensor, or a tuple of tensors, on the CPU with m rows each."""
        ...

    def apply(self, images: Tensor, values: Values) -> Tensor:
        """The changed images. `images` are (n, c, s, s), float32 in [0, 1], on the CPU or on a device.

        `values` are n rows of what was drawn, on the same device. The result has the shape of the images and is clamped
        to [0, 1].
        """
        ...


@dataclass(frozen=True)
class BuiltIn(ABC):
    """An op of Twofold. Its fields are the numbers of its range.

    Beside `draw` and `apply` it knows how to change one large view in place (`apply_to_one`), and how every image of a
    batch on a device goes the same way: `columns` are the numbers for that, `apply_alike` is the function of them.
    """

    name: ClassVar[str]

    def as_op(self) -> Op:
        """The same as data."""
        return Op(name=self.name, range=tuple(map(float, astuple(self))))

    def draw(self, m: int, generator: Generator) -> Float[Tensor, "m k"]:
        """Its numbers for m views; the table at the top of `sample` says which."""
        return torch.empty(m, 0)

    @abstractmethod
    def apply(self, images: Float[Tensor, "n c s s"], values: Float[Tensor, "n k"]) -> Float[Tensor, "n c s s"]:
        """The images changed by the numbers of their rows."""

    def apply_where(
        self, images: Float[Tensor, "n c s s"], active: Bool[Tensor, "n"], values: Float[Tensor, "n k"]
    ) -> Float[Tensor, "n c s s"]:
        """On a CPU: the op on the rows where it is active; may change `images` in place."""
        rows = active.nonzero()[:, 0]
        if len(rows) == 0:
            return images
        if len(rows) == len(images):
            return self.apply(images, values)
        return images.index_copy_(0, rows, self.apply(images.index_select(0, rows), values[rows]))

    def apply_to_one(self, image: Float[Tensor, "1 c s s"], values: Float[Tensor, "k"]) -> None:
        """On a CPU: overwrite one image with the changed one."""
        image.copy_(self.apply(image, values[None]))

    @staticmethod
    def columns(active: Bool[Tensor, "m"], values: Float[Tensor, "m k"], size_px: int) -> Float[Tensor, "m j"]:
        """What `apply_alike` takes: numbers that change nothing where the op does not act. Here: whether it acts."""
        return active.float()[:, None]

    @staticmethod
    @abstractmethod
    def apply_alike(images: Tensor, columns: Tensor) -> Tensor:
        """(m, c, s, s) images, each changed in the same way by its columns (m, j); nothing is asked of the device."""


def uniform(generator: Generator, m: int, k: int = 1, low: float = 0.0, high: float = 1.0) -> Float[Tensor, "{m} {k}"]:
    """Uniform in low .. high."""
    return torch.rand(m, k, generator=generator, dtype=torch.float32).mul_(high - low).add_(low)


def whole(generator: Generator, m: int, low: int, high: int) -> Float[Tensor, "{m} 1"]:
    """Whole numbers in low .. high, both included, as float32."""
    return torch.randint(low, high + 1, (m, 1), generator=generator).to(torch.float32)


def neutral(active: Bool[Tensor, "m"], values: Float[Tensor, "m k"], number: float) -> Float[Tensor, "m k"]:
    """The op's own numbers, the first of them `number` where it does not act."""
    values = values.clone()
    values[:, 0].masked_fill_(~active, number)
    return values
