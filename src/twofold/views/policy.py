"""Which ops, in which order, with which probability, on which view: data, not code."""

from dataclasses import replace

from twofold.errors import TwofoldError
from twofold.recipes.augmentation import POLICY
from twofold.recipes.recipe import Op, ViewsRecipe
from twofold.views.augmentations import require_augmentations


def build_policy(views: ViewsRecipe) -> tuple[Op, ...]:
    """The ops of a recipe, in order (paper, appendix A; reference 1.1 and 1.3).

    With strength s, `simclr` is crop, flip, jitter (prob 0.8; 0.8s, 0.8s, 0.8s, 0.2s), grayscale (prob 0.2), blur
    (prob 0.5, sigma 0.1 to 2 px); `small` is the same without blur. The hue range is capped at 0.5, half the circle.
    With `views.colour` "channels", for images that are no photographs, the two ops of colour are channel-jitter (prob
    0.8; gain 0.4s, offset 0.1s, gamma 0.4s: half the strengths of brightness, hue and contrast) and channel-drop (the
    probability of grayscale). `views.jitter`, `grayscale_prob` and `blur_prob` replace these numbers;
    `vertical_flip_prob` and `rotate_degrees` add an op each behind the flip. What is never due is left out.
    `views.ops`, where given, replaces all of this; an op called "policy" among them stands for all of it.

    With `views.one_branch`, as in the paper's figure 5, view a is R(x) and view b is T(R(x)): R is the crop that comes
    first (without one, the central square), drawn once for both views, and T is every other op, in order. T may hold
    crops of its own, anywhere: they cut the view that there is by then. Ops that state a branch keep it.
    Raises TwofoldError for a crop of `each` view that is not the first op.
    """
    ops = _named(views) if views.ops is None else _expanded(views.ops, _named(views))
    if views.one_branch:
        ops = tuple(_on_one_branch(op, position) for position, op in enumerate(ops))
    return _checked(ops)


def build_single_policy(views: ViewsRecipe) -> tuple[Op, ...]:
    """The ops of one view alone, for training with labels: all of the recipe's, drawn for each image by itself.

    These are the ops that act on view b, whatever `views.one_branch` and the ops' own branches say about view a.
    Raises TwofoldError as `build_policy` does.
    """
    return tuple(replace(op, branch="each") for op in build_policy(views))


def require_policy(views: ViewsRecipe, channels: int) -> None:
    """Raises TwofoldError for ops that cannot be, and for augmentations of the user's own that fail a trial."""
    require_augmentations(build_policy(views), channels=channels, size_px=views.size_px)


def _named(views: ViewsRecipe) -> tuple[Op, ...]:
    s, degrees = views.strength, views.rotate_degrees
    usual_blur = 0.0 if views.policy == "small" else 0.5
    blur_prob = usual_blur if views.blur_prob is None else views.blur_prob
    jitter = views.jitter or (0.8 * s, 0.8 * s, 0.8 * s, min(0.2 * s, 0.5))
    dropped = "grayscale" if views.colour == "photos" else "channel-drop"
    return (
        Op(name="crop", range=views.crop_area),
        Op(name="flip", prob=views.flip_prob),
        *_where(views.vertical_flip_prob > 0, Op(name="vertical-flip", prob=views.vertical_flip_prob)),
        *_where(degrees > 0, Op(name="rotate-degrees", range=(-degrees, degrees))),
        *_where(views.jitter is None or max(jitter) > 0, _jitter(views.colour, jitter)),
        *_where(views.grayscale_prob > 0, Op(name=dropped, prob=views.grayscale_prob)),
        *_where(blur_prob > 0, Op(name="blur", prob=blur_prob, range=(0.1, 2.0))),
    )


def _jitter(colour: str, strengths: tuple[float, float, float, float]) -> Op:
    if colour == "photos":
        return Op(name="jitter", prob=0.8, range=strengths)
    brightness, contrast, _, hue = strengths
    return Op(name="channel-jitter", prob=0.8, range=(brightness / 2, hue / 2, contrast / 2))


def _where(wanted: bool, op: Op) -> tuple[Op, ...]:
    return (op,) if wanted else ()


def _expanded(ops: tuple[Op, ...], named: tuple[Op, ...]) -> tuple[Op, ...]:
    """The ops, with those of the named policy in the place of "policy"."""
    return tuple(one for op in ops for one in (named if op.name == POLICY else (op,)))


def _on_one_branch(op: Op, position: int) -> Op:
    if op.branch != "each":
        return op
    return replace(op, branch="shared" if position == 0 and op.name == "crop" else "b")


def _checked(ops: tuple[Op, ...]) -> tuple[Op, ...]:
    late = [i for i, op in enumerate(ops) if op.name == "crop" and op.branch == "each" and i > 0]
    if late:
        raise TwofoldError(
            f"ops has a crop at position {late[0] + 1}, but images of all sizes become views there: a crop must come "
            "first, and only once. Move the crop to the front, or leave it out for the central square."
        )
    return ops
