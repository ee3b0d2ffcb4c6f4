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
    """Two tests of whether actions were drawn with the propensities that were logged.

    Args:
        mean_weight: of the uniform target over the allowed actions; 1 in expectation.
        z, p_mean: its distance from 1 in standard errors, and the two-sided p-value.
        chi_square, df, p_draws: test of how often each action was drawn, and its p-value.
    """

    mean_weight: float
    z: float
    p_mean: float
    chi_square: float
    df: int
    p_draws: float

    @property
    def passed(self) -> bool:
        """Whether both p-values are at least 0.001; otherwise believe no estimate."""
        return min(self.p_mean, self.p_draws) >= _ALARM


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

    (a) With the uniform target u over the allowed set the weight w = u / p has mean 1 and, given
    the logged distribution, variance sum_a u^2 / p_a - 1: both known, so z needs no estimate.
    (b) The vector sum_i (1[A_i = k] - p_ik) has mean 0 and covariance sum_i (diag p_i - p_i p_i');
    actions that expect fewer than 5 draws are counted together.

    At 5,000 decisions both find a floor that was mixed but not logged, (a) also a temperature that
    is 10% off.
    """
    drawable = log.allowed & (log.distribution > 0.0)  # (N, A)
    uniform = 1.0 / np.count_nonzero(drawable, axis=1)  # (N,)
    weights = uniform / log.propensity  # (N,)
    inverse = np.divide(1.0, log.distribution, where=drawable, out=np.zeros(drawable.shape))
    variance = float(np.sum(uniform**2 * inverse.sum(axis=1) - 1.0))
    spread = math.sqrt(max(variance, 0.0))
    z = float(np.sum(weights - 1.0)) / spread if spread > 1e-9 else 0.0
    chi_square, df = _draws(log)
    p_draws = float(special.chdtrc(df, chi_square)) if df else 1.0
    p_mean = float(2.0 * special.ndtr(-abs(z)))
    return Audit(float(weights.mean()), z, p_mean, chi_square, df, p_draws)


def _draws(log: LoggedDecisions) -> tuple[float, int]:
    """Return the chi-square of draws against propensities, and its degrees of freedom."""
    rare = log.distribution.sum(axis=0) < _MIN_EXPECTED  # (A,)
    common = np.flatnonzero(~rare)
    pooled = log.distribution[:, rare].sum(axis=1, keepdims=True)  # (N, 1)
    p = np.concatenate((log.distribution[:, common], pooled), axis=1)  # (N, K)
    classes = np.full(len(log.actions), len(common))  # (A,)
    classes[common] = np.arange(len(common))
    drawn = np.bincount(classes[log.action], minlength=p.shape[1])  # (K,)
    expected = p.sum(axis=0)  # (K,)
    surprise = drawn - expected  # (K,)
    values, vectors = np.linalg.eigh(np.diag(expected) - p.T @ p)  # (K,), (K, K)
    kept = values > 1e-9 * max(1.0, float(values.max()))
    along = vectors[:, kept].T @ surprise  # (rank,)
    return float(np.sum(along**2 / values[kept])), int(np.count_nonzero(kept))
