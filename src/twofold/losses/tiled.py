"""NT-Xent without the matrix of similarities: two passes over tiles of it, in memory that grows with n x p alone.

Legend: n images, p = dim of z, y = z / sqrt(temperature) after normalisation, so that logits are inner products of y.
"""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from twofold.losses.prepare import TINY, Anchors, anchor_range, require_pair, require_temperature, wide

TILE = 768  # rows and columns handled at once on a CPU
TILE_OFF_CPU = 4096  # n = 8,192 on an H200: 6.5 ms; tiles of 768 77.7, of 2,048 14.7, of 8,192 6.7 (docs/notebook.md)
_LARGEST_LOGIT = 40.0  # exp of it, summed over any batch, stays far inside float32; so does exp of its negative

Span = tuple[int, int]
Tile = tuple[Span, Span]


def nt_xent_tiled(
    z_a: Float[Tensor, "n p"],
    z_b: Float[Tensor, "n p"],
    *,
    temperature: float,
    normalize: bool = True,
    anchors: Anchors | None = None,
    tile: int | None = None,
) -> Float[Tensor, ""]:
    """`nt_xent` in O(n p + tile^2) memory. Arguments, value and errors are those of `nt_xent`; differentiable once.

    tile: rows and columns handled at once; None takes 768 on a CPU and 4,096 (two buffers of 64 MiB) elsewhere, where
    smaller ones end in waiting for their launches.

    First pass: each anchor's sum R of exp(logits) over all but itself and its positive; its term of the loss is
    log(1 + R / exp(positive's logit)), exact also where it is small. Second pass, in backward: P(i, k) is the
    softmax of row i, and the gradient with respect to y_i is, over 2n and with j = j(i),

        sum_{k != i, j} (P(i, k) + P(k, i)) y_k  -  (2 - P(i, j) - P(j, i)) y_j

    The matrix is symmetric, so only its upper half is visited. With normalised z and a temperature of at least 1/40
    exp needs no shift; otherwise each tile is shifted by its own maxima.
    """
    require_pair(z_a, z_b)
    require_temperature(temperature)
    span = anchor_range(anchors, len(z_a))
    if tile is None:
        tile = TILE if z_a.device.type == "cpu" else TILE_OFF_CPU
    with torch.autocast(z_a.device.type, enabled=False):
        value: Tensor = _Tiled.apply(z_a, z_b, temperature, normalize, span, tile)
    return value


class _Tiled(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, z_a: Tensor, z_b: Tensor, temperature: float, normalize: bool, anchors: Anchors, tile: int
    ) -> Tensor:
        n = len(z_a)
        y = wide(torch.cat([z_a, z_b]))  # (2n, p): a copy, changed in place below
        lengths = y.norm(dim=1, keepdim=True).clamp_min_(TINY) if normalize else y.new_ones(1, 1)
        y.div_(lengths * math.sqrt(temperature))
        bounded = normalize and 1 / temperature <= _LARGEST_LOGIT
        tiles = list(_tiles(n, anchors, tile))
        others = (_log_sums if bounded else _shifted_log_sums)(y, tiles)  # (2n,): log R
        positives = (y[:n] * y[n:]).sum(dim=1).repeat(2)  # (2n,): the positive's logit
        own = _rows_of(anchors, n)
        gaps = torch.cat([(others - positives)[rows] for rows in own])
        value = functional.softplus(gaps, threshold=_LARGEST_LOGIT).sum() / (2 * n)
        if any(ctx.needs_input_grad):
            sums = torch.full_like(others, torch.inf)  # others are nobody's anchor: their P is zero
            for rows in own:
                torch.logaddexp(others[rows], positives[rows], out=sums[rows])
            ctx.save_for_backward(y, lengths, others, sums)
            ctx.rest = (temperature, normalize, tiles, bounded, z_a.dtype)
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor | None, ...]:
        y, lengths, others, sums = ctx.saved_tensors
        temperature, normalize, tiles, bounded, dtype = ctx.rest
        n = len(y) // 2
        gradient = torch.zeros_like(y)
        (_add_push if bounded else _add_shifted_push)(gradient, y, sums, tiles)
        missing = (others - sums).exp_()  # (2n,): 1 - P(i, j(i)), zero where i is no anchor
        pull = (missing[:n] + missing[n:])[:, None]
        gradient[:n].addcmul_(y[n:], pull, value=-1)
        gradient[n:].addcmul_(y[:n], pull, value=-1)
        if normalize:  # only what turns a row changes the loss; y has length 1 / sqrt(temperature)
            along = (gradient * y).sum(dim=1, keepdim=True).mul_(temperature)
            along.masked_fill_(lengths <= TINY, 0.0)  # too short to have been normalised
            gradient.addcmul_(y, along, value=-1)
        gradient.mul_(outer / (2 * n * math.sqrt(temperature))).div_(lengths)
        return gradient[:n].to(dtype), gradient[n:].to(dtype), None, None, None, None


