"""Linear Thompson sampling: one Bayesian linear regression per action, with full covariance.

For action a with the Gram matrix G_a = ridge I + sum of w z z', where z = [1, x] and w is how much
a lesson counts, and for outcome o with b_ao = sum of w y z,

    theta_ao ~ N(G_a^-1 b_ao, alpha^2 G_a^-1),    U_a = sum over o of value_o theta_ao . z - cost_a

The outcomes are taken to be independent given the customer, and their noise to have the standard
deviation alpha, so U_a is exactly normal, with variance alpha^2 z' G_a^-1 z sum of value_o^2.
Nothing is shared between actions: it is for dense rewards and few actions, where it beats models
that share.

All outcomes of an action share its Gram matrix; a lesson counts in it by the mean weight of its
labels over all outcomes. So an outcome that happens after it was learned as not happened counts
twice, and a rate p settles at p / (1 + mean of all rates), the same factor for all outcomes of an
action. Taking a label back with its negative weight is exact: sums are kept, not inverses.

Source: Agrawal and Goyal, ICML 2013.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from policies.models.naming import Axes
from policies.models.regression import Regressions
from policies.propensities.thompson import gaussian_best
from policies.settings import Setting, read_settings
from policies.state import pack, unpack

_SETTINGS = {
    "alpha": Setting(0.1, 0.0, 5.0),
    "ridge": Setting(5.0, 0.01, 1_000.0),
    "grid": Setting(128, 64, 512, whole=True),
}
_MOST = 600_000  # numbers in all Gram matrices: 4.8 MB


class LinearThompson:
    """Thompson sampling over linear models that share nothing between actions.

    Settings: `alpha` sd of the outcomes' noise, and so a factor on the posterior's sd (0.1; 0 is
    greedy), `ridge` prior precision of every weight in units of the noise's (5), `grid` points of
    the quadrature (128).

    The expected reward it reports is the posterior mean of U.
    """

    name: ClassVar[str] = "linear_thompson"

    def __init__(self, revision: Revision, encoder: Encoder) -> None:
        settings = read_settings(self.name, _SETTINGS, revision.agent.policy.settings)
        self._alpha, self._grid = settings["alpha"], int(settings["grid"])
        self._encoder = encoder
        self._outcomes = tuple(revision.agent.outcomes)
        self._values = np.array([o.worth for o in revision.agent.outcomes.values()])  # (O,)
        self._costs = np.array([action.cost for action in revision.actions])  # (A,)
        self._actions = revision.action_ids
        columns = 1 + len(encoder.names)
        _check_size(len(self._actions), columns)
        self._models = Regressions.untaught(
            len(self._actions), len(self._outcomes), columns, settings["ridge"]
        )

    @classmethod
    def create(cls, revision: Revision) -> Self:
        """Build an untaught learner.

        Raises:
            UnknownNameError: a setting that it does not have.
            ValueError: a setting outside its range, or too many actions for so many columns.
        """
        return cls(revision, Encoder(revision))

    @classmethod
    def from_bytes(cls, state: bytes, revision: Revision) -> Self:
        """Rebuild, mapping actions, outcomes and columns by name; what is new starts untaught.

        Raises:
            SnapshotError: the bytes are not this learner's state.
        """
        facts, arrays = unpack(cls.name, state)
        try:
            encoder = Encoder.restored(revision, facts["numbers"], arrays["moments"])
            policy = cls(revision, encoder)
            names = facts["actions"], facts["outcomes"], facts["columns"]
            policy._models.recall(policy._axes(), names, arrays["gram"], arrays["right"])
        except (LookupError, TypeError, AttributeError) as error:
            raise SnapshotError(f"the state of {cls.name} lacks a part: {error!r}") from error
        return policy

    def _axes(self) -> Axes:
        return self._actions, self._outcomes, ("1", *self._encoder.names)

    def _z(self, context: Context) -> NDArray[np.float64]:
        return np.concatenate(([1.0], self._encoder.encode(context)))  # (1+D,)

    def distribution(self, context: Context, mask: Mask) -> Distribution:
        """Return the probability that each allowed action's sampled reward is the largest."""
        mean, variance = self._models.predict(self._z(context), self._values)  # (A,) each
        expected = mean - self._costs  # (A,)
        allowed = mask.indices  # (E,)
        scale = self._alpha * float(np.sqrt((self._values**2).sum()))
        probabilities = np.zeros(len(expected))  # (A,)
        probabilities[allowed] = gaussian_best(
            expected[allowed], scale * np.sqrt(variance[allowed]), self._grid
        )
        return Distribution(probabilities, expected)

    def beliefs(self, context: Context) -> Beliefs:
        """Return what is believed of each outcome's rate, for every action: a normal each.

        All outcomes of an action have the same sd, alpha sqrt(z' G^-1 z).
        """
        z = self._z(context)  # (1+D,)
        _, variance = self._models.predict(z, self._values)  # (A,)
        mean = (self._models.weights * z).sum(axis=2).T  # (O, A)
        sd = self._alpha * np.sqrt(variance)  # (A,)
        return Beliefs(mean, np.tile(sd, (len(mean), 1)), "identity")

    def terms(self, context: Context, action: int) -> dict[str, NDArray[np.float64]]:
        """Return what the intercept and each column add to the mean of each outcome, (O,) each."""
        self._models.refresh()
        names = (f"action {self._actions[action]}", *self._encoder.names)
        columns = self._models.weights[action] * self._z(context)  # (O, 1+D)
        return dict(zip(names, columns.T, strict=True))

    def update(self, lessons: Sequence[Lesson]) -> None:
        """Learn from lessons, in order; all are checked before the first is learned.

        Raises:
            UnknownNameError: a label of an outcome that the agent does not declare.
            ValueError: a weight that is not finite.
        """
        check_lessons(lessons, self._outcomes)
        for lesson in lessons:
            self._learn(lesson)

    def _learn(self, lesson: Lesson) -> None:
        if lesson.first:
            self._encoder.observe(lesson.context)
        if not lesson.labels:
            return
        happened = np.zeros(len(self._outcomes))  # (O,)
        for label in lesson.labels:
            if label.happened:
                happened[self._outcomes.index(label.outcome)] += label.weight
        weight = sum(label.weight for label in lesson.labels) / len(self._outcomes)
        self._models.learn(lesson.action, self._z(lesson.context), weight, happened)

    def discount(self, share: float) -> None:
        """Keep this share of the evidence, in (0, 1]: a power prior."""
        self._models.discount(share)

    def to_bytes(self) -> bytes:
        """Return both kinds of sums and the encoder's state under their names."""
        actions, outcomes, columns = self._axes()
        facts = {
            "actions": actions,
            "outcomes": outcomes,
            "columns": columns,
            "numbers": self._encoder.numbers,
        }
        arrays = {
            "gram": self._models.gram,
            "right": self._models.right,
            "moments": self._encoder.moments(),
        }
        return pack(self.name, facts, arrays)


def _check_size(actions: int, columns: int) -> None:
    size = actions * columns**2
    if size > _MOST:
        raise ValueError(
            f"policy.learner: linear_thompson holds {size:,} numbers for {actions:,} actions and"
            f" {columns:,} columns, and at most {_MOST:,} are accepted; use hybrid_thompson, or"
            " keep customer fields out of it with feature: false"
        )
