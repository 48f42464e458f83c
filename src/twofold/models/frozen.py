"""The first layers of an encoder, left as they are while the others learn."""

from torch import nn

from twofold.errors import TwofoldError, unknown_name
from twofold.models.matching import library_module

_NEAR = 8  # names of layers that an error shows


def freeze_until(encoder: nn.Module, layer: str) -> list[nn.Module]:
    """Freeze `layer` and all that comes before it, in the order of the encoder's modules; return the frozen modules.

    Their parameters get no gradient. They must stay in evaluation mode too, or batch norm would go on moving its
    statistics: `SimCLR.frozen` sees to that. Raises TwofoldError for an unknown layer, and where nothing would be left
    to train.
    """
    modules = dict(library_module(encoder).named_modules())
    if layer not in modules or layer == "":
        raise unknown_name("layer", layer, [name for name in modules if name and name.count(".") < 2][:_NEAR])
    names = list(modules)
    last = max(at for at, name in enumerate(names) if name == layer or name.startswith(f"{layer}."))
    for name in names[: last + 1]:
        for parameter in modules[name].parameters(recurse=False):
            parameter.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in encoder.parameters()):
        raise TwofoldError(
            f"freeze_until is '{layer}', but no parameter of the encoder comes after it, so nothing would be trained. "
            "Choose an earlier layer with --freeze-until."
        )
    around = {"", *(layer[:at] for at, letter in enumerate(layer) if letter == ".")}  # modules that hold it
    return [modules[name] for name in names[: last + 1] if name not in around]
