"""Multinomial logistic regression on fixed features, by L-BFGS. Legend: n rows, d features, c classes."""

import contextlib
import functools
import os
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int64, Integer
from threadpoolctl import ThreadpoolController

from twofold.models.finite import require_finite

ITERATIONS = 1000
_AT_THE_LIMIT = 1  # L-BFGS-B's status
_SMALL = 1_000_000_000  # multiplications of a product


@dataclass(frozen=True)
class Scaling:
    """x -> (x - mean) / std, feature by feature."""

    mean: Float32[np.ndarray, " d"]
    std: Float32[np.ndarray, " d"]

    def __call__(self, x: Float32[np.ndarray, "n d"]) -> Float32[np.ndarray, "n d"]:
        """Scaled rows."""
        scaled = x - self.mean
        scaled /= self.std
        return scaled


def fit_scaling(x: Float32[np.ndarray, "n d"]) -> Scaling:
    """The scaling that gives the rows of `x` mean 0 and standard deviation 1; a constant feature becomes 0.

    Raises NotFiniteError for numbers that are not finite.
    """
    require_finite(x)
    mean, std = x.mean(0, dtype=np.float64), x.std(0, dtype=np.float64)
    constant = std <= 1e-6 * np.maximum(np.abs(mean), 1e-6)
    return Scaling(mean.astype(np.float32), np.where(constant, np.inf, std).astype(np.float32))


@dataclass(frozen=True)
class LinearProbe:
    """logits = x W + b."""

    weight: Float32[np.ndarray, "d c"]
    bias: Float32[np.ndarray, " c"]
    converged: bool = True  # False: fitting stopped at the limit of iterations

    def logits(self, x: Float32[np.ndarray, "n d"]) -> Float32[np.ndarray, "n c"]:
        """Unnormalised log-probabilities. Raises NotFiniteError for an x that is not finite."""
        require_finite(x)
        return x @ self.weight + self.bias

    def predict(self, x: Float32[np.ndarray, "n d"]) -> Int64[np.ndarray, " n"]:
        """The likeliest class of each row."""
        return self.logits(x).argmax(1).astype(np.int64)

    def unscaled(self, scaling: Scaling) -> "LinearProbe":
        """The probe that gives features as they are the logits that this one gives scaled ones: W / std, b - mean W."""
        weight = self.weight.astype(np.float64) / scaling.std[:, None]
        bias = self.bias - scaling.mean @ weight
        return LinearProbe(weight.astype(np.float32), bias.astype(np.float32), self.converged)


def fit_linear(
    x: Float32[np.ndarray, "n d"],
    y: Integer[np.ndarray, " n"],
    classes: int,
    l2: float,
    start: LinearProbe | None = None,
    *,
    tolerance: float = 1e-9,
    iterations: int | None = None,
) -> LinearProbe:
    """The probe that minimises mean cross-entropy (nats) + l2/2 ||W||²; the bias does not decay.

    `l2` is above 0; in scikit-learn's terms C = 1/(n l2), or 2/(n l2) for two classes, where it has one vector of
    weights. `start` is a nearby solution to begin from; `tolerance` is the relative change of the loss at which to
    stop. The products are taken in float32, the optimiser's own vectors are float64 (paper, appendix B.8: L-BFGS on
    fixed features). Raises NotFiniteError for an x that is not finite.
    """
    from scipy.optimize import minimize  # half a second, which a run that fits nothing need not wait for

    require_finite(x)
    d = x.shape[1]
    first = np.zeros((d + 1, classes)) if start is None else np.vstack([start.weight, start.bias]).astype(np.float64)

    def objective(flat: Float[np.ndarray, " w"]) -> tuple[float, Float[np.ndarray, " w"]]:
        loss, gradient = _loss_and_gradient(flat.reshape(d + 1, classes), x, y, l2)
        return loss, gradient.ravel()

    options = {"maxiter": iterations or ITERATIONS, "maxcor": 20, "ftol": tolerance, "gtol": 1e-5}
    with fitting_threads(x.size * classes):
        solution = minimize(objective, first.ravel(), jac=True, method="L-BFGS-B", options=options)
    fitted = solution.x.reshape(d + 1, classes).astype(np.float32)
    return LinearProbe(fitted[:-1], fitted[-1], converged=solution.status != _AT_THE_LIMIT)


def cross_entropy(logits: Float32[np.ndarray, "n c"], y: Integer[np.ndarray, " n"]) -> float:
    """Mean of -log softmax(logits)[y], in nats."""
    shifted = logits - logits.max(1, keepdims=True)
    normaliser = np.log(np.exp(shifted).sum(1))
    return float((normaliser - shifted[np.arange(len(y)), y]).mean(dtype=np.float64))


def fitting_threads(multiplications: int) -> AbstractContextManager[object]:
    """One BLAS thread inside, where a product is small; else all there are.

    On small products threads wait for each other longer than they work: 20 s instead of 0.5 s for one few-label probe,
    measured on two busy cores.
    """
    if multiplications >= _SMALL:
        return contextlib.nullcontext()
    return _libraries().limit(limits=1, user_api="blas")


@contextlib.contextmanager
def side_by_side(tasks: int) -> Iterator[Executor]:
    """Threads that work on `tasks` fits at once, each with one BLAS thread: they never wait for each other."""
    limit = _libraries().limit(limits=1 if tasks > 1 else None, user_api="blas")
    with limit, ThreadPoolExecutor(max(1, min(tasks, os.cpu_count() or 1))) as workers:
        yield workers


@functools.cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()


def _loss_and_gradient(
    parameters: Float[np.ndarray, "d_plus_1 c"], x: Float32[np.ndarray, "n d"], y: Integer[np.ndarray, " n"], l2: float
) -> tuple[float, Float[np.ndarray, "d_plus_1 c"]]:
    n, weight = len(x), parameters[:-1]
    own = (y, np.arange(n))
    # classes first: numpy's maxima and sums over a short last axis take longer than the products
    logits = np.ascontiguousarray((x @ weight.astype(np.float32)).T)
    logits += parameters[-1, :, None].astype(np.float32)
    logits -= logits.max(0)
    right = logits[own].sum(dtype=np.float64)
    odds = np.exp(logits, out=logits)
    sums = odds.sum(0)
    loss = (np.log(sums).sum(dtype=np.float64) - right) / n + 0.5 * l2 * float((weight**2).sum())
    residual = np.divide(odds, sums, out=odds)  # softmax - one-hot
    residual[own] -= 1.0
    gradient = np.vstack([(residual @ x).T, residual.sum(1, dtype=np.float64)]).astype(np.float64) / n
    gradient[:-1] += l2 * weight
    return loss, gradient
