"""Bayesian logistic regressions that share weights through levels, one for each outcome.

An action belongs to a few levels: the one common to all, its offer, its channel, its send window,
itself, and the words it is made of. Each level has a weight for the intercept and for each column
of x, of which one part is the outcome's own and one is shared by all outcomes, since who clicks
more also buys more:

    P(outcome | x, action) = sigmoid(eta),
    eta = sum over its levels of k_level (w_outcome,level + w_level) . [1, x]

with a coefficient k, 1 for all levels but words. The posterior of the weights is normal and
diagonal, updated online by Laplace's approximation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from policies.models.logistic_kernels import Floats, Positions, fade, learn, predict


def sigmoid(eta: Floats) -> Floats:
    """Return 1 / (1 + exp(-eta)), elementwise, without overflow.

    Example:
        >>> sigmoid(np.array([-1e4, 0.0, 1e4])).round(6).tolist()
        [0.0, 0.5, 1.0]
    """
    return np.asarray(1.0 / (1.0 + np.exp(np.minimum(-eta, 700.0))), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Design:
    """Which levels each action belongs to, and by how much.

    Args:
        levels: (A, J) positions; the first is the level common to all actions.
        coefficients: (A, J) float64; 0 where an action has fewer levels than J.
        own: (A, J) float64, the coefficients of those levels that set actions apart, else 0. A
            shift that all actions share cannot make one better than another, so it must not make
            them explore.
        wide: number of levels, the first ones, that have weights for columns of x; of the others
            only the intercept is read.
    """

    levels: Positions
    coefficients: Floats
    own: Floats
    wide: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """N labels to learn from, in order.

    Args:
        outcomes, actions: (N,) positions.
        z: (N, C) rows [1, x].
        happened: (N,) 1 or 0.
        weights: (N,) finite; a negative one takes back.
    """

    outcomes: Positions
    actions: Positions
    z: Floats
    happened: Floats
    weights: Floats


@dataclass(frozen=True, slots=True)
class Posterior:
    """Means and variances of all weights; the arrays are changed by `learn` and `fade` only.

    A weight of variance 0 stays what it is, which is how a level is kept from using x. Columns
    come before levels, so that one column of all levels is added up in one sweep.

    Args:
        mean: (O+1, C, L) float64, by outcome, column of z = [1, x], and level; the last are the
            weights that all outcomes share.
        variance: (O+1, C, L) float64, not negative.
        prior: (O+1, C, L) variance before anything was learned.
        start: (O,) the common intercept before anything was learned; all other weights began at 0.
    """

    mean: Floats
    variance: Floats
    prior: Floats
    start: Floats

    @classmethod
    def untaught(cls, prior: Floats, start: Floats) -> Posterior:
        """Begin at the prior; arguments as of the class."""
        mean = np.zeros_like(prior)  # (O+1, C, L)
        mean[:-1, 0, 0] = start
        return cls(mean, prior.copy(), prior, start)

    def recall(self, places: tuple[Positions, ...], mean: Floats, variance: Floats) -> None:
        """Take up learned weights, which may have been divided in another way.

        What could not be learned then, such as a part shared by one outcome, begins at its prior.
        Where nothing is shared any more, what was shared is part of each outcome's own.

        Args:
            places: of the weights here, for outcomes, columns and levels, as of `np.ix_`; the
                shared part is among the outcomes.
            mean: of the weights at these places.
            variance: likewise.
        """
        self.variance[places] = np.where(variance > 0.0, variance, self.variance[places])
        self.mean[places] = mean
        undone = (self.prior[-1] == 0.0) & (self.variance[-1] > 0.0)  # (C, L)
        whole = self.variance[:-1, undone] + self.variance[-1, undone]  # (O, U)
        self.variance[:-1, undone] = np.minimum(whole, self.prior[:-1, undone])
        self.mean[:-1, undone] += self.mean[-1, undone]
        self.mean[-1, undone] = self.variance[-1, undone] = 0.0

    def predict(self, design: Design, z: Floats) -> tuple[Floats, Floats]:
        """Return mean and variance of eta of every action.

        The variance is that of the design's own levels.

        Args:
            design: of A actions.
            z: (C,) [1, x].

        Returns:
            Two arrays (O, A).
        """
        means, variances = self.predict_table(design, z[None])
        return means[0], variances[0]

    def predict_table(self, design: Design, z: Floats) -> tuple[Floats, Floats]:
        """Return mean and variance of eta for N rows of z at once, (N, O, A) each."""
        shape = (len(z), len(self.start), len(design.levels))
        means, variances = np.empty(shape), np.empty(shape)
        predict(
            self.mean, self.variance, design.levels, design.coefficients, design.own, design.wide,
            z, means, variances,
        )  # fmt: skip
        return means, variances

    def spread(self, z: Floats) -> Floats:
        """Return the variance of what each level adds to eta, for one row of z, (O, L)."""
        whole = self.variance[:-1] + self.variance[-1]  # (O, C, L)
        return np.asarray((whole * (z * z)[:, None]).sum(axis=1), dtype=np.float64)

    def learn(self, design: Design, evidence: Evidence) -> None:
        """Learn labels one after another.

        A label moves the weights along v z k only, so its exact most probable point needs one
        number: with s2 = sum v z^2 k^2 and the weight u,

            eta* = eta + s2 u (y - sigmoid(eta*)),   m += v z k (eta* - eta) / s2,
            v = 1 / (1/v + u h (z k)^2),   h = max(p (1 - p), 1e-4) at p = sigmoid(eta*).

        A negative weight takes the variances back first and then one plain step at eta, so a label
        that is taken back at once leaves nothing; no variance grows above its prior.

        Source: Chapelle and Li, NeurIPS 2011, algorithm 3, here one label at a time and with the
        step solved to its end, so that a wide prior cannot overshoot.
        """
        learn(
            self.mean, self.variance, self.prior, design.levels, design.coefficients, design.wide,
            evidence.outcomes, evidence.actions, evidence.z, evidence.happened, evidence.weights,
        )  # fmt: skip

    def fade(self, keep: float) -> None:
        """Keep a share of the evidence, and of the prior what the rest leaves: a power prior.

        The precision 1/v becomes keep / v + (1 - keep) / prior, and the mean moves to its start
        accordingly.

        Args:
            keep: in (0, 1].

        Source: Ibrahim and Chen, Statistical Science 2000.
        """
        fade(self.mean, self.variance, self.prior, self.start, keep)
