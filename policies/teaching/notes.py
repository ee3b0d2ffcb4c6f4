"""Decisions as a learner of tables needs them: small, so that they are kept and not read again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, NamedTuple

import numpy as np

from agents.tabular.columns import microseconds
from policies.base import Label
from policies.teaching.drip import Drip
from policies.teaching.labels import Labels, Taught

_DAY_US = 86_400_000_000
_NOTHING = Label("", happened=False, weight=0.0)  # of a lesson that says no more than "decided"


@dataclass(frozen=True, slots=True)
class Note:
    """What a decision shows a learner of tables; it holds nothing of who the customer is.

    Args:
        position: its place in the log.
        at: its instant (UTC).
        teaches: whether the learner learns from it.
        windows: the window of each outcome of the revision that decided.
        action: position of the drawn action in the learner's revision, -1 if it is gone there.
        x: D float64, as of `policies.features.encode_table.unscaled`.
        weight: how often it counts.
    """

    position: int
    at: datetime
    teaches: bool
    windows: Mapping[str, timedelta]
    action: int
    x: bytes
    weight: float = 1.0


class Noted(NamedTuple):
    """One lesson of a decision."""

    note: Note
    labels: tuple[Label, ...]
    first: bool


@dataclass(slots=True)
class NoteDrip(Drip[Note, Noted]):
    """Tells what one agent's learner of tables is to learn."""

    keeps: ClassVar[bool] = True

    def lesson(self, logged: Note, labels: tuple[Label, ...], *, first: bool) -> Noted | None:
        """Return a lesson, unless the drawn action is gone."""
        return None if logged.action < 0 else Noted(logged, labels, first)


def tables_of(told: Sequence[Noted], outcomes: Sequence[str]) -> tuple[Taught, Labels]:
    """Return lessons as `TableLearner.learn_table` takes them, in their order.

    Args:
        told: N of them; each has a row of its own.
        outcomes: names by position; every label's is among them.
    """
    place = {name: index for index, name in enumerate(outcomes)} | {_NOTHING.outcome: -1}
    rows, said, first = list[int](), list[Label](), list[bool]()
    for row, each in enumerate(told):
        labels = each.labels or (_NOTHING,)
        rows += [row] * len(labels)
        said += labels
        first += [each.first, *[False] * (len(labels) - 1)]
    names, happened, weights, _ = zip(*said, strict=True)
    x = np.frombuffer(b"".join([each.note.x for each in told])).reshape(len(told), -1)  # (N, D)
    decision = np.array(rows, dtype=np.int64)
    return (
        Taught(
            x,
            np.array([each.note.action for each in told], dtype=np.int64),
            np.array([microseconds(each.note.at) // _DAY_US for each in told], dtype=np.int64),
        ),
        Labels(
            decision,
            np.array([place[name] for name in names], dtype=np.int64),
            np.array(happened, dtype=np.bool_),
            np.array(weights, dtype=np.float64),
            np.array(first, dtype=np.bool_),
            decision,
        ),
    )
