"""The propensity audit: whether actions were drawn with the probabilities that were logged."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from experiments.diagnostics.limits import LIMITS
from experiments.intervals.base import Bounds
from experiments.logs import LoggedDecisions
from experiments.logs.places import class_shares, drawn_class

_MIN_EXPECTED = 5.0  # draws a class of the chi-square must expect

Floats = NDArray[np.float64]


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
        thinned: whether decisions were dropped with different probabilities: then what is left was
            not drawn as logged, and the audit says nothing.
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
    thinned: bool = False

    @property
    def passed(self) -> bool:
        """Whether all p-values are at least 0.001; otherwise believe no estimate."""
        return self.thinned or min(self.p_mean, self.p_draws, self.p_rare) >= LIMITS.alarm


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
    return AuditSums.of(log, len(log)).audit()


@dataclass(frozen=True)
class AuditSums:
    """What the audit needs of some decisions; those of the parts of a log can be added.

    Args:
        common: M, decisions whose drawn action was no rarity.
        weights: sum of their weights under the uniform target over what is no rarity.
        variance: sum of the variances that these weights have.
        expected: (K,) draws of each action that the propensities promise; of each class where
            actions are very many, see `experiments.logs.places`.
        drawn: (K,) draws.
        products: (K, K) sum of p p' over the logged distributions p.
        rare, expected_rare: as in `Audit`.
        stands: how many decisions one stands for, at least and at most.
    """

    common: int
    weights: float
    variance: float
    expected: Floats
    drawn: Floats
    products: Floats
    rare: int
    expected_rare: float
    stands: Bounds

    @classmethod
    def of(cls, log: LoggedDecisions, decisions: int) -> AuditSums:
        """Add up some decisions.

        Args:
            log: those decisions.
            decisions: number of those in the whole log.
        """
        p = log.distribution  # (N, A)
        shares = class_shares(log)  # (N, K)
        # A uniform distribution over all A actions must never be all rarities, hence 0.5 / A.
        most = max(p.shape[1], shares.shape[1])
        least = min(max(LIMITS.thin, _MIN_EXPECTED / decisions), 0.5 / most)
        rarity = p < least  # (N, A); those of probability 0 add nothing
        weights, variance = _mean_weight(log, log.allowed & ~rarity)  # (M,) each
        return cls(
            common=len(weights),
            weights=float(weights.sum()),
            variance=float(variance.sum()),
            expected=shares.sum(axis=0),
            drawn=np.bincount(drawn_class(log), minlength=shares.shape[1]).astype(np.float64),
            products=shares.T @ shares,
            rare=int(np.count_nonzero(log.propensity < least)),
            expected_rare=float(np.einsum("na,na->", p, rarity)),
            stands=_spread(log),
        )

    def __add__(self, other: AuditSums) -> AuditSums:
        return AuditSums(
            self.common + other.common,
            self.weights + other.weights,
            self.variance + other.variance,
            self.expected + other.expected,
            self.drawn + other.drawn,
            self.products + other.products,
            self.rare + other.rare,
            self.expected_rare + other.expected_rare,
            self.stands.union(other.stands),
        )

    def audit(self) -> Audit:
        """Return the tests; see `audit`."""
        spread = math.sqrt(max(self.variance, 0.0))
        z = (self.weights - self.common) / spread if spread > 1e-9 else 0.0
        chi_square, df = self._draws()
        return Audit(
            mean_weight=self.weights / self.common if self.common else 1.0,
            z=z,
            p_mean=float(2.0 * special.ndtr(-abs(z))),
            chi_square=chi_square,
            df=df,
            p_draws=float(special.chdtrc(df, chi_square)) if df else 1.0,
            rare=self.rare,
            expected_rare=self.expected_rare,
            p_rare=float(special.pdtrc(self.rare - 1, self.expected_rare)) if self.rare else 1.0,
            thinned=self.stands.low < self.stands.high,
        )

    def _draws(self) -> tuple[float, int]:
        """Return the chi-square of draws against propensities, and its degrees of freedom."""
        classes = _classes(self.expected)  # (A,)
        member = np.eye(int(classes.max()) + 1)[classes]  # (A, K)
        expected = self.expected @ member  # (K,)
        surprise = self.drawn @ member - expected  # (K,)
        covariance = np.diag(expected) - member.T @ self.products @ member  # (K, K)
        values, vectors = np.linalg.eigh(covariance)  # (K,), (K, K)
        kept = values > _MIN_EXPECTED / 2.0  # as of 5 draws at even chances; fewer are lumpy
        along = vectors[:, kept].T @ surprise  # (rank,)
        return float(np.sum(along**2 / values[kept])), int(np.count_nonzero(kept))


def _mean_weight(log: LoggedDecisions, common: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return weights of the uniform target over `common` (N, A), and their variances; (M,) each.

    Rarities are left out on both sides: given that an action is common, its probability is p over
    the sum of the common ones. So are the N - M decisions whose own action was a rarity.
    """
    rows = np.flatnonzero(common[np.arange(len(log)), log.action])  # (M,)
    p, propensity = log.distribution, log.propensity
    if len(rows) < len(log):
        common, p, propensity = common[rows], p[rows], propensity[rows]  # (M, A), and (M,)
    uniform = 1.0 / np.maximum(np.count_nonzero(common, axis=1), 1)  # (M,)
    ratio = uniform * np.einsum("na,na->n", p, common)  # (M,) so w = ratio / p
    inverse = np.divide(1.0, p, where=common, out=np.zeros(p.shape))  # (M, A)
    return ratio / propensity, uniform * ratio * inverse.sum(axis=1) - 1.0


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


def _spread(log: LoggedDecisions) -> Bounds:
    """Return how many decisions one stands for, at least and at most."""
    if not len(log):
        return Bounds(np.inf, -np.inf)
    if log.stands is None:
        return Bounds(1.0, 1.0)
    return Bounds(float(log.stands.min()), float(log.stands.max()))
