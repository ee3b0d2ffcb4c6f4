"""Lessons of many decisions as arrays, and the learners that take them so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from policies.table import TablePolicy

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Taught:
    """N decisions of which lessons speak.

    Args:
        unscaled: (N, D) what the learner's encoder read of each customer, as of
            `policies.features.encode_table.unscaled`.
        action: (N,) positions of the drawn actions.
        day: (N,) of the decision, days since 1970.
    """

    unscaled: Floats
    action: Ints
    day: Ints


@dataclass(frozen=True, slots=True)
class Labels:
    """M labels, in the order in which they are learned; those of one lesson follow each other.

    Args:
        decision: (M,) positions among the decisions.
        outcome: (M,) positions among the agent's outcomes; -1 if the lesson says no more than that
            the decision was made.
        happened: (M,) whether it did.
        weight: (M,) finite; a negative one takes back.
        first: (M,) whether it is the first label of the decision's first lesson.
        lesson: (M,) a number, the same for the labels of one lesson and no other.
    """

    decision: Ints
    outcome: Ints
    happened: Flags
    weight: Floats
    first: Flags
    lesson: Ints


@runtime_checkable
class TableLearner(TablePolicy, Protocol):
    """A policy that learns many lessons at once, in the bits of one by one."""

    def learn_table(self, decisions: Taught, labels: Labels) -> None:
        """Learn labels in order, as `update` does of the lessons that they make."""
