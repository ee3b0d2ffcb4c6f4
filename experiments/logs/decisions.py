"""The decision log as arrays: what an estimator reads."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.errors import LogError
from experiments.logs.contexts import Contexts


@dataclass(frozen=True)
class LoggedDecisions:
    """Decisions of one agent, with the distributions they were drawn from and their rewards.

    Columns of (N, A) arrays are the union of the action sets of all revisions in the log; an
    action that a revision does not have is barred in that revision's rows.

    Args:
        decision_id, customer, group, revision, policy, snapshot: (N,) text; `customer` is hashed.
        at: (N,) datetime64[us], the instant of each decision (UTC).
        contexts: (N,) mappings as `agents.decisions.context_record` writes them; those of a file
            stay JSON, beside columns of their features, until they are asked for.
        action: (N,) int64, column of the drawn action.
        propensity: (N,) in (0, 1], probability of the drawn action.
        distribution: (N, A) rows sum to 1, exactly 0 where barred.
        allowed: (N, A) boolean.
        reward: (N,) currency, outcome values less the action's cost.
        outcome_value: (N,) currency, the same before the cost; it says which decisions converted.
        outcomes: (N,) tuples, the name of every outcome that counted, as often as it did.
        actions: (A,) ids of the columns, `none` first.
        open_rows: number of decisions left out because an outcome could still arrive.
        given_back_rows: number of those left out because their contact was not made after all.
        whole: whether every probability was logged, not only that of the drawn action; see
            `experiments.logs.marks`.
        stands: (N,) how many decisions each stands for, 1 / `kept`; None if none was dropped.
        listed: None, except where rows list few of very many actions: there column k of the (N, A)
            arrays is the k-th action of a row's own list, `action` is that of the drawn one, and
            `listed` (N, A) has each place's number among `actions`, -1 after the end of the list.
    """

    decision_id: NDArray[np.object_]
    at: NDArray[np.datetime64]
    customer: NDArray[np.object_]
    group: NDArray[np.object_]
    revision: NDArray[np.object_]
    policy: NDArray[np.object_]
    snapshot: NDArray[np.object_]
    contexts: Contexts | NDArray[np.object_]
    action: NDArray[np.int64]
    propensity: NDArray[np.float64]
    distribution: NDArray[np.float64]
    allowed: NDArray[np.bool_]
    reward: NDArray[np.float64]
    outcome_value: NDArray[np.float64]
    outcomes: NDArray[np.object_]
    actions: tuple[str, ...]
    open_rows: int = 0
    given_back_rows: int = 0
    whole: bool = True
    stands: NDArray[np.float64] | None = None
    listed: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.action)

    @property
    def drawn(self) -> NDArray[np.int64]:
        """The number of each drawn action among `actions`, whatever the columns are; (N,)."""
        if self.listed is None:
            return self.action
        return np.asarray(self.listed[np.arange(len(self)), self.action])

    def where(self, rows: NDArray[np.bool_]) -> LoggedDecisions:
        """Keep the rows where a boolean (N,) array is true.

        Raises:
            ValueError: the array has another shape or is not boolean.
        """
        if rows.shape != self.action.shape or rows.dtype != np.bool_:
            raise ValueError(
                f"expected {len(self)} booleans, one per decision; got shape {rows.shape}"
                f" of {rows.dtype}"
            )
        return self.take(np.flatnonzero(rows))

    def take(self, rows: NDArray[np.integer]) -> LoggedDecisions:
        """Keep the rows of these numbers, (M,), in this order."""
        values: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        arrays = {k: v[rows] for k, v in values.items() if isinstance(v, (np.ndarray, Contexts))}
        return LoggedDecisions(**{**values, **arrays})

    def in_groups(self, *groups: str) -> LoggedDecisions:
        """Keep the decisions of the named groups."""
        return self.where(np.isin(self.group.astype(str), groups))

    def unthinned(self, what: str) -> LoggedDecisions:
        """Return the log itself, if no decision was dropped from it.

        Raises:
            LogError: decisions were dropped, and `what` is about to be told as if none were.
        """
        if self.stands is not None:
            rows = int(np.count_nonzero(self.stands > 1.0))
            raise LogError(
                f"{what}: expected a log of all decisions, got one that was thinned: {rows:,} of"
                f" {len(self):,} stand for others that were dropped (kept is below 1)"
            )
        return self

    def by_action(self, what: str) -> LoggedDecisions:
        """Return the log itself, if each action has a column.

        Raises:
            LogError: columns are places of the rows' own lists, and `what` asks for actions.
        """
        if self.listed is not None:
            raise LogError(
                f"{what}: expected a log of few actions, got {len(self.actions):,} distinct ones,"
                " of which each row lists some; of such a log uniform, none, logged, first, rules"
                " and learners of supplied actions can be valued"
            )
        return self
