"""Augmentations of the user's own: what they draw and return is checked, once before a run and at every step."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor

from twofold.errors import TwofoldError
from twofold.recipes.augmentation import Op
from twofold.views.augmentations.base import Augmentation, Values

_TRIED = 4  # images of a trial
_OF_PHOTOGRAPHS = ("jitter", "grayscale")  # whose formulas are about red, green and blue


@dataclass(frozen=True)
class Own:
    """An augmentation of the user's own, of which the other parts may expect what they expect of a built-in op."""

    name: str
    augmentation: Augmentation

    def draw(self, m: int, generator: Generator) -> Values:
        """Raises TwofoldError for anything but tensors of m rows on the CPU."""
        values: Any = self.augmentation.draw(m, generator)
        for one in _tensors(values):
            if not isinstance(one, Tensor) or one.device.type != "cpu" or one.shape[:1] != (m,):
                raise self.error(
                    f"draw({m}, generator) gave {_shown(one)}",
                    f"a tensor of {m} rows on the CPU, or a tuple of such tensors",
                )
        drawn: Values = values
        return drawn

    def apply(self, images: Float[Tensor, "n c s s"], values: Values) -> Float[Tensor, "n c s s"]:
        """The result in [0, 1]. Raises TwofoldError where it has another shape or is not float."""
        changed: Any = self.augmentation.apply(images, values)
        if not isinstance(changed, Tensor) or changed.shape != images.shape or not changed.is_floating_point():
            raise self.error(f"apply gave {_shown(changed)}", f"float images of the shape {tuple(images.shape)}")
        return changed.to(torch.float32).clamp(0, 1)

    def apply_where(
        self, images: Float[Tensor, "n c s s"], active: Bool[Tensor, "n"], values: Values
    ) -> Float[Tensor, "n c s s"]:
        """On a CPU: on the rows where it is active; may change `images` in place."""
        rows = active.nonzero()[:, 0]
        if len(rows) == 0:
            return images
        return images.index_copy_(0, rows, self.apply(images.index_select(0, rows), take(values, rows)))

    def apply_to_one(self, image: Float[Tensor, "1 c s s"], values: Values) -> None:
        """On a CPU: overwrite one image; `values` are those of one row, without that dimension."""
        image.copy_(self.apply(image.clone(), take(values, None)))

    def apply_alike(self, images: Tensor, active: Tensor, values: Values) -> Tensor:
        """On a device: on all images, kept where it is active (m, 1), so that no shape depends on what was drawn."""
        return torch.where(active[:, :, None, None] > 0, self.apply(images.clone(), values), images)

    @contextmanager
    def tried(self) -> Iterator[None]:
        """Turn whatever it raises into a TwofoldError."""
        try:
            yield
        except TwofoldError:
            raise
        except Exception as error:  # the user's code may fail in any way
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            raise TwofoldError(
                f"the augmentation '{self.name}' failed on {_TRIED} images ({reason}). Fix it, or take it out of ops."
            ) from error

    def error(self, what: str, rule: str) -> TwofoldError:
        """What is wrong with it."""
        return TwofoldError(f"of the augmentation '{self.name}' {what}, but it must give {rule}. Change it there.")


def take(values: Values, rows: slice | int | Tensor | None) -> Values:
    """Some rows of what was drawn."""
    return on_each(values, lambda one: one[rows])


def on_each(values: Values, change: Callable[[Tensor], Tensor]) -> Values:
    """A function of each tensor of what was drawn."""
    return tuple(change(one) for one in values) if isinstance(values, tuple) else change(values)


def require_augmentations(policy: Sequence[Op], *, channels: int, size_px: int) -> None:
    """Try the augmentations of the user's own on a few made-up images, on the CPU.

    Raises TwofoldError for a built-in op that needs 1 or 3 channels where there are others, and where an own one fails,
    draws other numbers for the same generator, or does to an image what depends on the images around it.
    """
    if channels not in (1, 3) and (photographic := [op.name for op in policy if op.name in _OF_PHOTOGRAPHS]):
        raise TwofoldError(
            f"the op '{photographic[0]}' needs 1 or 3 channels, but the images have {channels}. Give "
            "--colour channels, or channel-jitter and channel-drop in a list of ops."
        )
    images = torch.rand(_TRIED, channels, size_px, size_px, generator=_generator())
    for one in (build_own(op) for op in policy if op.own):
        with one.tried():
            values, again = one.draw(_TRIED, _generator()), one.draw(_TRIED, _generator())
        if not all(map(torch.equal, _tensors(values), _tensors(again))):
            raise one.error("draw gave other numbers for the same generator", "numbers that come from it alone")
        with one.tried():
            changed = one.apply(images.clone(), values)
            alone = [one.apply(images[i : i + 1].clone(), take(values, slice(i, i + 1))) for i in range(_TRIED)]
        if not torch.allclose(torch.cat(alone), changed, atol=1e-4):
            raise one.error(
                "apply changed an image in another way when it came alone", "what depends on that image and its row"
            )


def build_own(op: Op) -> Own:
    """The augmentation that an op holds. Raises TwofoldError where a saved recipe only names it."""
    if op.augmentation is None:
        raise TwofoldError(
            f"the recipe names the augmentation '{op.own}', but a saved recipe does not hold it. Give ops again, with "
            f"an object of that class (on a command line --ops ... {op.own.partition('(')[0] if op.own else ''})."
        )
    assert isinstance(op.augmentation, Augmentation)
    return Own(op.name, op.augmentation)


def _tensors(values: Any) -> tuple[Any, ...]:
    return values if isinstance(values, tuple) else (values,)


def _generator() -> Generator:
    return Generator().manual_seed(0)


def _shown(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of {value.dtype} of the shape {tuple(value.shape)} on {value.device}"
    return f"an object of the type {type(value).__name__}"
