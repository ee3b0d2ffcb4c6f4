"""From labels of outcomes to the one number that Vowpal Wabbit learns.

The reward is learned as one number, in units of the largest outcome value or action cost when the
model was begun. An outcome o of value v_o has the share s_o = |v_o| / sum |v|. Each label is an
example of importance s_o times its weight: of loss cost - sign(v_o) sum |v| if it happened, of loss
cost if not. With rates p_o their mean is cost - sum v_o p_o / (1 + sum s_o p_o).

What has been learned cannot be forgotten. To take back that an outcome happened, the opposite is
learned: an example on the other side of the cost, after which the mean is as it was. To take back
that it had not happened changes nothing: a rate then settles at p / (1 + p) rather than p. A weight
above 1 is as many examples.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from policies.base import Label, Lesson, check_labels
from policies.vowpal.engine import Target

_LOSS = 1e6  # most, as VW computes in 32 bits
_WEIGHT = 1e3  # most, as so many examples are learned


@dataclass(frozen=True)
class Rewards:
    """What outcomes are worth and actions cost, and the examples that follow from them.

    Args:
        values: by outcome, currency.
        costs: (A,) by action, currency.
        scale: currency that counts as 1, above 0.
    """

    values: Mapping[str, float]
    costs: Sequence[float]
    scale: float

    @cached_property
    def total(self) -> float:
        """Sum of |v| over all outcomes."""
        return math.fsum(abs(value) for value in self.values.values())

    def check(self, lesson: Lesson) -> None:
        """Refuse what VW would learn nonsense from, or be ruined by, in silence.

        Raises:
            UnknownNameError: a label of an outcome that is not among the values.
            ValueError: a weight that is not finite or beyond 1000, a propensity outside (0, 1], or
                an action that was barred.
        """
        check_labels(lesson, self.values)
        for label in lesson.labels:
            if abs(label.weight) > _WEIGHT:
                raise ValueError(
                    f"a lesson about {label.outcome!r}: expected a weight within {_WEIGHT:g},"
                    f" got {label.weight:g}"
                )
        if not 0.0 < lesson.propensity <= 1.0:
            raise ValueError(f"expected a propensity in (0, 1], got {lesson.propensity!r}")
        if lesson.action not in lesson.mask.indices:
            raise ValueError(f"expected an allowed action, got the barred one at {lesson.action}")

    def targets(self, lesson: Lesson) -> Iterator[Target]:
        """Turn labels into examples: one for all that has not happened, one for each that has."""
        cost, propensity = self.costs[lesson.action], lesson.propensity
        waiting = [entry for entry in lesson.labels if not entry.happened]
        weight = math.fsum(self._share(entry) * max(entry.weight, 0.0) for entry in waiting)
        yield self._target(cost, propensity, weight)
        for entry in lesson.labels:
            if entry.happened:
                worth = math.copysign(self.total, self.values[entry.outcome] * entry.weight)
                weight = self._share(entry) * abs(entry.weight)
                yield self._target(cost - worth, propensity, weight)

    def _share(self, label: Label) -> float:
        """Return how much of all that can be earned hangs on a label's outcome."""
        return abs(self.values[label.outcome]) / self.total if self.total else 0.0

    def _target(self, loss: float, propensity: float, weight: float) -> Target:
        return Target(min(max(loss / self.scale, -_LOSS), _LOSS), propensity, weight)
