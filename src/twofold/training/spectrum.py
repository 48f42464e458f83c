"""How many directions a representation uses: four label-free measures of its spectrum, beside each other.

Legend: n rows (images), q views of each, d dimensions. All raise NotFiniteError for rows that are not finite.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from twofold.models.finite import require_finite

_RANKME_EPSILON = 1e-7
_LIDAR_DELTA = 1e-4
_POWER_LAW = (11, 50)  # ranks of the first and the last eigenvalue that the line is fitted to


def effective_rank(h: Float[Tensor, "n d"]) -> float:
    """exp of the entropy of the normalised singular values of the centred rows: 1 to min(n, d).

    p_k = s_k / sum(s); rank = exp(-sum p_k log p_k). Rows that all coincide have rank 1.
    Source: Roy and Vetterli, EUSIPCO 2007.
    """
    h = exact_rows(h)
    singular = torch.linalg.svdvals(h - h.mean(dim=0))
    if float(singular.sum()) <= 1e-9 * max(1.0, float(h.norm())):
        return 1.0
    return _rank(singular)


def rank_me(h: Float[Tensor, "n d"]) -> float:
    """RankMe: the same of the rows as they are, not centred: 1 to min(n, d).

    p_k = s_k / sum(s) + 1e-7; RankMe = exp(-sum p_k log p_k). Rows that are all 0 have rank 1.
    Few rows have few directions: it is meant for 10,000 or more. Source: Garrido et al., arXiv 2210.02885, section 3.
    """
    singular = torch.linalg.svdvals(exact_rows(h))
    return _rank(singular, epsilon=_RANKME_EPSILON) if float(singular.sum()) > 0 else 1.0


def lidar(h: Float[Tensor, "n q d"]) -> float:
    """LiDAR: how many directions tell images apart more than views of one image differ in them: 1 to min(n - 1, d).

    With m_i the mean of image i and m that of all: B = mean of (m_i - m)(m_i - m)^T over images, W = mean of
    (h_ij - m_i)(h_ij - m_i)^T over all views + 1e-4 I, and l_k the eigenvalues of W^(-1/2) B W^(-1/2):
    p_k = l_k / sum(l), LiDAR = exp(-sum p_k log p_k). Images that all coincide have rank 1. Needs two views of each.
    Source: Thilak et al., arXiv 2312.04000, section 4.
    """
    h = exact_rows(h.flatten(0, 1)).unflatten(0, h.shape[:2])
    means = h.mean(dim=1)
    away = (h - means[:, None]).flatten(0, 1)
    between = means - means.mean(dim=0)
    within = away.T @ away / len(away) + _LIDAR_DELTA * torch.eye(h.shape[2], dtype=h.dtype)
    root = torch.linalg.cholesky(within)  # its inverse instead of W^(-1/2): the eigenvalues are the same
    whitened = torch.linalg.solve_triangular(root, between.T, upper=False)
    values = torch.linalg.svdvals(whitened).square()
    return _rank(values) if float(values.sum()) > 0 else 1.0


def alpha_req(h: Float[Tensor, "n d"]) -> float:
    """alpha-ReQ: how fast the variances along the principal directions fall; near 1 is said to be good, more is worse.

    With l_k the eigenvalues of the covariance of the rows in descending order, alpha is minus the slope of the least
    squares line of log l_k on log k, for k from 11 to 50 (all k where there are fewer than 20 eigenvalues above 0).
    nan where fewer than two are above 0.
    Source: Agrawal et al., NeurIPS 2022 (alpha-ReQ), section 3; the range of k is that of this project.
    """
    h = exact_rows(h)
    values = torch.linalg.svdvals(h - h.mean(dim=0)).square()
    values = values[values > 1e-12 * values.max().clamp_min(1e-300)]
    first, last = _POWER_LAW if len(values) >= 2 * (_POWER_LAW[0] - 1) else (1, len(values))
    logs = values[first - 1 : last].log()
    ranks = torch.arange(first, first + len(logs), dtype=logs.dtype).log()
    ranks = ranks - ranks.mean()
    return -float((ranks * logs).sum() / ranks.square().sum()) if len(logs) > 1 else float("nan")


def exact_rows(rows: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """In float64, on the CPU: Apple's GPU has none. Raises NotFiniteError."""
    rows = rows.cpu()
    require_finite(rows)
    return rows.double()


def _rank(values: Float[Tensor, " k"], epsilon: float = 0.0) -> float:
    """exp of the entropy of the values' shares of their sum."""
    return float(torch.exp(torch.special.entr(values / values.sum() + epsilon).sum()))
