"""Weights into a module that is to have exactly these."""

from collections.abc import Mapping

from torch import Tensor, nn

from twofold.errors import TwofoldError


def fill(module: nn.Module, weights: Mapping[str, Tensor], kind: str) -> None:
    """Put weights and buffers into a module, all that it has and no others.

    Raises TwofoldError, which calls the module the recipe's `kind`, where names or shapes differ.
    """
    needed = module.state_dict()
    missing, strange = [n for n in needed if n not in weights], [n for n in weights if n not in needed]
    wrong = [n for n in needed if n in weights and needed[n].shape != weights[n].shape]
    differing = []
    if wrong:
        shapes = f"{tuple(weights[wrong[0]].shape)}, not {tuple(needed[wrong[0]].shape)}"
        differing.append(f"{len(wrong)} have another shape (first '{wrong[0]}': {shapes})")
    if missing:
        differing.append(f"{len(missing)} are missing (first '{missing[0]}')")
    if strange:
        differing.append(f"{len(strange)} are unknown to it (first '{strange[0]}')")
    if differing:
        raise TwofoldError(
            f"the weights do not fit the recipe's {kind}, which has {len(needed)} tensors: {', '.join(differing)}. "
            "Use the weights and the recipe of the same run."
        )
    module.load_state_dict(weights)
