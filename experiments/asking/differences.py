"""Paired differences: what one policy is worth more than another, on the same decisions.

Two policies valued on one log share its luck, so their difference is known better than either
value: an interval of each, held side by side, says too little.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Protocol, Self, TypeVar

from experiments.diagnostics import LIMITS
from experiments.estimators import HEADLINE, Estimator, find_estimator
from experiments.evaluate import Evaluation
from experiments.paired import Gap

LOGGED = "logged"


class Valued(Protocol):
    """A policy that can be valued on some decisions, and held against another on the same."""

    @property
    def level(self) -> float:
        """Nominal coverage of the intervals."""

    @property
    def shares(self) -> bool:
        """Whether it could have made any of the log's draws; without, it has no value."""

    def answer(self, name: str, estimators: Sequence[str], *, forced: bool = False) -> Evaluation:
        """Return the answers of some estimators, with what says how far to believe them."""

    def over(self, other: Self, estimator: Estimator, /) -> Gap:
        """Return how much more it is worth than another."""


V = TypeVar("V", bound=Valued)


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
        supported: whether both policies are comparable, there are enough such conversions, and the
            difference did not move between the halves of the log.
        forced: whether numbers are told although it is not.
        reason: why it is not supported; empty if it is.
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
    reason: str = ""

    @property
    def shown(self) -> bool:
        """Whether its numbers may be told."""
        return self.supported or self.forced


def differences(
    questions: Mapping[str, V],
    estimators: Sequence[str],
    comparable: Mapping[str, bool],
    *,
    forced: bool = False,
) -> tuple[Difference, ...]:
    """Return the differences to the logged policy, then those of all other pairs.

    Args:
        questions: by name of the target, on the same decisions.
        estimators: names; those that only show how firm an answer is are left out, unless no
            other was asked for.
        comparable: whether each target may be held against another, see `Verdict.comparable`.
        forced: whether numbers are told all the same.
    """
    names = sorted(questions, key=lambda name: name == LOGGED)
    headline = [each for each in estimators if each in HEADLINE] or estimators
    pairs = sorted(combinations(names, 2), key=lambda pair: pair[1] != LOGGED)
    return tuple(
        difference(
            (one, questions[one]), (other, questions[other]), estimator,
            comparable=comparable[one] and comparable[other], forced=forced,
        )
        for one, other in pairs
        for estimator in headline
    )  # fmt: skip


def difference(
    one: tuple[str, V],
    other: tuple[str, V],
    estimator: str,
    *,
    comparable: bool = True,
    forced: bool = False,
) -> Difference:
    """Return the difference of two policies by one estimator; see `experiments.paired.gap`.

    Args:
        one: its name, and its question.
        other: what is taken away, asked of the same decisions.
        estimator: a name; one that is tuned may choose another setting for each.
        comparable: whether both are.
        forced: as of `Difference`.
    """
    found = find_estimator(estimator)
    each = one[1].over(other[1], found)
    reason = why_not(each, comparable=comparable)
    return Difference(
        one[0], other[0], found.name, each.value, each.stderr, each.low, each.high,
        each.conversions, one[1].level, not reason, forced, reason,
    )  # fmt: skip


def why_not(found: Gap, *, comparable: bool = True) -> str:
    """Say in a few words why a difference may not be told; empty if it may.

    Args:
        found: the difference.
        comparable: whether both policies may be held against another.
    """
    if not comparable:
        return "one of the two is not supported"
    if found.none:
        return ""
    if found.conversions < LIMITS.conversions:
        return "few conversions tell them apart"
    return "other in each half of the log" if found.drift.great else ""