def _rows_of(anchors: Anchors, n: int) -> tuple[slice, slice]:
    start, stop = anchors
    return slice(start, stop), slice(n + start, n + stop)


def _tiles(n: int, anchors: Anchors, tile: int) -> Iterator[Tile]:
    """The tiles of the upper half in which a row or a column belongs to an anchor; no span crosses their border."""
    start, stop = anchors
    spans: list[tuple[Span, bool]] = []
    for begin in (0, n):
        for low, high, is_anchor in ((0, start, False), (start, stop, True), (stop, n, False)):
            edges = [*range(begin + low, begin + high, tile), begin + high]
            spans += [(span, is_anchor) for span in pairwise(edges)]
    for i, (rows, row_is_anchor) in enumerate(spans):
        for columns, column_is_anchor in spans[i:]:
            if row_is_anchor or column_is_anchor:
                yield rows, columns


def _logits(y: Tensor, rows: Span, columns: Span, buffer: Tensor) -> Tensor:
    shape = (rows[1] - rows[0], columns[1] - columns[0])
    out = buffer[: shape[0] * shape[1]].view(shape)
    return torch.mm(y[slice(*rows)], y[slice(*columns)].T, out=out)


def _buffer(y: Tensor, tiles: list[Tile]) -> Tensor:
    return y.new_empty(max((r[1] - r[0]) * (c[1] - c[0]) for r, c in tiles))


def _hide(tile: Tensor, rows: Span, columns: Span, n: int, value: float) -> None:
    """Put `value` where a row meets itself or its positive."""
    if rows == columns:
        tile.fill_diagonal_(value)
    offset = rows[0] + n - columns[0]  # the positive of row i is column i + n
    if -len(tile) < offset < tile.shape[1]:
        tile.diagonal(offset).fill_(value)


def _log_sums(y: Tensor, tiles: list[Tile]) -> Tensor:
    sums, buffer = y.new_zeros(len(y)), _buffer(y, tiles)
    for rows, columns in tiles:
        terms = _logits(y, rows, columns, buffer).exp_()
        _hide(terms, rows, columns, len(y) // 2, 0.0)
        sums[slice(*rows)] += terms.sum(dim=1)
        if rows != columns:
            sums[slice(*columns)] += terms.sum(dim=0)
    return sums.log_()


def _shifted_log_sums(y: Tensor, tiles: list[Tile]) -> Tensor:
    sums, buffer = y.new_full((len(y),), -torch.inf), _buffer(y, tiles)
    for rows, columns in tiles:
        logits = _logits(y, rows, columns, buffer)
        _hide(logits, rows, columns, len(y) // 2, -torch.inf)
        sums[slice(*rows)] = sums[slice(*rows)].logaddexp(logits.logsumexp(dim=1))
        if rows != columns:
            sums[slice(*columns)] = sums[slice(*columns)].logaddexp(logits.logsumexp(dim=0))
    return sums


def _add_push(gradient: Tensor, y: Tensor, log_sums: Tensor, tiles: list[Tile]) -> None:
    """Add  sum_{k != i, j(i)} (P(i, k) + P(k, i)) y_k  to row i of the gradient."""
    inverse, buffer = log_sums.neg().exp_(), _buffer(y, tiles)
    scales = torch.empty_like(buffer)
    for rows, columns in tiles:
        weights = _logits(y, rows, columns, buffer).exp_()
        scale = scales[: weights.numel()].view(weights.shape)
        torch.add(inverse[slice(*rows), None], inverse[None, slice(*columns)], out=scale)
        _spread(gradient, y, rows, columns, weights.mul_(scale))


def _add_shifted_push(gradient: Tensor, y: Tensor, log_sums: Tensor, tiles: list[Tile]) -> None:
    buffer = _buffer(y, tiles)
    for rows, columns in tiles:
        logits = _logits(y, rows, columns, buffer)
        weights = (logits - log_sums[slice(*rows), None]).exp_()
        weights += logits.sub_(log_sums[None, slice(*columns)]).exp_()
        _spread(gradient, y, rows, columns, weights)


def _spread(gradient: Tensor, y: Tensor, rows: Span, columns: Span, weights: Tensor) -> None:
    _hide(weights, rows, columns, len(y) // 2, 0.0)
    gradient[slice(*rows)].addmm_(weights, y[slice(*columns)])
    if rows != columns:
        gradient[slice(*columns)].addmm_(weights.T, y[slice(*rows)])
