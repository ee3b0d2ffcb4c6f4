"""Whom a change reaches: customers who gain or lose an action."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from agents.errors import ContextError, StateError, did_you_mean
from agents.load import LoadedWorkspace
from agents.revision import Revision
from agents.tabular import mask_table

KEY = "customer"


class Impact(NamedTuple):
    """How many customers gain and lose one action of one agent."""

    agent: str
    action: str
    gained: int
    lost: int


def read_customers(path: Path) -> pa.Table:
    """Read a Parquet file of customers: a column `customer` and any fields of the schema.

    Raises:
        StateError: it cannot be read, or has no such column.
    """
    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        raise StateError(f"there is no file {path}") from None
    except (OSError, pa.ArrowException) as error:
        raise StateError(f"{path} cannot be read as Parquet: {str(error)[:200]}") from None
    if KEY not in table.column_names:
        raise StateError(
            f"expected a column {KEY!r} in {path}, got {', '.join(table.column_names)}"
        )
    return table


def impact(
    old: LoadedWorkspace, new: LoadedWorkspace, customers: pa.Table, at: datetime
) -> list[Impact]:
    """Count the customers who gain or lose each action, as if nobody had been contacted yet.

    Budgets, stock and capacities count as unused. Actions that nobody gains or loses are left out,
    and so are those that come with requests: there is no telling who will ask for which.

    Args:
        old: the workspace before.
        new: the workspace after.
        customers: as `read_customers` gives them.
        at: the instant of the decision.

    Raises:
        ContextError: a row does not fit the customer schema; with its number, from 0.
    """
    _check_columns(old, new, customers)
    counts = []
    for agent in dict.fromkeys([*old.revisions, *new.revisions]):
        before = _allowed(old.revisions.get(agent), customers, at)
        after = _allowed(new.revisions.get(agent), customers, at)
        nobody = np.zeros(customers.num_rows, dtype=bool)  # (N,)
        for action in dict.fromkeys([*before, *after]):
            was, now = before.get(action, nobody), after.get(action, nobody)
            gained, lost = int((now & ~was).sum()), int((was & ~now).sum())
            if gained or lost:
                counts.append(Impact(agent, action, gained, lost))
    return counts


class _Unused(Mapping[str, float]):
    """Says of every budget that nothing of it is used."""

    def __getitem__(self, key: str) -> float:
        return 0.0

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 1


def masks(revision: Revision, customers: pa.Table, at: datetime) -> NDArray[np.bool_]:
    """Say which actions each customer may get now, with an empty history; (N, A) boolean.

    Raises:
        ContextError: a row does not fit the customer schema; with its number, from 0.
    """
    declared = [name for name in customers.column_names if name in revision.workspace.customer]
    table = customers.select([KEY, *(name for name in declared if name != KEY)])
    answers = mask_table(revision, table, at=at, usage=_Unused())
    shape = (customers.num_rows, len(revision.actions))
    chunks = [chunk.flatten() for chunk in answers.column("allowed").chunks]
    flat = [chunk.to_numpy(zero_copy_only=False) for chunk in chunks]
    return np.concatenate([np.zeros(0, dtype=bool), *flat]).reshape(shape)  # (N, A)


def _allowed(
    revision: Revision | None, customers: pa.Table, at: datetime
) -> dict[str, NDArray[np.bool_]]:
    if revision is None or revision.agent.supplied is not None:
        return {}
    allowed = masks(revision, customers, at)  # (N, A)
    return {name: allowed[:, index] for index, name in enumerate(revision.action_ids) if index}


def _check_columns(old: LoadedWorkspace, new: LoadedWorkspace, customers: pa.Table) -> None:
    known = {*old.workspace.customer, *new.workspace.customer}
    for name in customers.column_names:
        if name != KEY and name not in known:
            hint = did_you_mean(name, known)
            raise ContextError(f"neither workspace declares the column {name!r}; {hint}")
