"""Hybrid logistic Thompson sampling: the default learner.

One Bayesian logistic regression for each outcome, over

    phi(x, a) = [1, x, offer, channel, window, id, words, offer * x, channel * x, window * x]

so that a new action inherits what is known of its offer, channel, window and words; `none` has
weights of its own, which carry what customers do when left alone. A part of every weight is shared
by all outcomes. Actions are drawn by Thompson sampling on the sum of value times probability, less
cost: values and costs are those of the revision in force, so they change without retraining. With m
and s the posterior mean and sd of eta, the draw is from

    eta ~ N(m + optimism sign(value) s, (alpha s)^2)

most of the exploring is thus done by hope, as in upper confidence bounds, and little by chance.

Source: Chapelle and Li, NeurIPS 2011 (model, update, and why to draw from less than the whole
spread); Auer, JMLR 2002 (optimism). docs/learners.md has what was measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby
from operator import index
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from agents.context import Context
from agents.errors import SnapshotError
from agents.mask import Mask
from agents.revision import Revision
from policies.base import Distribution, Lesson, check_lessons
from policies.features.encode import Encoder
from policies.models.belief import Beliefs
from policies.models.evidence import read_evidence
from policies.models.joint import joint_best
from policies.models.levels import design_of, prior_variance, split_variance
from policies.models.logistic import Posterior
from policies.models.logistic_kernels import worth, worths
from policies.models.naming import Axes, check_array, shared
from policies.models.taught import days_of, learn_part
from policies.propensities.thompson import best_of, best_table
from policies.settings import Setting, read_settings
from policies.state import pack, unpack
from policies.teaching.labels import Labels, Taught

_SETTINGS = {
    "tau": Setting(0.4, 0.01, 5.0),
    "alpha": Setting(0.1, 0.0, 5.0),
    "optimism": Setting(0.5, 0.0, 5.0),
    "shared": Setting(0.3, 0.0, 0.9),
    "base_rate": Setting(0.02, 1e-6, 0.5),
    "grid": Setting(128, 64, 512, whole=True),
    "draws": Setting(0.0, 0.0, 1_000.0, whole=True),
    "half_life": Setting(0.0, 0.0, 3_650.0),
    "uplift": Setting(0.0, 0.0, 1.0, whole=True),
}

_SHARED = "*"  # stands for all outcomes, among whose names it cannot be
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def day_of(at: datetime) -> int:
    """Return the days since 1970 began, in UTC."""
    return (at - _EPOCH).days


def _with_one(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Put a column of ones before (N, D) rows."""
    return np.hstack([np.ones((len(x), 1)), x])  # (N, 1+D)


