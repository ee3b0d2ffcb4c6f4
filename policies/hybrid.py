"""Hybrid logistic Thompson sampling: the default learner.

One Bayesian logistic regression for each outcome, over

    phi(x, a) = [1, x, offer, channel, window, id, offer * x, channel * x, window * x]

so that a new action inherits what is known of its offer, channel and window; `none` has weights of
its own, which carry what customers do when left alone. Actions are drawn by Thompson sampling on
the sum of value times probability, less cost: values and costs are those of the revision in force,
so they change without retraining.

An outcome is learned as it arrives: first one negative for every outcome, later one positive. With
a rate p that settles at p / (1 + p), a bias of at most p which keeps the order of actions.

Source: Chapelle and Li, NeurIPS 2011 (model and update); Ktena et al., arXiv 1907.06558 (delays).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from agents.context import Context
from agents.errors import SnapshotError, UnknownNameError, did_you_mean
from agents.mask import Mask
from agents.revision import Revision
from policies.base import Distribution, Lesson
from policies.encode import Encoder
from policies.levels import COMMON, levels_of, prior_variance
from policies.logistic import Posterior, sigmoid
from policies.settings import Setting, read_settings
from policies.state import pack, unpack
from policies.thompson import Utilities

_SETTINGS = {
    "tau": Setting(0.6, 0.01, 5.0),
    "alpha": Setting(0.5, 0.0, 5.0),
    "base_rate": Setting(0.02, 1e-6, 0.5),
    "grid": Setting(128, 64, 512, whole=True),
}


class HybridThompson:
    """Thompson sampling over logistic models that share weights across actions.

    Settings: `tau` prior sd of attribute weights (0.6), `alpha` factor on the posterior's sd (0.5;
    0 is greedy), `base_rate` prior probability of each outcome (0.02), `grid` points of the
    quadrature (128).

    The expected reward it reports is the sum of value times sigmoid of the posterior mean of eta,
    less cost.
    """

    name: ClassVar[str] = "hybrid_thompson"

    def __init__(self, revision: Revision, encoder: Encoder) -> None:
        settings = read_settings(self.name, _SETTINGS, revision.agent.policy.settings)
        self._alpha, self._grid = settings["alpha"], int(settings["grid"])
        self._encoder = encoder
        self._outcomes = tuple(revision.agent.outcomes)
        self._values = np.array([o.worth for o in revision.agent.outcomes.values()])  # (O,)
        self._costs = np.array([action.cost for action in revision.actions])  # (A,)
        named = [levels_of(action) for action in revision.actions]
        self._names = tuple(dict.fromkeys(name for names in named for name in names))
        row = {name: index for index, name in enumerate(self._names)}
        self._levels = np.array([[row[name] for name in names] for names in named])  # (A, 5)
        columns = 1 + len(encoder.names)
        prior = prior_variance(self._names, encoder.norm, columns, settings["tau"])  # (L, 1+D)
        mean = np.zeros((len(self._outcomes), len(self._names), columns))  # (O, L, 1+D)
        base_rate = settings["base_rate"]
        mean[:, row[COMMON], 0] = math.log(base_rate / (1.0 - base_rate))
        self._posterior = Posterior(mean, np.repeat(prior[None], len(mean), axis=0))

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
            policy._recall(
                (facts["outcomes"], facts["levels"], facts["columns"]),
                Posterior(arrays["mean"], arrays["variance"]),
            )
        except (LookupError, TypeError, AttributeError) as error:
            raise SnapshotError(f"the state of {cls.name} lacks a part: {error!r}") from error
        return policy

    def _recall(self, names: tuple[list[str], list[str], list[str]], old: Posterior) -> None:
        """Copy the weights of what both the state and this revision have."""
        shape = tuple(len(axis) for axis in names)
        for array in (old.mean, old.variance):
            if array.shape != shape or not np.isfinite(array).all() or array.dtype != np.float64:
                raise SnapshotError(
                    f"expected finite float64 weights of shape {shape}, got {array.dtype} of"
                    f" {array.shape}; rebuild the snapshot from the ledger"
                )
        here, there = [], []
        for mine, theirs in zip(self._axes(), names, strict=True):
            place = {name: index for index, name in enumerate(theirs)}
            shared = [name for name in mine if name in place]
            here.append([mine.index(name) for name in shared])
            there.append([place[name] for name in shared])
        self._posterior.mean[np.ix_(*here)] = old.mean[np.ix_(*there)]
        self._posterior.variance[np.ix_(*here)] = old.variance[np.ix_(*there)]

    def _axes(self) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
        return self._outcomes, self._names, ("1", *self._encoder.names)

    def _z(self, context: Context) -> NDArray[np.float64]:
        return np.concatenate(([1.0], self._encoder.encode(context)))  # (1+D,)

    def distribution(self, context: Context, mask: Mask) -> Distribution:
        """Return the probability that each allowed action's sampled reward is the largest."""
        z = self._z(context)  # (1+D,)
        mean, variance = self._posterior.predict(self._levels, z)  # (O, A) each
        expected = (self._values[:, None] * sigmoid(mean)).sum(axis=0) - self._costs  # (A,)
        allowed = mask.indices  # (E,)
        sd = self._alpha * np.sqrt(variance[:, allowed])  # (O, E)
        beliefs = Utilities(mean[:, allowed], sd, self._values, self._costs[allowed])
        probabilities = np.zeros(len(self._costs))  # (A,)
        probabilities[allowed] = beliefs.best(self._grid)
        return Distribution(probabilities, expected)

    def update(self, lessons: Sequence[Lesson]) -> None:
        """Learn from lessons, in order; all are checked before the first is learned.

        Raises:
            UnknownNameError: a lesson about an outcome that the agent does not declare.
        """
        for lesson in lessons:
            if lesson.outcome is not None and lesson.outcome not in self._outcomes:
                raise UnknownNameError(
                    f"a lesson about {lesson.outcome!r};"
                    f" {did_you_mean(lesson.outcome, self._outcomes)}"
                )
        for lesson in lessons:
            self._learn(lesson)

    def _learn(self, lesson: Lesson) -> None:
        learning = slice(None)
        if lesson.outcome is None:
            self._encoder.observe(lesson.context)
        else:
            position = self._outcomes.index(lesson.outcome)
            learning = slice(position, position + 1)
        levels, z = self._levels[lesson.action], self._z(lesson.context)  # (5,), (1+D,)
        self._posterior.learn(learning, levels, z, float(lesson.outcome is not None))

    def to_bytes(self) -> bytes:
        """Return weights, their variances and the encoder's state under their names."""
        outcomes, levels, columns = self._axes()
        facts = {
            "outcomes": outcomes,
            "levels": levels,
            "columns": columns,
            "numbers": self._encoder.numbers,
        }
        arrays = {
            "mean": self._posterior.mean,
            "variance": self._posterior.variance,
            "moments": self._encoder.moments(),
        }
        return pack(self.name, facts, arrays)
