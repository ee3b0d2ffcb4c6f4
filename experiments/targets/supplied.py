"""Where the actions that came with a request stand among the columns of a log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.actions import NONE_ID
from agents.errors import LogError
from experiments.logs import LoggedDecisions
from experiments.logs.places import numbers_of
from experiments.logs.supplied import SUPPLIED

Row = Mapping[str, Any]


class Places:
    """Finds the columns of actions by id, whether a column is an action or a place of a row.

    Args:
        log: N decisions.
    """

    def __init__(self, log: LoggedDecisions) -> None:
        self._log = log
        self._all = {name: column for column, name in enumerate(log.actions)}

    def of(self, row: int, names: Sequence[str]) -> NDArray[np.int64]:
        """Return the column of each action in a row; (names,).

        Raises:
            LogError: the row does not list one.
        """
        known = self._all
        if self._log.listed is not None:
            numbers = self._log.listed[row]
            known = {self._log.actions[n]: place for place, n in enumerate(numbers) if n >= 0}
        try:
            return np.array([known[name] for name in names], dtype=np.int64)
        except KeyError as error:
            raise LogError(
                f"decision {self._log.decision_id[row]}: expected its supplied actions among those"
                f" that the row lists, got none called {error.args[0]!r}"
            ) from None


def supplied_ids(record: Row, decision_id: str) -> tuple[str, ...]:
    """Return the ids of the actions that came with a request, in the caller's order.

    Args:
        record: the context, as `agents.decisions.context_record` writes it.
        decision_id: for messages.

    Raises:
        LogError: none came, or one is called `none`, so that it cannot be told from doing nothing.
    """
    found = record.get(SUPPLIED)
    if found is None:
        raise LogError(
            f"decision {decision_id}: expected actions that came with the request, got none; was it"
            " made by an agent with offers?"
        )
    if NONE_ID in found["ids"]:
        raise LogError(
            f"decision {decision_id}: expected no action called {NONE_ID!r}, which means to do"
            " nothing, so that no loop can offer it; name it otherwise, and import the log again"
        )
    return tuple(found["ids"])


def supplied_in(log: LoggedDecisions) -> bool:
    """Whether actions came with the requests of a log, as far as its first decision tells."""
    return len(log) > 0 and SUPPLIED in log.contexts[0]


def first_target(log: LoggedDecisions) -> NDArray[np.float64]:
    """Return probability 1 for what the caller would show by itself; (N, A).

    That is the baseline of a request, or its first action that is allowed; of declared offers the
    first that is. `none` only where nothing else is allowed.
    """
    none = numbers_of(log) == log.actions.index(NONE_ID)  # (N, A)
    free = log.allowed & ~(none & (np.count_nonzero(log.allowed, axis=1) > 1)[:, None])  # (N, A)
    chosen = free.argmax(axis=1)  # (N,)
    if supplied_in(log):
        places = Places(log)
        for row, record in enumerate(log.contexts):
            came = record[SUPPLIED]
            columns = places.of(row, (came["baseline"], *came["ids"]))
            allowed = columns[free[row, columns]]
            chosen[row] = allowed[0] if len(allowed) else chosen[row]
    target = np.zeros_like(log.distribution)  # (N, A)
    target[np.arange(len(log)), chosen] = 1.0
    return target
