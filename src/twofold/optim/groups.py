"""Which parameters get weight decay and LARS's trust ratio."""

from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

_NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)  # _NormBase: batch, synchronised and instance norm


def param_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Two groups for an optimizer: the weights, and those exempt from decay and adaptation.

    Exempt are the parameters of batch, layer, group, instance and RMS norms, and every bias, told by the type of the
    module that owns them. Every trainable parameter is in exactly one group. Keys: params, weight_decay, adapt.
    Source: reference 3.1 (exclusion list).
    """
    weights: list[nn.Parameter] = []
    exempt: list[nn.Parameter] = []
    seen: set[int] = set()
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if not parameter.requires_grad or id(parameter) in seen:
                continue
            seen.add(id(parameter))
            is_exempt = isinstance(module, _NORMS) or "bias" in name
            (exempt if is_exempt else weights).append(parameter)
    return [
        {"params": weights, "weight_decay": weight_decay, "adapt": True},
        {"params": exempt, "weight_decay": 0.0, "adapt": False},
    ]
