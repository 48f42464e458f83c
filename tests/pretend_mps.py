"""An Apple GPU that is not there: the pretended device of `pretend_cuda` under the name `mps`, without float64."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch
import torch._dynamo  # it keeps a list of torch's functions as they are when it is first loaded
from torch import Tensor

import pretend_cuda
from pretend_cuda import Device, OnDevice, pretended_cuda

MPS = torch.device("mps", 0)
_LACKING = (torch.float64, torch.complex128)


@contextmanager
def pretended_mps() -> Iterator[Device]:
    """A machine with an Apple GPU for as long as the block lasts."""
    make = OnDevice.__new__

    def make_unless_lacking(cls: Any, inner: Tensor) -> OnDevice:
        if inner.dtype in _LACKING:
            raise TypeError(
                f"Cannot convert a MPS Tensor to {inner.dtype} as the MPS framework doesn't support float64. Please "
                "use float32 instead."
            )
        return make(inner) if isinstance(make, staticmethod) else make(cls, inner)

    with ExitStack() as stack:
        device = stack.enter_context(pretended_cuda())
        for place, name, answer in (
            (torch.cuda, "is_available", lambda: False),
            (torch.cuda, "is_initialized", lambda: False),
            (torch.cuda, "device_count", lambda: 0),
            (torch.backends.mps, "is_available", lambda: True),
            (torch.mps, "synchronize", lambda: device.note("sync")),
            (torch.mps, "empty_cache", lambda: None),
            (torch.mps, "manual_seed", device.generator.manual_seed),
            (torch.mps, "get_rng_state", device.generator.get_state),
            (torch.mps, "set_rng_state", device.generator.set_state),
            (pretend_cuda, "CUDA", MPS),
            (pretend_cuda, "_is_cuda", lambda wanted: torch.device(wanted).type == "mps"),
            (OnDevice, "is_cuda", property(lambda _: False)),
            (OnDevice, "__new__", staticmethod(make_unless_lacking)),
        ):
            stack.enter_context(mock.patch.object(place, name, answer))
        yield device
