"""LARS as in the official SimCLR code (reference 3.1).

Legend: w parameter, g gradient, v momentum buffer.
"""

import inspect
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor, nn

from twofold.errors import TwofoldError
from twofold.optim.groups import param_groups


class LARS(torch.optim.Optimizer):
    """Momentum SGD whose step on each tensor is scaled to the tensor's own length.

        g <- g + weight_decay * w
        trust = trust_coefficient * |w| / |g|  if |w| > 0 and |g| > 0  else 1      (1 where the group's adapt is False)
        v <- momentum * v + lr * trust * g
        w <- w - v

    The learning rate is inside the buffer, so a change of it acts on new gradients only; adaptation also happens
    without weight decay; there is no epsilon and no clipping.

    params: a model, whose norms and biases get neither decay nor adaptation, as in the paper; the groups that
    `param_groups(model, weight_decay)` makes, which are the same; or groups or tensors as of any torch optimizer, taken
    as they are. `LARS(model.parameters())` adapts norms and biases too, and warns: a bias that starts at 0 has |w| = 0,
    so a trust of 1, and moves a thousand times as far as the weights.
    foreach: all tensors at once or one after the other, with the same result; by default the latter on a CPU, where it
    is nearly twice as fast. With all at once a group's `lr` may be set to a tensor () of the device.
    Raises TwofoldError for settings out of range.

    >>> import torch
    >>> model = torch.nn.Linear(4, 2)
    >>> optimizer = LARS(model, lr=0.3, weight_decay=1e-6)
    >>> model(torch.ones(1, 4)).square().sum().backward()
    >>> optimizer.step()
    >>> [group["adapt"] for group in optimizer.param_groups]
    [True, False]

    Source: You et al. 2017 (arXiv 1708.03888) in the form of reference 3.1.
    """

    def __init__(
        self,
        params: nn.Module | Iterable[Any],
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
        if isinstance(params, nn.Module):
            params = [{**group, "adapt": adapt and group["adapt"]} for group in param_groups(params, weight_decay)]
        else:
            params = list(params)
            _warn_of_bare(params, adapt)
        super().__init__(params, defaults)

    # torch wraps these so that they first import its compiler, for two seconds, and then keep it off
    add_param_group = inspect.unwrap(torch.optim.Optimizer.add_param_group)
    zero_grad = inspect.unwrap(torch.optim.Optimizer.zero_grad)
    state_dict = inspect.unwrap(torch.optim.Optimizer.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.Optimizer.load_state_dict)

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


def _warn_of_bare(params: list[Any], adapt: bool) -> None:
    """Parameters of a whole model, without groups: matrices and vectors together."""
    flat = [tensor.ndim <= 1 for tensor in params if isinstance(tensor, Tensor)]
    if adapt and len(set(flat)) == 2:
        warnings.warn(
            f"LARS got {len(flat)} parameters without groups, {sum(flat)} of them norms or biases by their shape, and "
            "decays and adapts these like weights. Give it the model, LARS(model, ...), to exempt them.",
            stacklevel=3,
        )


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
