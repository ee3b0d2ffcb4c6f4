"""Logged decisions of one revision, as its rules are asked about them again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from agents.context import Context
from agents.decisions import read_context
from agents.revision import Revision
from agents.units import parse_instant
from experiments.logs import LoggedDecisions
from experiments.targets.supplied import Places

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Rows:
    """Logged decisions of one revision, in the order of its actions.

    Where actions come with each request, the order is that of each row's own request: A is the
    most that a row has, `log.listed` says which they are, and after the end of a list nothing is
    allowed, before a change or after it.

    Args:
        log: N decisions of the treatment and random groups.
        revision: that decided them; A is the number of its actions.
        columns: (A,) the log's column of each action.
        reasons: (N, A) name of the rule that barred each action in the log, empty if none.
        expected: (N, A) the policy's own expected rewards in currency, NaN where it had none.
        left_out: closed decisions of treatment and random that other revisions made.
    """

    log: LoggedDecisions
    revision: Revision
    columns: NDArray[np.int64]
    reasons: NDArray[np.object_]
    expected: NDArray[np.float64]
    left_out: int = 0

    def __len__(self) -> int:
        return len(self.log)

    @property
    def allowed(self) -> Flags:
        """What the log says was allowed; (N, A)."""
        return self.log.allowed[:, self.columns]

    @property
    def distribution(self) -> NDArray[np.float64]:
        """What was drawn from; (N, A)."""
        return self.log.distribution[:, self.columns]

    @property
    def drawn(self) -> NDArray[np.intp]:
        """Position of the drawn action among the row's; (N,)."""
        return np.asarray(np.argmax(self.columns == self.log.action[:, None], axis=1))

    @property
    def exists(self) -> Flags:
        """Where there is an action; (N, A), or (1, A) if all rows have the same."""
        if self.log.listed is None:
            return np.ones((1, len(self.columns)), dtype=np.bool_)
        return np.asarray(self.log.listed >= 0)

    @property
    def numbers(self) -> NDArray[np.int64]:
        """What tells actions apart over rows; (N, A), or (1, A) if all rows have the same."""
        return self.columns[None] if self.log.listed is None else self.log.listed

    def ids(self, row: int) -> tuple[str, ...]:
        """Return the ids of a decision's actions, `none` first."""
        if self.log.listed is None:
            return self.revision.action_ids
        names = self.log.actions
        return tuple(names[number] for number in self.log.listed[row].tolist() if number >= 0)

    def under(self, row: int, revision: Revision) -> Revision:
        """Return a revision, the rows' own or a changed one, with the actions of a decision."""
        return revision if self.log.listed is None else revision.offering(self.ids(row))

    def context(self, row: int) -> Context:
        """Return the context of one decision; its customer is the hash."""
        at = parse_instant(f"{self.log.at[row]}+00:00")
        log = self.log
        return read_context(log.contexts[row], customer=str(log.customer[row]), at=at)

    def wide(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """Put (N, A) of the rows' actions into the log's columns."""
        found = np.zeros_like(self.log.distribution)
        found[:, self.columns] = matrix
        return found


def by_request(log: LoggedDecisions, lists: Iterable[Sequence[str]]) -> LoggedDecisions:
    """Lay a log out so that each row has its columns in an order of its own.

    Args:
        log: N decisions.
        lists: N times the ids of all that a row lists, in the order that is wanted.

    Raises:
        LogError: a row does not list one.
    """
    places = Places(log)
    found = [places.of(row, names) for row, names in enumerate(lists)]
    columns = np.full((len(log), max(map(len, found), default=0)), -1)  # (N, A)
    for row, own in enumerate(found):
        columns[row, : len(own)] = own
    held = columns >= 0
    numbers = columns if log.listed is None else np.take_along_axis(log.listed, columns, axis=1)
    return replace(
        log,
        distribution=np.where(held, np.take_along_axis(log.distribution, columns, axis=1), 0.0),
        allowed=np.take_along_axis(log.allowed, columns, axis=1) & held,
        action=np.argmax(columns == log.action[:, None], axis=1),
        listed=np.where(held, numbers, -1),
    )


def as_columns(log: LoggedDecisions, actions: tuple[str, ...]) -> LoggedDecisions:
    """Lay a log out, all of whose rows list the same few of many actions, with a column for each.

    Args:
        log: N decisions.
        actions: ids.

    Raises:
        LogError: a row does not list one.
    """
    if log.listed is None:
        return log
    laid = by_request(log, [actions] * len(log))
    return replace(laid, actions=actions, listed=None)
