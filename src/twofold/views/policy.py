"""Which ops, in which order, with which probability: data, not code."""

from twofold.errors import TwofoldError
from twofold.recipe import Op, ViewsRecipe


def build_policy(views: ViewsRecipe) -> tuple[Op, ...]:
    """The ops of a recipe, in order (paper, appendix A; reference 1.1 and 1.3).

    With strength s, `simclr` is crop, flip, jitter (prob 0.8; 0.8s, 0.8s, 0.8s, 0.2s), grayscale (prob 0.2), blur
    (prob 0.5, sigma 0.1 to 2 px); `small` is the same without blur. The hue range is capped at 0.5, half the circle.
    `views.ops`, where given, replaces all of this. Raises TwofoldError for a crop that is not the first op.
    """
    if views.ops is not None:
        return _checked(views.ops)
    s = views.strength
    policy = (
        Op(name="crop", range=views.crop_area),
        Op(name="flip", prob=views.flip_prob),
        Op(name="jitter", prob=0.8, range=(0.8 * s, 0.8 * s, 0.8 * s, min(0.2 * s, 0.5))),
        Op(name="grayscale", prob=0.2),
    )
    return policy if views.policy == "small" else (*policy, Op(name="blur", prob=0.5, range=(0.1, 2.0)))


def _checked(ops: tuple[Op, ...]) -> tuple[Op, ...]:
    late = [position for position, op in enumerate(ops) if op.name == "crop" and position > 0]
    if late:
        raise TwofoldError(
            f"ops has a crop at position {late[0] + 1}, but pictures of all sizes become views there: a crop must come "
            "first, and only once. Move the crop to the front, or leave it out for the central square."
        )
    return ops
