"""Diagnostics: whether a log can answer the question, and whether its propensities are true."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from experiments.logs import LoggedDecisions
from experiments.weights import effective_conversions, effective_size, importance_weights

_THIN = 1e-3  # a propensity below this supports nothing in practice
_MAX_UNSUPPORTED = 0.01
_ALARM = 1e-3
_MIN_EXPECTED = 5.0  # draws a class of the chi-square must expect


@dataclass(frozen=True, slots=True)
class Audit:
    """Three tests of whether actions were drawn with the propensities that were logged.

    Args:
        mean_weight: of the uniform target over the allowed actions that are no rarity; 1 in
            expectation.
        z, p_mean: its distance from 1 in standard errors, and the two-sided p-value.
        chi_square, df, p_draws: test of how often each action was drawn, and its p-value.
        rare, expected_rare, p_rare: decisions whose action was a rarity, how many of them the
            propensities promise, and the probability of so many or more.
    """

    mean_weight: float
    z: float
    p_mean: float
    chi_square: float
    df: int
    p_draws: float
    rare: int
    expected_rare: float
    p_rare: float

    @property
    def passed(self) -> bool:
        """Whether all p-values are at least 0.001; otherwise believe no estimate."""
        return min(self.p_mean, self.p_draws, self.p_rare) >= _ALARM


@dataclass(frozen=True, slots=True)
class Diagnostics:
    """How much a log says about one target.

    Args:
        n: decisions.
        ess: effective sample size.
        effective_conversions: see `experiments.weights`.
        max_weight: the greatest importance weight.
        top_share: share of sum |w r| that the ten greatest terms hold.
        unsupported: share of the target's probability on actions that were barred or had a
            propensity below 0.001.
        audit: of the propensities; it does not depend on the target.
    """

    n: int
    ess: float
    effective_conversions: float
    max_weight: float
    top_share: float
    unsupported: float
    audit: Audit

    @property
    def supported(self) -> bool:
        """Whether at most 1% of the target's probability is unsupported."""
        return self.unsupported <= _MAX_UNSUPPORTED


def diagnose(log: LoggedDecisions, target: NDArray[np.float64]) -> Diagnostics:
    """Work out the diagnostics of a target (N, A) on a log."""
    weights = importance_weights(log, target)  # (N,)
    terms = np.sort(np.abs(weights * log.reward))  # (N,)
    total = float(terms.sum())
    thin = ~log.allowed | (log.distribution < _THIN)  # (N, A)
    return Diagnostics(
        n=len(log),
        ess=effective_size(weights),
        effective_conversions=effective_conversions(weights, log.outcome_value),
        max_weight=float(weights.max()),
        top_share=float(terms[-10:].sum()) / total if total > 0.0 else 0.0,
        unsupported=float(np.where(thin, target, 0.0).sum()) / len(log),
        audit=audit(log),
    )


def audit(log: LoggedDecisions) -> Audit:
    """Test the logged propensities against the actions that were drawn.

    An action is a rarity in a decision if its probability is under 0.001, or under 5 / N on a
    smaller log: whether it is drawn at all is luck, too coarse for a normal or chi-square law.

    (a) Among decisions without a rarity, with the uniform target u over the rest and p over the
    rest alone, the weight w = u / p has mean 1 and, given the logged distribution, variance
    sum_a u^2 / p_a - 1: both known, so z needs no estimate.
    (b) The vector sum_i (1[A_i = k] - p_ik) has mean 0 and covariance sum_i (diag p_i - p_i p_i');
    actions are counted together until each class expects 5 draws, and what hardly varies is left
    out.
    (c) The number of rarities drawn is at most about Poisson with their summed probability.

    At 5,000 decisions a floor that was mixed but not logged is found, and by (a) a temperature
    that is 10% off. A true log fails with a probability of about 0.003, whatever the floor.
    """
    # A uniform distribution over all A actions must never be all rarities, hence 0.5 / A.
    least = min(max(_THIN, _MIN_EXPECTED / len(log)), 0.5 / len(log.actions))
    rarity = log.distribution < least  # (N, A); those of probability 0 add nothing
    mean_weight, z = _mean_weight(log, log.allowed & ~rarity)
    chi_square, df = _draws(log)
    rare = int(np.count_nonzero(log.propensity < least))
    expected = float(log.distribution[rarity].sum())
    return Audit(
        mean_weight=mean_weight,
        z=z,
        p_mean=float(2.0 * special.ndtr(-abs(z))),
        chi_square=chi_square,
        df=df,
        p_draws=float(special.chdtrc(df, chi_square)) if df else 1.0,
        rare=rare,
        expected_rare=expected,
        p_rare=float(special.pdtrc(rare - 1, expected)) if rare else 1.0,
    )


def _mean_weight(log: LoggedDecisions, common: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the mean weight of the uniform target over `common` (N, A), and its z-score.

    Rarities are left out on both sides: given that an action is common, its probability is p over
    the sum of the common ones.
    """
    rows = np.flatnonzero(common[np.arange(len(log)), log.action])  # (M,)
    if not len(rows):
        return 1.0, 0.0
    common, p = common[rows], log.distribution[rows]  # (M, A) each
    uniform = 1.0 / np.count_nonzero(common, axis=1)  # (M,)
    ratio = uniform * np.where(common, p, 0.0).sum(axis=1)  # (M,) so w = ratio / p
    weights = ratio / log.propensity[rows]  # (M,)
    inverse = np.divide(1.0, p, where=common, out=np.zeros(p.shape))  # (M, A)
    variance = float(np.sum(uniform * ratio * inverse.sum(axis=1) - 1.0))
    spread = math.sqrt(max(variance, 0.0))
    z = float(np.sum(weights - 1.0)) / spread if spread > 1e-9 else 0.0
    return float(weights.mean()), z


def _draws(log: LoggedDecisions) -> tuple[float, int]:
    """Return the chi-square of draws against propensities, and its degrees of freedom."""
    classes = _classes(log.distribution.sum(axis=0))  # (A,)
    p = log.distribution @ np.eye(int(classes.max()) + 1)[classes]  # (N, K)
    drawn = np.bincount(classes[log.action], minlength=p.shape[1])  # (K,)
    expected = p.sum(axis=0)  # (K,)
    surprise = drawn - expected  # (K,)
    values, vectors = np.linalg.eigh(np.diag(expected) - p.T @ p)  # (K,), (K, K)
    kept = values > _MIN_EXPECTED / 2.0  # as of 5 draws at even chances; fewer are lumpy
    along = vectors[:, kept].T @ surprise  # (rank,)
    return float(np.sum(along**2 / values[kept])), int(np.count_nonzero(kept))


def _classes(expected: NDArray[np.float64]) -> NDArray[np.intp]:
    """Put actions into classes that expect at least 5 draws each, the rarest ones together.

    Example:
        >>> _classes(np.array([40.0, 0.1, 7.0, 2.0])).tolist()
        [1, 0, 0, 0]
        >>> _classes(np.array([40.0, 3.0, 3.0, 4.0])).tolist()
        [1, 0, 0, 0]
    """
    order = np.argsort(expected, kind="stable")  # (A,)
    ascending = expected[order]  # (A,)
    few = int(np.count_nonzero(ascending < _MIN_EXPECTED))
    first = max(few - 1, int(np.searchsorted(np.cumsum(ascending), _MIN_EXPECTED)))
    first = min(first, len(order) - 1)
    classes = np.empty(len(order), dtype=np.intp)  # (A,)
    classes[order] = np.maximum(np.arange(len(order)) - first, 0)
    return classes
