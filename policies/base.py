"""The contract of a policy: a pure distribution, one mutator, and state that is data."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from agents.context import Context
from agents.errors import UnknownNameError, did_you_mean
from agents.mask import Mask
from agents.revision import Revision


@dataclass(frozen=True, slots=True)
class Distribution:
    """What a policy answers for one customer and one mask, before the exploration floor.

    Args:
        probabilities: (A,) float64, exactly 0 where barred, sums to 1.
        expected: (A,) float64, expected reward in currency; NaN for a policy without values.
    """

    probabilities: NDArray[np.float64]
    expected: NDArray[np.float64]


class Label(NamedTuple):
    """What is to be learned of one outcome after one decision.

    Args:
        outcome: name of a declared outcome.
        happened: whether it happened, or had not yet.
        weight: how much it counts, finite; a negative one takes back what was learned before.
        value: what it was worth, where supplied actions are learned by the reward itself.
    """

    outcome: str
    happened: bool
    weight: float = 1.0
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Lesson:
    """One thing to learn, in the order in which the ledger committed it.

    The first lesson of a decision says that it was made; it, and others as time passes, may say
    that outcomes have not happened yet. Each counted outcome is one more lesson.

    Args:
        context, mask, action, propensity: of the decision; `action` is a position.
        labels: what is learned of which outcomes.
        first: whether it is the decision's first lesson, from which scales and costs are learned.
    """

    context: Context
    mask: Mask
    action: int
    propensity: float
    labels: tuple[Label, ...] = ()
    first: bool = False

    @classmethod
    def decision(
        cls, context: Context, mask: Mask, action: int, propensity: float, outcomes: Iterable[str]
    ) -> Self:
        """Return the first lesson of a decision after which no outcome has happened yet."""
        labels = tuple(Label(outcome, happened=False) for outcome in outcomes)
        return cls(context, mask, action, propensity, labels, first=True)

    def then(self, *labels: Label) -> Self:
        """Return a later lesson of the same decision."""
        return replace(self, labels=labels, first=False)


def check_labels(lesson: Lesson, outcomes: Collection[str]) -> None:
    """Refuse labels from which nothing can be learned.

    Raises:
        UnknownNameError: a label of an outcome that is not among those given.
        ValueError: a weight that is not finite.
    """
    for label in lesson.labels:
        if label.outcome not in outcomes:
            raise UnknownNameError(
                f"a lesson about {label.outcome!r}; {did_you_mean(label.outcome, outcomes)}"
            )
        if not math.isfinite(label.weight):
            raise ValueError(
                f"a lesson about {label.outcome!r}: expected a finite weight, got {label.weight}"
            )


def check_lessons(lessons: Iterable[Lesson], outcomes: Collection[str]) -> None:
    """Refuse lessons of which one has labels that `check_labels` refuses."""
    for lesson in lessons:
        check_labels(lesson, outcomes)


class Policy(Protocol):
    """Chooses among allowed actions, and learns from what follows.

    `distribution` changes nothing and depends on nothing but its arguments and the state, so any
    number of replicas may answer from one snapshot. `update` is the only mutator; the state is a
    deterministic function of the lessons in their order.
    """

    name: ClassVar[str]

    @classmethod
    def create(cls, revision: Revision) -> Self:
        """Build an untaught policy with the settings of the revision's agent.

        Raises:
            UnknownNameError: a setting that this policy does not have.
            ValueError: a setting outside its range.
        """

    @classmethod
    def from_bytes(cls, state: bytes, revision: Revision) -> Self:
        """Rebuild from `to_bytes`, under the same or a later revision of the agent.

        What the old revision learned about offers, channels and outcomes that still exist is
        kept; what is new starts untaught.

        Raises:
            SnapshotError: the bytes are not this policy's state.
        """

    def distribution(self, context: Context, mask: Mask) -> Distribution:
        """Return the probability of each action among the allowed; pure."""

    def update(self, lessons: Sequence[Lesson]) -> None:
        """Learn from lessons, in order."""

    def to_bytes(self) -> bytes:
        """Return the whole state as data; the same state gives the same bytes."""
