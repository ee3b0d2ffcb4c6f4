"""A decision log as calibration reads it: what was sent, what followed, how long it took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from agents.errors import LogError
from agents.groups import Group
from agents.revision import Revision
from agents.spec import Agent
from agents.tabular.columns import EPOCH, span_of
from simulators.calibration.moments import Decisions
from simulators.calibration.simulated import Timetable
from simulators.market.chance import Floats, Ints

_COLUMNS = ["at", "revision", "group", "customer", "action", "send_at", "outcomes", "closed_at",
            "given_back"]  # fmt: skip
_DAY_US = 86_400_000_000
_NONE = "none"


@dataclass(frozen=True)
class Waits:
    """How long outcomes of one word took, (n,) days each.

    Args:
        taken: from the message, or from the decision if nothing was sent.
        most: how long it could have taken for the outcome still to count.
    """

    taken: Floats
    most: Floats


@dataclass(frozen=True)
class Logged:
    """A log.

    Args:
        revision: that decided.
        timetable: of its decisions.
        customers: how many there are in its groups `control` and `random`.
        decisions: of these groups, whose windows have ended; outcomes in the order of the words.
        waits: by word, of all groups.
    """

    revision: Revision
    timetable: Timetable
    customers: int
    decisions: Decisions
    waits: Mapping[str, Waits]


def read_logged(path: Path, words: tuple[str, ...], revision: Revision | None = None) -> Logged:
    """Read a log for the outcomes of a world.

    Args:
        path: the folder of a log, or a Parquet file.
        words: the outcomes of the world.
        revision: that decided; None reads it from `revisions/` beside the log. Decisions by any
            other one are left out.

    Raises:
        LogError: it is no such log, or holds nothing that calibration can use.
    """
    table = _read(path)
    revision = _revision(path, table) if revision is None else revision
    names = {word: _counted_as(revision.agent, word) for word in words}
    customer = table["customer"].combine_chunks().dictionary_encode().indices.to_numpy()
    at = _microseconds(table["at"])
    contacted = np.asarray(pc.not_equal(table["action"], _NONE))
    rates, waits = _outcomes(table, revision.agent, names, at)
    every = Decisions.of(customer.astype(np.int64), at, contacted, rates)
    order = np.lexsort((at, customer))  # the order of `every`
    group = np.asarray(table["group"])[order]
    ours = np.asarray(pc.equal(table["revision"], revision.id))[order]
    known = np.isin(group, (Group.CONTROL.value, Group.RANDOM.value)) & ours
    usable = known & _final(table)[order]
    if not (usable & (group == Group.RANDOM)).any():
        raise LogError(
            f"{path}: expected decisions of the group 'random' by revision {revision.id} whose"
            " windows have ended, got none: only policies that are known can be simulated, chance"
            " and doing nothing; give the agent a holdout with a share for 'random'"
        )
    chosen = every.where(usable)
    held = np.unique(every.customer[known & (group == Group.CONTROL)]).size
    people = np.unique(every.customer[known]).size
    timetable = _timetable(every.customer[known], at[order][known], held / people)
    return Logged(revision, timetable, people, chosen, waits)


def _read(path: Path) -> pa.Table:
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    try:
        tables = [pq.ParquetFile(file).read(columns=_COLUMNS) for file in files]
    except (OSError, pa.ArrowException) as error:
        raise LogError(f"{path}: expected a decision log as Parquet: {error}") from None
    if not tables or tables[0].num_columns != len(_COLUMNS) or not sum(map(len, tables)):
        raise LogError(
            f"{path}: expected a decision log with the columns {', '.join(_COLUMNS)}, got"
            f" {len(files)} Parquet files without them, or without decisions"
        )
    return pa.concat_tables(tables)


def _revision(path: Path, table: pa.Table) -> Revision:
    """Read the revision that made most of the decisions."""
    counts = pc.value_counts(table["revision"]).to_pylist()
    name = max(counts, key=lambda each: int(each["counts"]))["values"]
    file = (path if path.is_dir() else path.parent) / "revisions" / f"{name}.json"
    try:
        return Revision.from_source(file.read_bytes())
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise LogError(
            f"{file}: expected the source of the revision that decided: {error}; name its"
            " workspace with --workspace instead"
        ) from None


def _counted_as(agent: Agent, word: str) -> str | None:
    """Return the agent's outcome of a word, the one with the shortest window; None if none."""
    names = [name for name, each in agent.outcomes.items() if (each.event or name) == word]
    return min(names, key=lambda name: agent.outcomes[name].window, default=None)


def _microseconds(column: pa.ChunkedArray) -> Ints:
    whole = pc.cast(column, pa.int64())
    return np.asarray(whole.fill_null(np.iinfo(np.int64).min)).astype(np.int64)


def _final(table: pa.Table) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Say which decisions were made in earnest and can have no more outcomes."""
    return np.asarray(
        pc.and_(pc.is_valid(table["closed_at"]), pc.is_null(table["given_back"])), dtype=np.bool_
    )


def _outcomes(
    table: pa.Table, agent: Agent, names: Mapping[str, str | None], at: Ints
) -> tuple[Floats, dict[str, Waits]]:
    """Return what followed each decision, (n, O), and how long it took."""
    lists = table["outcomes"].combine_chunks()
    row = np.asarray(pc.list_parent_indices(lists), dtype=np.int64)
    flat = pc.list_flatten(lists)
    what = np.asarray(flat.field("outcome"), dtype=object)
    when = _microseconds(pa.chunked_array([flat.field("at")]))
    sent = _microseconds(table["send_at"])
    final = _final(table)
    rates, waits = np.full((len(at), len(names)), np.nan), {}
    for place, (word, name) in enumerate(names.items()):
        if name is None:
            continue
        rates[:, place] = 0.0
        here = np.flatnonzero((what == name) & final[row])
        rates[row[here], place] = 1.0
        closes = at[row[here]] + span_of(agent.outcomes[name].window)
        plain = (sent[row[here]] < at[row[here]]) | (sent[row[here]] >= closes)
        origin = np.where(plain, at[row[here]], sent[row[here]])
        taken, most = (when[here] - origin) / _DAY_US, (closes - origin) / _DAY_US
        inside = taken > 0.0
        waits[word] = Waits(taken[inside], most[inside])
    return rates, waits


def _timetable(customer: Ints, at: Ints, control: float) -> Timetable:
    """Find out when customers are met; decisions come by customer and time."""
    gaps = np.diff(at)[np.diff(customer) == 0]
    days = max(1, round(float(np.median(gaps)) / _DAY_US)) if gaps.size else 7
    rounds = int(np.unique(customer, return_counts=True)[1].max())
    first = EPOCH + timedelta(days=int(at.min() // _DAY_US))
    start = datetime(first.year, first.month, first.day, tzinfo=UTC)
    return Timetable(start, timedelta(days=days), rounds, control)
