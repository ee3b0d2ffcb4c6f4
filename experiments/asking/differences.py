"""Paired differences: what one policy is worth more than another, on the same decisions.

Two policies valued on one log share its luck, so their difference is known better than either
value: an interval of each, held side by side, says too little.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from experiments.diagnostics import LIMITS
from experiments.estimators import HEADLINE, find_estimator
from experiments.evaluate import Question
from experiments.paired import gap

LOGGED = "logged"


@dataclass(frozen=True, slots=True)
class Difference:
    """One policy's value less another's.

    Args:
        target, over: names.
        estimator: of both.
        value: currency per decision.
        stderr: customers, not decisions, are taken as independent.
        low, high: bounds at `level`.
        effective_conversions: those that tell the two apart.
        level: nominal coverage.
        supported: whether both values are, and there are enough such conversions.
        forced: whether numbers are told although it is not.
    """

    target: str
    over: str
    estimator: str
    value: float
    stderr: float
    low: float
    high: float
    effective_conversions: float
    level: float
    supported: bool
    forced: bool = False

    @property
    def shown(self) -> bool:
        """Whether its numbers may be told."""
        return self.supported or self.forced


def differences(
    questions: Mapping[str, Question],
    estimators: Sequence[str],
    supported: Mapping[str, bool],
    *,
    forced: bool = False,
) -> tuple[Difference, ...]:
    """Return the differences to the logged policy, then those of all other pairs.

    Args:
        questions: by name of the target, on the same decisions.
        estimators: names; those that only show how firm an answer is are left out, unless no
            other was asked for.
        supported: whether each target's value is.
        forced: whether numbers are told all the same.
    """
    names = sorted(questions, key=lambda name: name == LOGGED)
    headline = [each for each in estimators if each in HEADLINE] or estimators
    pairs = sorted(combinations(names, 2), key=lambda pair: pair[1] != LOGGED)
    return tuple(
        difference(
            (one, questions[one]), (other, questions[other]), estimator,
            supported=supported[one] and supported[other], forced=forced,
        )
        for one, other in pairs
        for estimator in headline
    )  # fmt: skip


def difference(
    one: tuple[str, Question],
    other: tuple[str, Question],
    estimator: str,
    *,
    supported: bool = True,
    forced: bool = False,
) -> Difference:
    """Return the difference of two policies by one estimator; see `experiments.paired.gap`.

    Args:
        one: its name, and its question.
        other: what is taken away, asked of the same decisions.
        estimator: a name; one that is tuned may choose another setting for each.
        supported: whether both values are.
        forced: as of `Difference`.
    """
    found = find_estimator(estimator)
    terms = one[1].terms(found), other[1].terms(found)  # (N,) each
    weights = one[1].rows.counted, other[1].rows.counted
    level = one[1].level
    each = gap(terms, weights, one[1].rows.log, one[1].clusters, level)
    return Difference(
        one[0], other[0], found.name, each.value, each.stderr, each.low, each.high,
        each.conversions, level,
        supported and (each.conversions >= LIMITS.conversions or each.stderr == 0.0), forced,
    )  # fmt: skip
