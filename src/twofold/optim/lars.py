"""LARS as in the official SimCLR code (reference 3.1).

Legend: w parameter, g gradient, v momentum buffer.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor

from twofold.errors import TwofoldError


class LARS(torch.optim.Optimizer):
    """Momentum SGD whose step on each tensor is scaled to the tensor's own length.

        g <- g + weight_decay * w
        trust = trust_coefficient * |w| / |g|  if |w| > 0 and |g| > 0  else 1      (1 where the group's adapt is False)
        v <- momentum * v + lr * trust * g
        w <- w - v

    The learning rate is inside the buffer, so a change of it acts on new gradients only; adaptation also happens
    without weight decay; there is no epsilon and no clipping. Set `adapt` and `weight_decay` for each group
    (`param_groups` does). foreach: all tensors at once or one after the other, with the same result; by default the
    latter on a CPU, where it is nearly twice as fast. With all at once a group's `lr` may be set to a tensor () of the
    device. Raises TwofoldError for settings out of range.
    Source: You et al. 2017 (arXiv 1708.03888) in the form of reference 3.1.
    """

    def __init__(
        self,
        params: Iterable[Any],
        *,
        lr: float,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        trust_coefficient: float = 1e-3,
        adapt: bool = True,
        foreach: bool | None = None,
    ) -> None:
        if not (lr >= 0 and 0 <= momentum < 1 and weight_decay >= 0 and trust_coefficient > 0):
            raise TwofoldError(
                f"LARS got lr {lr}, momentum {momentum}, weight_decay {weight_decay} and trust_coefficient "
                f"{trust_coefficient}, but they must be >= 0, in [0, 1), >= 0 and > 0. Change the one out of range."
            )
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "weight_decay": weight_decay,
            "trust_coefficient": trust_coefficient,
            "adapt": adapt,
            "foreach": foreach,
        }
        super().__init__(params, defaults)

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One step on every parameter that has a gradient; returns the closure's loss, if there is a closure."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for w, g, v in self._alike(group["params"]):
                together = w[0].device.type != "cpu" if group["foreach"] is None else group["foreach"]
                (_step_together if together else _step_one_by_one)(w, g, v, group)
        return loss

    def _alike(self, params: Iterable[Tensor]) -> Iterable[tuple[list[Tensor], list[Tensor], list[Tensor]]]:
        """Lists of w, g and v, one triple for each device and type."""
        triples: defaultdict[Any, tuple[list[Tensor], list[Tensor], list[Tensor]]] = defaultdict(lambda: ([], [], []))
        for w in params:
            if w.grad is None:
                continue
            if "momentum_buffer" not in self.state[w]:
                self.state[w]["momentum_buffer"] = torch.zeros_like(w)
            triple = (w, w.grad, self.state[w]["momentum_buffer"])
            for column, tensor in zip(triples[w.device, w.dtype], triple, strict=True):
                column.append(tensor)
        return triples.values()


def _step_together(w: list[Tensor], g: list[Tensor], v: list[Tensor], group: dict[str, Any]) -> None:
    if group["weight_decay"] != 0:
        g = list(torch._foreach_add(g, w, alpha=group["weight_decay"]))
    torch._foreach_mul_(v, group["momentum"])
    lr = group["lr"]
    on_device = isinstance(lr, Tensor)  # as in a CUDA graph
    if group["adapt"]:
        w_norm, g_norm = torch.stack(torch._foreach_norm(w)), torch.stack(torch._foreach_norm(g))
        trust = _trust(w_norm, g_norm, group["trust_coefficient"])
        if on_device:
            torch._foreach_addcmul_(v, g, (trust * lr).unbind())
        else:
            torch._foreach_addcmul_(v, g, trust.unbind(), value=lr)
    elif on_device:
        torch._foreach_add_(v, torch._foreach_mul(g, lr))
    else:
        torch._foreach_add_(v, g, alpha=lr)
    torch._foreach_sub_(w, v)


def _step_one_by_one(w: list[Tensor], g: list[Tensor], v: list[Tensor], group: dict[str, Any]) -> None:
    for one_w, gradient, one_v in zip(w, g, v, strict=True):
        one_g = gradient.add(one_w, alpha=group["weight_decay"]) if group["weight_decay"] != 0 else gradient
        one_v.mul_(group["momentum"])
        if group["adapt"]:
            trust = _trust(one_w.norm(), one_g.norm(), group["trust_coefficient"])
            one_v.addcmul_(one_g, trust, value=group["lr"])
        else:
            one_v.add_(one_g, alpha=group["lr"])
        one_w.sub_(one_v)


def _trust(w_norm: Tensor, g_norm: Tensor, trust_coefficient: float) -> Tensor:
    both = (w_norm > 0) & (g_norm > 0)
    return torch.where(both, trust_coefficient * w_norm / g_norm, 1.0)
