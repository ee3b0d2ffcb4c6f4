"""The checks a decision log passes before it becomes arrays; each refusal names the row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from agents.groups import Group
from experiments.logs.columns import bools, codes, floats, texts
from experiments.logs.contexts import Contexts, contact_counts, joined
from experiments.logs.layout import Layout, lay_out, list_items
from experiments.logs.origin import Origin
from experiments.logs.parsing import CONTEXT
from experiments.logs.supplied import SUPPLIED, read_record

_SLACK = 1e-9  # a sum of some hundred float64 is exact to about 1e-14; imported logs are rounder


@dataclass(frozen=True, slots=True)
class Dense:
    """The numbers of a log as arrays; see `LoggedDecisions`."""

    actions: tuple[str, ...]
    action: NDArray[np.int64]
    propensity: NDArray[np.float64]
    distribution: NDArray[np.float64]
    allowed: NDArray[np.bool_]
    reward: NDArray[np.float64]
    outcome_value: NDArray[np.float64]
    outcomes: NDArray[np.object_]
    listed: NDArray[np.int64] | None


def dense(
    table: pa.Table, origin: Origin, actions: Sequence[str] | None = None, places: int = 0
) -> Dense:
    """Check a table of the log's schema row by row and lay its lists out as (N, A) arrays.

    Args:
        table: rows.
        origin: where they are from.
        actions: the A actions of the whole log, if the table is a part of it.
        places: see `lay_out`.

    Raises:
        LogError: with the first row that contradicts itself, and how.
    """
    _check_groups(table, origin)
    layout = lay_out(table, origin, actions, places)
    distribution = layout.spread(floats(list_items(table, "distribution", origin, layout.lengths)))
    mask = list_items(table, "mask", origin, layout.lengths)
    allowed = layout.spread(bools(mask.is_null()))  # (N, A)
    _check_distribution(distribution, allowed, layout, origin)
    action = _drawn(table, layout, origin)
    propensity = floats(table["propensity"])  # (N,)
    _check_propensity(propensity, distribution[np.arange(len(action)), action], origin)
    reward = floats(table["reward"])  # (N,)
    origin.require(np.isfinite(reward), "reward", "a finite amount", reward)
    return Dense(
        layout.actions, action, propensity, distribution, allowed, reward,
        outcome_values(table, origin), _names(table), layout.listed,
    )  # fmt: skip


def check_ids(table: pa.Table, origin: Origin) -> None:
    """Refuse a decision id that an earlier row has too."""
    column = joined(table["decision_id"])
    if len(pc.unique(column)) == len(column):
        return
    ids = texts(table, "decision_id").astype(np.str_)
    _, first = np.unique(ids, return_index=True)
    fresh = np.zeros(len(ids), dtype=np.bool_)
    fresh[first] = True
    origin.require(fresh, "decision_id", "an id that no earlier row has", ids)


def parse_contexts(column: pa.Array, origin: Origin) -> Contexts | NDArray[np.object_]:
    """Read contexts' JSON, (N,); (N,) mappings as `agents.decisions.context_record` writes them.

    Raises:
        LogError: a context is not such JSON.
    """
    found = Contexts.of(column)
    return found if found is not None else _one_by_one(column, origin)


def _one_by_one(column: pa.Array, origin: Origin) -> Contexts | NDArray[np.object_]:
    """Read each context by itself; where actions are supplied they stay JSON, which is smaller."""
    parsed = np.empty(len(column), dtype=np.object_)  # (N,)
    supplied = False
    for row, text in enumerate(column.to_pylist()):
        try:
            context = read_record(text)
        except orjson.JSONDecodeError as error:
            origin.refuse(row, "context", f"JSON ({error})", text[:60])
        if not isinstance(context, dict) or context.keys() - {SUPPLIED} != CONTEXT:
            expected = f"a JSON object of {', '.join(sorted(CONTEXT))}"
            origin.refuse(row, "context", expected, text[:60])
        supplied = context.pop(SUPPLIED, None) is not None or supplied
        parsed[row] = context
    return Contexts(column, contact_counts(parsed), None) if supplied else parsed


def _check_groups(table: pa.Table, origin: Origin) -> None:
    groups = texts(table, "group")
    known = [str(group) for group in Group]
    if not set(pc.unique(joined(table["group"])).to_pylist()) <= {*known}:
        good = np.isin(groups.astype(np.str_), known)
        origin.require(good, "group", f"one of {', '.join(known)}", groups.astype(np.str_))


def _check_distribution(
    distribution: NDArray[np.float64],
    allowed: NDArray[np.bool_],
    layout: Layout,
    origin: Origin,
) -> None:
    def check(good: NDArray[np.bool_], expected: str) -> None:
        if not good.all():
            row, column = (int(i) for i in np.argwhere(~good)[0])
            name = f"distribution[{layout.name(row, column)}]"
            origin.refuse(row, name, expected, float(distribution[row, column]))

    least, most = distribution.min(initial=0.0), distribution.max(initial=0.0)
    if not (least >= 0.0 and most < np.inf):  # NaN is neither
        check(np.isfinite(distribution) & (distribution >= 0.0), "a probability")
    check(allowed | (distribution == 0.0), "0 for a barred action")
    sums = distribution @ np.ones(distribution.shape[1])  # (N,)
    origin.require(np.abs(sums - 1.0) <= _SLACK, "distribution", "a sum of 1", sums)


def _drawn(table: pa.Table, layout: Layout, origin: Origin) -> NDArray[np.int64]:
    """Return the column of each row's drawn action, which the row must list; (N,)."""
    names, numbers = codes(joined(table["action"]))
    place = {name: column for column, name in enumerate(layout.actions)}
    lookup = np.array([place.get(str(name), -1) for name in names], dtype=np.int64)
    column = lookup[numbers] if len(names) else np.zeros(0, dtype=np.int64)  # (N,)
    if layout.listed is not None:
        here = (layout.listed == column[:, None]) & (column[:, None] >= 0)  # (N, A)
        good, column = here.any(axis=1), here.argmax(axis=1)
    elif layout.even:
        good = np.isin(column, layout.columns)
    else:
        listed = layout.spread(np.ones(len(layout.columns), dtype=np.bool_))  # (N, A)
        good = (column >= 0) & listed[np.arange(len(column)), column]
    if not good.all():
        drawn = texts(table, "action").astype(np.str_)
        origin.require(good, "action", "one of the row's actions", drawn)
    return column


