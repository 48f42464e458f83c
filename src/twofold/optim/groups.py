"""Which parameters get weight decay and LARS's trust ratio, and which learn slower than others."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

_NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)  # _NormBase: batch, synchronised and instance norm


def param_groups(model: nn.Module, weight_decay: float | None) -> list[dict[str, Any]]:
    """Two groups for an optimizer: the weights, and those exempt from decay and adaptation.

    Exempt are the parameters of batch, layer, group, instance and RMS norms, and every bias, told by the type of the
    module that owns them. Every trainable parameter is in exactly one group. Keys: params, weight_decay, adapt; with a
    weight_decay of None the optimizer's own one holds for the weights, and the exempt have none.
    Source: reference 3.1 (exclusion list).

    >>> from torch import nn
    >>> model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8))
    >>> [(len(group["params"]), group["weight_decay"], group["adapt"]) for group in param_groups(model, 1e-6)]
    [(1, 1e-06, True), (3, 0.0, False)]
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
    decay = {} if weight_decay is None else {"weight_decay": weight_decay}
    return [
        {"params": weights, **decay, "adapt": True},
        {"params": exempt, "weight_decay": 0.0, "adapt": False},
    ]


def decay_rates(optimizer: torch.optim.Optimizer, layers: Sequence[nn.Module], decay: float) -> None:
    """Give the last of the `layers` the learning rate itself, and each before it `decay` times the rate of the next.

    Divides the optimizer's groups; each has its `lr_share` of the rate afterwards, which `set_lr` goes by. Parameters
    in none of the layers have the rate itself.

    >>> from torch import nn
    >>> model = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
    >>> optimizer = torch.optim.SGD(param_groups(model, 0.0), lr=1.0)
    >>> decay_rates(optimizer, list(model), 0.5)
    >>> [(len(group["params"]), group["lr_share"]) for group in optimizer.param_groups]
    [(1, 0.5), (1, 1.0), (1, 0.5), (1, 1.0)]
    """
    share_rates(
        optimizer,
        {parameter: decay**above for above, layer in enumerate(reversed(layers)) for parameter in layer.parameters()},
    )


def share_rates(optimizer: torch.optim.Optimizer, shares: Mapping[nn.Parameter, float]) -> None:
    """Give parameters their share of the learning rate; those that are not in `shares` have the rate itself.

    Divides the optimizer's groups; each has its `lr_share` of the rate afterwards, times what it had before.
    """
    divided = []
    for group in optimizer.param_groups:
        parts: dict[float, list[nn.Parameter]] = {}
        for parameter in group["params"]:
            parts.setdefault(shares.get(parameter, 1.0), []).append(parameter)
        whole = group.get("lr_share", 1.0)
        divided += [{**group, "params": parts[one], "lr_share": one * whole} for one in sorted(parts)]
    optimizer.param_groups[:] = divided
