"""How a GPU computes: float32 in full where that is asked for, and the same bits every time where that is asked for.

Both are switches of the whole process in torch. They are set while Twofold computes and put back afterwards.
"""

import os
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch.utils import deterministic as torch_deterministic

from twofold.errors import TwofoldError

_CUBLAS = "CUBLAS_WORKSPACE_CONFIG"


@contextmanager
def full_float32() -> Iterator[None]:
    """Inside, convolutions and matrix products of float32 on CUDA are not shortened to TF32, which keeps 10 bits of 23.

    torch's own setting is TF32 for convolutions: the gradient of ResNet-18 was off by 0.10 of its length then, by 0.001
    in full (H200, beside float64).
    """
    cudnn = torch.backends.cudnn
    # torch has two interfaces from 2.9 on, and reading the old one fails after the new one was used in part
    parts: list[Any] = [torch.backends.cuda.matmul, getattr(cudnn, "conv", None), getattr(cudnn, "rnn", None)]
    parts = [part for part in parts if part is not None and hasattr(part, "fp32_precision")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that one of the two is old
        convolutions = _read(lambda: cudnn.allow_tf32, True)
        products = _read(torch.get_float32_matmul_precision, "highest")
        before = [part.fp32_precision for part in parts]
        cudnn.allow_tf32 = False
        torch.set_float32_matmul_precision("highest")
        for part in parts:
            part.fp32_precision = "ieee"  # also where a setting above it says otherwise
    try:
        yield
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            cudnn.allow_tf32 = convolutions
            torch.set_float32_matmul_precision(products)
            for part, value in zip(parts, before, strict=True):
                part.fp32_precision = value


def _read(get: Any, default: Any) -> Any:
    """torch's default where the settings contradict each other, which torch refuses to read."""
    try:
        return get()
    except RuntimeError:
        return default


@contextmanager
def same_bits() -> Iterator[None]:
    """Inside, torch takes algorithms that give the same bits every time, on every device.

    Raises TwofoldError where a model asks for one that torch has only as one that does not.
    """
    cudnn = torch.backends.cudnn
    with ExitStack() as stack:
        mode = torch.get_deterministic_debug_mode()
        stack.callback(torch.set_deterministic_debug_mode, mode)
        for owner, name, value in (
            (cudnn, "deterministic", True),
            (cudnn, "benchmark", False),  # would choose by time
            (torch_deterministic, "fill_uninitialized_memory", False),  # costs time, and nothing here reads such memory
        ):
            stack.callback(setattr, owner, name, getattr(owner, name))
            setattr(owner, name, value)
        if _CUBLAS not in os.environ:
            stack.callback(os.environ.pop, _CUBLAS, None)
            os.environ[_CUBLAS] = ":4096:8"
        torch.set_deterministic_debug_mode("error")
        try:
            yield
        except RuntimeError as error:
            said = str(error).splitlines()[0] if str(error) else ""
            if "deterministic" not in said:
                raise
            raise TwofoldError(
                f"deterministic is True, but torch cannot compute this model so on this device ({said[:200]}). Choose "
                "another --encoder or leave out --deterministic."
            ) from error
