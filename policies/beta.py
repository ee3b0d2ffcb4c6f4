"""Beta-Bernoulli Thompson sampling by segment: the learner that can be checked with a pencil.

Customers fall into segments by a few of their fields. For each segment s, action a and outcome o
the rate is Beta distributed,

    Beta(k mu_ao + happened, k (1 - mu_ao) + not yet),

where k is the strength of the belief and mu_ao the action's rate in all other segments, itself
pulled by the same strength to the rate of all other actions, and that to the base rate. So a
segment that has seen little decides like its action, and an action that has seen little like all.

An outcome is counted as not yet at once, and as happened when it arrives: with a rate p that
settles at p / (1 + p). Taking a label back with its negative weight is exact.

Source: Efron and Morris, JASA 1975 (shrinkage); Chapelle and Li, NeurIPS 2011 (the sampling).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from agents.context import Context, FeatureValue
from agents.errors import SnapshotError
from agents.mask import Mask
from agents.revision import Revision
from agents.spec import CustomerField
from policies.base import Distribution, Lesson, check_lessons
from policies.models.counts import Counts, places
from policies.propensities.convolution import Sums
from policies.settings import Setting, read_segments, read_settings
from policies.state import pack, unpack

_NUMBERS = {
    "strength": Setting(20.0, 0.1, 1e6),
    "base_rate": Setting(0.02, 1e-6, 0.5),
    "grid": Setting(128, 64, 512, whole=True),
}
_MOST = 300_000  # pairs of counts: 4.8 MB
_MOST_KNOWN = 64  # segments whose distributions are kept: for 500 actions some 200 MB
_LEAST = 1e-6  # keeps a Beta proper
_UNKNOWN = "?"


class BetaThompson:
    """Thompson sampling on rates by segment.

    Settings: `segments` list of category or boolean customer fields (none: all customers alike),
    `strength` decisions that a belief counts for (20), `base_rate` prior probability of each
    outcome (0.02), `grid` points of the quadrature (128).

    A value that is missing or unknown is one more value. The expected reward it reports is the
    sum of value times mean rate, less cost.
    """

    name: ClassVar[str] = "beta_thompson"

    def __init__(self, revision: Revision) -> None:
        given = revision.agent.policy.settings
        settings = read_settings(self.name, _NUMBERS, given, ("segments",))
        self._strength, self._base = settings["strength"], settings["base_rate"]
        self._grid = int(settings["grid"])
        self._fields = {
            name: _values(field) for name, field in read_segments(revision, "segments").items()
        }
        self._actions, self._outcomes = revision.action_ids, tuple(revision.agent.outcomes)
        segments = math.prod(len(values) for values in self._fields.values())
        shape = segments, len(self._actions), len(self._outcomes)
        _check_size(*shape)
        self._segments = [list(row) for row in product(*self._fields.values())]
        self._place = {tuple(row): index for index, row in enumerate(self._segments)}
        self._worths = np.array([o.worth for o in revision.agent.outcomes.values()])  # (O,)
        self._costs = np.array([action.cost for action in revision.actions])  # (A,)
        self._counts = Counts.empty(*shape)
        self._known: dict[int, tuple[NDArray[np.float64], Sums]] = {}  # until the next lesson

    @classmethod
    def create(cls, revision: Revision) -> Self:
        """Build an untaught learner.

        Raises:
            UnknownNameError: a setting that it does not have, or a segment that is no field.
            ValueError: a setting outside its range, or too many segments.
        """
        return cls(revision)

    @classmethod
    def from_bytes(cls, state: bytes, revision: Revision) -> Self:
        """Rebuild, mapping segments, actions and outcomes by name; what is new starts untaught.

        Where a field no longer divides customers its segments are added up; where one does so
        newly, what was learned counts for those whose value is unknown.

        Raises:
            SnapshotError: the bytes are not this learner's state.
        """
        facts, arrays = unpack(cls.name, state)
        policy = cls(revision)
        try:
            segments = [policy._moved(facts["fields"], row) for row in facts["segments"]]
            actions = places(facts["actions"], policy._actions)
            outcomes = places(facts["outcomes"], policy._outcomes)
            policy._counts.recall(arrays, (segments, actions, outcomes))
        except (LookupError, TypeError, AttributeError, ValueError) as error:
            raise SnapshotError(f"the state of {cls.name} lacks a part: {error!r}") from error
        return policy

    def _moved(self, fields: list[str], row: list[str]) -> int:
        """Position here of a segment that was made by other fields, or of fewer values."""
        old = dict(zip(fields, row, strict=True))
        return self._place[
            tuple(
                old[name] if old.get(name) in values else _UNKNOWN
                for name, values in self._fields.items()
            )
        ]

    def _segment(self, context: Context) -> int:
        return self._place[
            tuple(
                _word(context.features.get(name), values) for name, values in self._fields.items()
            )
        ]

    def rates(self, segment: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return both parameters of every Beta of a segment, (A, O) each.

        Each level of the belief is formed without the counts of the level below it, which would
        otherwise count twice.
        """
        k, happened = self._strength, np.maximum(self._counts.happened, 0.0)  # (S, A, O)
        not_yet = np.maximum(self._counts.not_yet, 0.0)  # (S, A, O)
        trials = happened + not_yet  # (S, A, O)
        by_action = happened.sum(axis=0), trials.sum(axis=0)  # (A, O) each
        others = [total.sum(axis=0) - total for total in by_action]  # (A, O) each
        rate = (others[0] + k * self._base) / (others[1] + k)  # (A, O)
        elsewhere = [by_action[0] - happened[segment], by_action[1] - trials[segment]]
        rate = (elsewhere[0] + k * rate) / (elsewhere[1] + k)  # (A, O)
        rate = np.clip(rate, _LEAST, 1.0 - _LEAST)
        return k * rate + happened[segment], k * (1.0 - rate) + not_yet[segment]

    def _beliefs(self, segment: int) -> tuple[NDArray[np.float64], Sums]:
        """Expected reward of each action, (A,), and the distributions of all rewards."""
        if segment not in self._known:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            a, b = self.rates(segment)  # (A, O) each
            expected = (a / (a + b) * self._worths).sum(axis=1) - self._costs  # (A,)
            self._known[segment] = expected, Sums.of(a, b, self._worths, self._costs)
        return self._known[segment]

    def distribution(self, context: Context, mask: Mask) -> Distribution:
        """Return the probability that each allowed action's sampled reward is the largest."""
        expected, sums = self._beliefs(self._segment(context))
        probabilities = np.zeros(len(expected))  # (A,)
        probabilities[mask.indices] = sums.best(mask.indices, self._grid)
        return Distribution(probabilities, expected.copy())

    def update(self, lessons: Sequence[Lesson]) -> None:
        """Count labels, in order; all are checked before the first is counted.

        Raises:
            UnknownNameError: a label of an outcome that the agent does not declare.
            ValueError: a weight that is not finite.
        """
        check_lessons(lessons, self._outcomes)
        self._known.clear()
        for lesson in lessons:
            segment = self._segment(lesson.context)
            for label in lesson.labels:
                outcome = self._outcomes.index(label.outcome)
                self._counts.add(segment, lesson.action, outcome, label)

    def discount(self, share: float) -> None:
        """Keep this share of the evidence, in (0, 1]: a power prior."""
        self._counts.discount(share)
        self._known.clear()

    def to_bytes(self) -> bytes:
        """Return the counts under the names of segments, actions and outcomes."""
        facts = {
            "fields": list(self._fields),
            "segments": self._segments,
            "actions": self._actions,
            "outcomes": self._outcomes,
        }
        return pack(self.name, facts, self._counts.arrays())


def _values(field: CustomerField) -> tuple[str, ...]:
    """Values by which a field divides customers; unknown is one of them."""
    declared = ("true", "false") if field.type == "boolean" else field.values
    return (*(value for value in declared if value != _UNKNOWN), _UNKNOWN)


def _word(value: FeatureValue | None, values: tuple[str, ...]) -> str:
    if isinstance(value, bool):
        value = "true" if value else "false"
    return value if isinstance(value, str) and value in values else _UNKNOWN


def _check_size(segments: int, actions: int, outcomes: int) -> None:
    size = segments * actions * outcomes
    if size > _MOST:
        raise ValueError(
            f"policy.settings.segments: beta_thompson counts {segments:,} segments x {actions:,}"
            f" actions x {outcomes:,} outcomes, {size:,} in all, and at most {_MOST:,} are"
            " accepted; take fewer fields, or use hybrid_thompson"
        )