def _check_propensity(
    propensity: NDArray[np.float64], drawn: NDArray[np.float64], origin: Origin
) -> None:
    good = (propensity > 0.0) & (propensity <= 1.0)  # NaN is not good
    origin.require(good, "propensity", "a probability above 0", propensity)
    gap = np.abs(propensity - drawn)
    expected = "the distribution's value for the drawn action"
    origin.require(gap <= _SLACK, "propensity", expected, propensity)


def outcome_values(table: pa.Table, origin: Origin) -> NDArray[np.float64]:
    """Return the sum of each row's outcome values; (N,) currency."""
    array = joined(table["outcomes"])
    counts = np.asarray(array.value_lengths(), dtype=np.int64)  # (N,)
    owner = np.repeat(np.arange(table.num_rows), counts)  # (outcomes,)
    values = floats(array.flatten().field("value"))  # (outcomes,)
    _check_order(array.flatten().field("at"), table["at"], owner, origin)
    sums = np.bincount(owner, values, minlength=table.num_rows)  # (N,)
    origin.require(np.isfinite(sums), "outcomes", "finite values", sums)
    return np.asarray(sums, dtype=np.float64)


def _check_order(
    heard: pa.Array, decided: pa.ChunkedArray, owner: NDArray[np.int64], origin: Origin
) -> None:
    """Refuse an outcome that came before its decision: it cannot have followed it."""
    at = np.array(decided.cast(pa.timestamp("us")), dtype="datetime64[us]")  # (N,)
    came = np.array(heard.cast(pa.timestamp("us")), dtype="datetime64[us]")  # (outcomes,)
    early = came < at[owner]
    if early.any():
        first = int(np.argmax(early))
        expected = f"an instant from {at[owner[first]]} on, when it was decided"
        origin.refuse(int(owner[first]), "outcomes", expected, str(came[first]))


def _names(table: pa.Table) -> NDArray[np.object_]:
    """Return the names of each row's outcomes; (N,) tuples of text."""
    array = joined(table["outcomes"])
    counts = np.asarray(array.value_lengths(), dtype=np.int64)  # (N,)
    given = array.flatten().field("outcome").to_pylist()
    ends = np.cumsum(counts[counts > 0]).tolist()
    names = np.empty(table.num_rows, dtype=np.object_)  # (N,)
    names.fill(())
    for row, (start, end) in zip(
        np.flatnonzero(counts).tolist(), pairwise([0, *ends]), strict=True
    ):
        names[row] = tuple(given[start:end])
    return names
