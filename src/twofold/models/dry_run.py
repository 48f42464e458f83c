"""One image of zeros through an encoder, to learn what it returns and which sizes it takes."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from twofold.errors import TwofoldError
from twofold.models.encoder import Encoder

FAILURES = (RuntimeError, AssertionError, TypeError)  # what networks raise on views that they cannot take


def dry_run(encoder: nn.Module, *, channels: int, size_px: int) -> Tensor:
    """What `encoder` returns, in evaluation mode, for zeros (1, channels, size_px, size_px).

    Parameters, buffers and modes stay as they were, also where the encoder fails.
    """
    example = next(encoder.parameters(), torch.empty(0))
    views = torch.zeros(1, channels, size_px, size_px, dtype=example.dtype, device=example.device)
    with _untouched(encoder), torch.no_grad():
        h: Tensor = encoder(views)
    return h


def require_size(encoder: Encoder, size_px: int, channels: int) -> None:
    """Make sure, by a dry run, that the encoder turns views (n, channels, size_px, size_px) into h (n, dim).

    Vision transformers take one size only. The encoder stays as it was. Raises TwofoldError, which names both sizes
    where the encoder was built for another one.
    """
    try:
        h = dry_run(encoder, channels=channels, size_px=size_px)
    except (*FAILURES, ValueError) as error:
        raise _refusal(encoder, size_px, channels, shortened(error).split(". ")[0]) from error
    if tuple(h.shape) != (1, encoder.dim):
        raise _refusal(encoder, size_px, channels, f"it returned {tuple(h.shape)}, not {(1, encoder.dim)}")


def shortened(error: Exception) -> str:
    """The error's text in one line of at most 200 letters."""
    return " ".join(str(error).split())[:200]


def _refusal(encoder: Encoder, size_px: int, channels: int, reason: str) -> TwofoldError:
    built_px = encoder.size_px
    if built_px in (None, size_px):
        return TwofoldError(
            f"{type(encoder).__name__} failed on views of shape (1, {channels}, {size_px}, {size_px}), but an encoder "
            f"must take them ({reason}). Give --size-px, --eval-size-px and --channels to match."
        )
    return TwofoldError(
        f"the encoder is built for views of {built_px} px, but images would be embedded at {size_px} px, which it "
        f"does not take ({reason}). Give --eval-size-px {built_px}."
    )


@contextmanager
def _untouched(module: nn.Module) -> Iterator[None]:
    """Evaluation mode inside; modes and buffers as before afterwards."""
    modes = [(part, part.training) for part in module.modules()]
    buffers = [
        (part, name, buffer, buffer.clone())
        for part in module.modules()
        for name, buffer in part.named_buffers(recurse=False)
    ]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training
        with torch.no_grad():
            for part, name, buffer, before in buffers:
                setattr(part, name, buffer.copy_(before))  # also where the module put another tensor in its place