class HybridThompson:
    """Thompson sampling over logistic models that share weights across actions.

    Settings: `tau` prior sd of attribute weights, `alpha` and `optimism` as above, `shared` part of
    the prior variance that all outcomes have in common, `base_rate` prior probability of each
    outcome, `grid` fineness of the quadrature, `draws` joint draws in its place, `half_life` days
    after which evidence counts half, `uplift` whether `none` is the base of all contacts.

    The expected reward it reports is the sum of value times sigmoid of the posterior mean of eta,
    less cost.
    """

    name: ClassVar[str] = "hybrid_thompson"

    def __init__(self, revision: Revision, encoder: Encoder) -> None:
        settings = read_settings(self.name, _SETTINGS, revision.agent.policy.settings)
        self._alpha, self._grid = settings["alpha"], int(settings["grid"])
        self._draws = int(settings["draws"])
        self._half_life, self._day = settings["half_life"], 0
        self._encoder = encoder
        self._outcomes = tuple(revision.agent.outcomes)
        self._values = np.array([o.worth for o in revision.agent.outcomes.values()])  # (O,)
        self._hope = settings["optimism"] * np.sign(self._values)[:, None]  # (O, 1)
        self._costs = np.array([action.cost for action in revision.actions])  # (A,)
        self._names, self._design = design_of(revision.actions, uplift=bool(settings["uplift"]))
        prior = prior_variance(self._names, encoder.norm, encoder.faith, settings["tau"])  # (C, L)
        start = math.log(settings["base_rate"] / (1.0 - settings["base_rate"]))
        self._posterior = Posterior.untaught(
            split_variance(prior, len(self._outcomes), settings["shared"]),
            np.full(len(self._outcomes), start),
        )

    @classmethod
    def create(cls, revision: Revision) -> Self:
        """Build an untaught learner.

        Raises:
            UnknownNameError: a setting that it does not have.
            ValueError: a setting outside its range.
        """
        return cls(revision, Encoder(revision))

    @classmethod
    def from_bytes(cls, state: bytes, revision: Revision) -> Self:
        """Rebuild, mapping outcomes, levels and columns by name; what is new starts at its prior.

        Raises:
            SnapshotError: the bytes are not this learner's state.
        """
        facts, arrays = unpack(cls.name, state)
        try:
            encoder = Encoder.restored(revision, facts["numbers"], arrays["moments"])
            policy = cls(revision, encoder)
            policy._day = index(facts["day"])
            policy._recall(
                (facts["outcomes"], facts["columns"], facts["levels"]),
                arrays["mean"],
                arrays["variance"],
            )
        except (LookupError, TypeError, AttributeError) as error:
            raise SnapshotError(f"the state of {cls.name} lacks a part: {error!r}") from error
        return policy

    def _recall(
        self, names: Axes, mean: NDArray[np.float64], variance: NDArray[np.float64]
    ) -> None:
        """Copy the weights of what both the state and this revision have."""
        shape = tuple(len(axis) for axis in names)
        for array in (mean, variance):
            check_array(array, shape)
        here, there = shared(self._axes(), names)
        old = np.ix_(*there)
        self._posterior.recall(np.ix_(*here), mean[old], variance[old])

    def _axes(self) -> Axes:
        return (*self._outcomes, _SHARED), ("1", *self._encoder.names), self._names

    def _z(self, context: Context) -> NDArray[np.float64]:
        return np.array([1.0, *self._encoder.numbers_of(context)])  # (1+D,)

    def distribution(self, context: Context, mask: Mask) -> Distribution:
        """Return the probability that each allowed action's sampled reward is the largest."""
        z = self._z(context)  # (C,)
        if self._draws:
            expected = self._expected(self._posterior.predict(self._design, z)[0])  # (A,)
            probabilities = np.zeros(len(self._costs))  # (A,)
            probabilities[mask.indices] = self._joint(z, mask.indices)
            return Distribution(probabilities, expected)
        return Distribution(*best_of(
            self._posterior, self._design, z, self._hope[:, 0], self._alpha, self._values,
            self._costs, mask.allowed, self._grid,
        ))  # fmt: skip

    def _joint(self, z: NDArray[np.float64], allowed: NDArray[np.intp]) -> NDArray[np.float64]:
        return joint_best(
            self._posterior, self._design, z, allowed, values=self._values, costs=self._costs,
            alpha=self._alpha, hope=self._hope, draws=self._draws,
        )  # fmt: skip

    @property
    def encoder(self) -> Encoder:
        """What makes x of a customer."""
        return self._encoder

    def answers(
        self, x: NDArray[np.float64], allowed: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what `distribution` would, for N customers at once and in the same bits.

        Args:
            x: (N, D) as of the encoder.
            allowed: (N, A), at least one true in each row.

        Returns:
            (N, A) float64 probabilities, exactly 0 where barred, and (N, A) expected rewards.
        """
        z = _with_one(x)  # (N, C)
        mean, variance = self._posterior.predict_table(self._design, z)  # (N, O, A) each
        expected = worths(mean, self._values, self._costs)  # (N, A)
        if self._draws:
            found = np.zeros(allowed.shape)  # (N, A)
            for row, mine in enumerate(map(np.flatnonzero, allowed)):
                found[row, mine] = self._joint(z[row], mine)
            return found, expected
        sd = np.sqrt(variance)  # (N, O, A)
        best = best_table(
            mean + self._hope * sd, self._alpha * sd, self._values, self._costs, allowed, self._grid
        )
        return best, expected

    def _expectations(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Expected rewards for N customers, (N, A)."""
        means = self._posterior.predict_table(self._design, _with_one(x))[0]  # (N, O, A)
        return worths(means, self._values, self._costs)

    def _expected(self, mean: NDArray[np.float64]) -> NDArray[np.float64]:
        """Expected reward of each action from the means of eta, (O, A)."""
        return worth(mean, self._values, self._costs)

    def beliefs(self, context: Context) -> Beliefs:
        """Return what is believed of eta for each outcome and action, alpha left out."""
        mean, variance = self._posterior.predict(self._design, self._z(context))  # (O, A) each
        return Beliefs(mean, np.sqrt(variance))

    def terms(self, context: Context, action: int) -> dict[str, NDArray[np.float64]]:
        """Return what each column of x, and each level's intercept, adds to the mean of eta.

        An intercept goes by its level's name with `intercept`, which no customer field can have.

        Args:
            context: of the customer.
            action: position.

        Returns:
            (O,) by name; they add up to the mean of eta.
        """
        levels, by = self._design.levels[action], self._design.coefficients[action]  # (J,) each
        z = self._z(context)  # (C,)
        weights = self._posterior.mean[:, :, levels]  # (O+1, C, J)
        added = (weights[:-1] + weights[-1]) * by * z[:, None]  # (O, C, J)
        columns = dict(zip(self._encoder.names, added[:, 1:].sum(axis=2).T, strict=True))
        intercepts = {
            f"{self._names[level]} intercept": added[:, 0, j]
            for j, level in enumerate(levels)
            if by[j] != 0.0
        }
        return intercepts | columns

    def update(self, lessons: Sequence[Lesson]) -> None:
        """Learn from lessons, in order; all are checked before the first is learned.

        Raises:
            UnknownNameError: a label of an outcome that the agent does not declare.
            ValueError: a weight that is not finite.
        """
        check_lessons(lessons, self._outcomes)
        for day, taught in groupby(lessons, key=lambda lesson: day_of(lesson.context.at)):
            self._pass_to(day)
            evidence = read_evidence(self._encoder, self._outcomes, taught)
            self._posterior.learn(self._design, evidence)

    def learn_table(self, decisions: Taught, labels: Labels) -> None:
        """Learn many labels at once, in the bits of `update`."""
        for day, part in days_of(decisions, labels):
            self._pass_to(day)
            learn_part(self._posterior, self._design, self._encoder, decisions, labels, part)

    def _pass_to(self, day: int) -> None:
        """Let what was learned fade, by whole days of the lessons' own time; never backwards."""
        if self._half_life and 0 < self._day < day:
            self._posterior.fade(0.5 ** ((day - self._day) / self._half_life))
        self._day = max(self._day, day)

    def discount(self, share: float) -> None:
        """Keep a share of the evidence, in (0, 1]: a power prior, as for a warm start."""
        self._posterior.fade(share)

    def to_bytes(self) -> bytes:
        """Return weights, their variances and the encoder's state under their names."""
        outcomes, columns, levels = self._axes()
        facts = {
            "outcomes": outcomes,
            "levels": levels,
            "columns": columns,
            "numbers": self._encoder.numbers,
            "day": self._day,
        }
        arrays = {
            "mean": self._posterior.mean,
            "variance": self._posterior.variance,
            "moments": self._encoder.moments(),
        }
        return pack(self.name, facts, arrays)
