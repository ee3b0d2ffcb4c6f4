"""Histories: what each customer of a log did, and when, from the first decision on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from agents.errors import LogError, UnknownNameError, did_you_mean
from agents.groups import Group
from experiments.logs import LoggedDecisions

Floats = NDArray[np.float64]
Instants = NDArray[np.datetime64]

DAY = np.timedelta64(86_400_000_000, "us")


@dataclass(frozen=True)
class Decided:
    """Closed decisions, in the order of closing: before that a reward is not known.

    Args:
        customer: (N,) number of the customer.
        at: (N,) instants at which they were made.
        closed: (N,) instants at which their last window ended.
        reward, value: (N,) currency, after and before the costs of contacts.
    """

    customer: NDArray[np.int64]
    at: Instants
    closed: Instants
    reward: Floats
    value: Floats

    def where(self, rows: NDArray[np.bool_]) -> Decided:
        """Keep some of them; `rows` is (N,)."""
        return Decided(
            self.customer[rows], self.at[rows], self.closed[rows], self.reward[rows],
            self.value[rows],
        )  # fmt: skip

    def until(self, instant: np.datetime64) -> Decided:
        """Keep what had closed by an instant; what closes later changes nothing of it."""
        return self.where(self.closed <= instant)


@dataclass(frozen=True)
class Events:
    """Events that counted, in the order of time.

    Args:
        customer: (E,) number of the customer.
        at: (E,) instants.
        value: (E,) currency.
        name: (E,) the outcome's name.
    """

    customer: NDArray[np.int64]
    at: Instants
    value: Floats
    name: NDArray[np.object_]

    def where(self, rows: NDArray[np.bool_]) -> Events:
        """Keep some of them; `rows` is (E,)."""
        return Events(self.customer[rows], self.at[rows], self.value[rows], self.name[rows])

    def until(self, instant: np.datetime64) -> Events:
        """Keep what happened up to an instant."""
        return self.where(self.at <= instant)


@dataclass(frozen=True)
class Histories:
    """The customers of one agent's log who stayed in one group, and what they did.

    Args:
        customer: (C,) keyed hashes.
        group: (C,) text.
        first: (C,) instant of each customer's first decision, at which it entered the experiment.
        context: (C,) JSON of the context of that decision, which no treatment has touched yet.
        decided: closed decisions.
        events: those that counted within the outcomes' windows; others are in no log. They include
            what has already followed decisions that are still open.
        end: the last instant that the log knows of.
        moved: customers seen in more than one group, who are left out of everything.
        outcomes: names that events can have.
        given_back: decisions whose contact was not made after all.
    """

    customer: NDArray[np.object_]
    group: NDArray[np.object_]
    first: Instants
    context: NDArray[np.object_]
    decided: Decided
    events: Events
    end: np.datetime64
    moved: int
    outcomes: frozenset[str]
    given_back: int = 0

    def __len__(self) -> int:
        return len(self.group)

    def member(self, group: str) -> NDArray[np.bool_]:
        """Return which customers are in a group; (C,)."""
        return np.asarray(self.group == group, dtype=np.bool_)

    def named(self, outcome: str | None) -> Events:
        """Return the events of one outcome, or all of them if none is named.

        Raises:
            UnknownNameError: there is no such outcome.
        """
        if outcome is None:
            return self.events
        if outcome not in self.outcomes:
            hint = did_you_mean(outcome, self.outcomes)
            raise UnknownNameError(f"the log has no outcome {outcome!r}; {hint}")
        return self.events.where(np.asarray(self.events.name == outcome, dtype=np.bool_))

    def features(self) -> list[dict[str, object]]:
        """Return the features of each customer at the first decision; C mappings."""
        return [orjson.loads(text)["features"] for text in self.context.tolist()]

    def as_decisions(self) -> LoggedDecisions:
        """Return the first decisions as rows that `reward_models.features` can read; contexts only.

        Everything but contexts and instants is left at nothing, so that no outcome can slip in.
        """
        count = len(self)
        blank, none = np.full(count, "", dtype=np.object_), np.empty(count, dtype=np.object_)
        contexts = np.empty(count, dtype=np.object_)
        contexts[:] = [orjson.loads(text) for text in self.context.tolist()]
        none[:] = [()] * count
        return LoggedDecisions(
            decision_id=blank, customer=self.customer, group=self.group, revision=blank,
            policy=blank, snapshot=blank, at=self.first, contexts=contexts,
            action=np.zeros(count, dtype=np.int64), propensity=np.ones(count),
            distribution=np.ones((count, 1)), allowed=np.ones((count, 1), dtype=np.bool_),
            reward=np.zeros(count), outcome_value=np.zeros(count), outcomes=none,
            actions=("none",),
        )  # fmt: skip


def histories(
    table: pa.Table, *, agent: str | None = None, declared: Iterable[str] = ()
) -> Histories:
    """Gather the customers of a log, given as a table of the log's schema.

    Open decisions say when a customer entered and what has happened since, but have no reward
    yet. Decisions whose contact was given back stay, with nothing after them: control has no
    contacts that could fail, so leaving out customers whose contacts did would compare others.

    Args:
        table: from `experiments.logs.read_table`.
        agent: whose decisions; may be left out if the log holds one agent only.
        declared: names of outcomes that can happen, even if none has.

    Raises:
        LogError: no decisions, several agents and none named, an unknown one, or a log that was
            thinned.
    """
    table = _of_agent(table, agent)
    _check_whole(table)
    table = table.sort_by([("at", "ascending"), ("position", "ascending")])
    names, codes = np.unique(_texts(table, "customer").astype(str), return_inverse=True)  # (N,)
    group = _texts(table, "group")  # (N,)
    at = _instants(table["at"])
    member = np.zeros((len(names), len(Group)), dtype=np.bool_)  # (C, 3)
    for column, word in enumerate(Group):
        member[codes[group == word], column] = True
    stayed = member.sum(axis=1) == 1  # (C,)
    place = np.where(stayed, np.cumsum(stayed) - 1, -1)  # (C,) number among those who stayed
    _, first = np.unique(codes, return_index=True)  # (C,) row of the first decision, as sorted
    kept = first[stayed]
    events = _events(table, place[codes])
    outcomes = frozenset(declared) | frozenset(events.name.tolist())
    return Histories(
        names[stayed].astype(np.object_), group[kept], at[kept], _texts(table, "context")[kept],
        _decided(table, at, place[codes]), events, _end(table, at),
        int(np.count_nonzero(~stayed)), outcomes,
        table.num_rows - table["given_back"].null_count,
    )  # fmt: skip


def _of_agent(table: pa.Table, wanted: str | None) -> pa.Table:
    names = sorted(set(table["agent"].to_pylist()))
    if not names:
        raise LogError("expected at least one decision, got an empty log")
    if wanted is None and len(names) > 1:
        raise LogError(
            f"expected decisions of one agent, got {', '.join(names)}; say which agent is meant"
        )
    if wanted is not None and wanted not in names:
        raise LogError(f"the log has no agent {wanted!r}; {did_you_mean(wanted, names)}")
    return table.filter(pc.equal(table["agent"], wanted or names[0]))


def _check_whole(table: pa.Table) -> None:
    """Refuse a thinned log: customers some of whose decisions are gone have no totals."""
    thinned = pc.less(table["kept"], 1.0) if "kept" in table.column_names else pa.array([False])
    gone = pc.sum(thinned).as_py() or 0
    if gone:
        raise LogError(
            f"expected a log of all decisions, got one in which {gone:,} rows were kept with a"
            " probability below 1; totals of customers cannot be told from it"
        )


def _decided(table: pa.Table, at: Instants, customer: NDArray[np.int64]) -> Decided:
    value = np.zeros(table.num_rows)
    owner, events = _flat(table)
    np.add.at(value, owner, np.array(events.field("value"), dtype=np.float64))
    kept = np.array(table["closed_at"].is_valid(), dtype=np.bool_) & (customer >= 0)  # (N,)
    reward = np.array(table["reward"], dtype=np.float64)  # (N,)
    closed = _instants(table["closed_at"])  # (N,) NaT while open
    order = np.flatnonzero(kept)
    order = order[np.argsort(closed[order], kind="stable")]
    return Decided(customer[order], at[order], closed[order], reward[order], value[order])


def _events(table: pa.Table, customer: NDArray[np.int64]) -> Events:
    owner, events = _flat(table)
    at = _instants(events.field("at"))
    order = np.argsort(at, kind="stable")
    order = order[customer[owner[order]] >= 0]
    return Events(
        customer[owner[order]], at[order],
        np.array(events.field("value"), dtype=np.float64)[order],
        np.array(events.field("outcome").to_pylist(), dtype=np.object_)[order],
    )  # fmt: skip


def _flat(table: pa.Table) -> tuple[NDArray[np.int64], pa.StructArray]:
    """Return the row (E,) of each outcome, and the outcomes as one array."""
    array = table["outcomes"].combine_chunks()
    counts = np.asarray(array.value_lengths(), dtype=np.int64)  # (N,)
    return np.repeat(np.arange(table.num_rows), counts), array.flatten()


def _end(table: pa.Table, at: Instants) -> np.datetime64:
    """Return the last instant that is mentioned: windows that have ended are known to be over."""
    closed = _instants(table["closed_at"].drop_null())
    return np.datetime64(max(part.max() for part in (at, closed) if len(part)), "us")


def _instants(column: pa.Array | pa.ChunkedArray) -> Instants:
    return np.array(column.cast(pa.timestamp("us")), dtype="datetime64[us]")


def _texts(table: pa.Table, column: str) -> NDArray[np.object_]:
    return np.array(table[column].to_pylist(), dtype=np.object_)
