"""Priority: the classic arbitration of next-best-action engines, P x C x V x L.

For each action, with P what is expected of the customer, V what it is worth, C the weight of the
moment and L the weight set by people,

    score = C L (sum over outcomes of V P - the same for `none` - cost + the offer's own value)

and the greatest score above 0 wins; at or under 0 it is `none`, whose score is 0. So an action is
worth what it adds to doing nothing, and who would buy anyway is not paid for.

P is a learned mean rate (Beta's mean), the same for all customers, or for a chosen outcome of a
chosen offer a score that comes with the customer. Nothing is explored: the floor does that.

Source: Pega Customer Decision Hub, "arbitration" (P x C x V x L).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from agents.context import Context
from agents.errors import SnapshotError
from agents.expressions import Language
from agents.mask import Mask
from agents.revision import Revision
from policies.base import Distribution, Lesson, check_lessons
from policies.models.counts import Counts, places
from policies.settings import (
    Setting,
    read_conditions,
    read_scores,
    read_settings,
    read_weights,
)
from policies.state import pack, unpack

_NUMBERS = {
    "base_rate": Setting(0.02, 1e-6, 0.5),
    "strength": Setting(20.0, 0.1, 1e6),
    "context_weight": Setting(2.0, 0.0, 1_000.0),
}
_LEVER = Setting(1.0, 0.0, 1_000.0)


class Priority:
    """Chooses the greatest score; equal ones share the probability evenly.

    Settings:

    - `levers`: weight by offer, from 0 to 1,000 (1);
    - `scores`: by offer, the customer field that predicts the agent's goal, its primary outcome
      or, if none is primary, the one worth most; where a customer lacks it, the learned rate;
    - `context`: by offer, a CEL expression; where it is true, C is `context_weight` (2), else 1;
    - `base_rate` (0.02), `strength` (20): the rate that is expected of every outcome before
      anything is known, and how many decisions that belief counts for. Of `none` nothing is
      expected before it has been tried.

    The expected rewards it reports are V P less cost, without C, L and the offer's own value.
    """

    name: ClassVar[str] = "priority"

    def __init__(self, revision: Revision) -> None:
        others = ("levers", "scores", "context")
        settings = read_settings(self.name, _NUMBERS, revision.agent.policy.settings, others)
        self._strength, self._weight = settings["strength"], settings["context_weight"]
        actions = revision.actions
        self._actions = revision.action_ids
        self._outcomes = tuple(revision.agent.outcomes)
        self._worths = np.array([o.worth for o in revision.agent.outcomes.values()])  # (O,)
        self._costs = np.array([action.cost for action in actions])  # (A,)
        self._bonus = np.array([action.value for action in actions])  # (A,)
        levers = read_weights(revision, "levers", _LEVER)
        self._levers = np.array([levers.get(action.offer, 1.0) for action in actions])  # (A,)
        places_of = {
            offer: np.array([i for i, action in enumerate(actions) if action.offer == offer])
            for offer in revision.agent.offers
        }
        self._scores = [
            (places_of[offer], field) for offer, field in read_scores(revision, "scores").items()
        ]
        self._language = Language(revision.workspace.customer)
        self._context = [
            (places_of[offer], condition)
            for offer, condition in read_conditions(revision, "context", self._language).items()
        ]
        self._goal = _goal(revision)
        self._prior = np.full((len(actions), 1), settings["base_rate"])  # (A, 1)
        self._prior[0] = 0.0
        self._counts = Counts.empty(1, len(actions), len(self._outcomes))

    @classmethod
    def create(cls, revision: Revision) -> Self:
        """Build an untaught learner.

        Raises:
            UnknownNameError: a setting that it does not have, or in one a name that there is not.
            ValueError: a setting outside its range, or an expression that does not compile.
        """
        return cls(revision)

    @classmethod
    def from_bytes(cls, state: bytes, revision: Revision) -> Self:
        """Rebuild, mapping actions and outcomes by name; what is new starts untaught.

        Raises:
            SnapshotError: the bytes are not this learner's state.
        """
        facts, arrays = unpack(cls.name, state)
        policy = cls(revision)
        try:
            actions = places(facts["actions"], policy._actions)
            outcomes = places(facts["outcomes"], policy._outcomes)
            policy._counts.recall(arrays, ([0], actions, outcomes))
        except (LookupError, TypeError, AttributeError) as error:
            raise SnapshotError(f"the state of {cls.name} lacks a part: {error!r}") from error
        return policy

    def _rates(self) -> NDArray[np.float64]:
        """Return the mean of every Beta, (A, O)."""
        happened = np.maximum(self._counts.happened[0], 0.0)  # (A, O)
        trials = happened + np.maximum(self._counts.not_yet[0], 0.0)  # (A, O)
        mean = (happened + self._strength * self._prior) / (trials + self._strength)
        return np.asarray(mean, dtype=np.float64)

    def distribution(self, context: Context, mask: Mask) -> Distribution:
        """Return 1 for the allowed action with the greatest score."""
        rates = self._rates()  # (A, O)
        for actions, field in self._scores:
            score = context.features.get(field)
            if isinstance(score, float):
                rates[actions, self._goal] = score
        worth = (rates * self._worths).sum(axis=1)  # (A,)
        weights = self._levers.copy()  # (A,)
        bound = self._language.bind(context.features, context.at)
        for actions, condition in self._context:
            if condition.refusal(bound) is None:
                weights[actions] *= self._weight
        scores = weights * (worth - worth[0] - self._costs + self._bonus)  # (A,)
        chosen = mask.allowed & (scores == scores[mask.indices].max())  # (A,)
        if chosen[0]:
            chosen[1:] = False  # no other is worth more than nothing
        return Distribution(chosen / np.count_nonzero(chosen), worth - self._costs)

    def update(self, lessons: Sequence[Lesson]) -> None:
        """Count labels, in order; all are checked before the first is counted.

        Raises:
            UnknownNameError: a label of an outcome that the agent does not declare.
            ValueError: a weight that is not finite.
        """
        check_lessons(lessons, self._outcomes)
        for lesson in lessons:
            for label in lesson.labels:
                outcome = self._outcomes.index(label.outcome)
                self._counts.add(0, lesson.action, outcome, label)

    def discount(self, share: float) -> None:
        """Keep this share of the evidence, in (0, 1]: a power prior."""
        self._counts.discount(share)

    def to_bytes(self) -> bytes:
        """Return the counts under the names of actions and outcomes."""
        facts = {"actions": self._actions, "outcomes": self._outcomes}
        return pack(self.name, facts, self._counts.arrays())


def _goal(revision: Revision) -> int:
    """Position of the outcome that customers' scores predict."""
    outcomes = list(revision.agent.outcomes.values())
    primary = [i for i, outcome in enumerate(outcomes) if outcome.metric == "primary"]
    return primary[0] if primary else max(range(len(outcomes)), key=lambda i: outcomes[i].worth)
