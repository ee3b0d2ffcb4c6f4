"""What customers did and were sent earlier, as columns: contacts and events of a whole table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from agents.context import Contact, PastEvent
from agents.errors import ContextError, did_you_mean
from agents.tabular.columns import EPOCH, instant_of
from agents.tabular.keys import Codes, Key, all_of

P = TypeVar("P", Contact, PastEvent)
Rows = NDArray[np.intp]

_TEXTS = ("agent", "offer", "kind", "channel", "action")


@dataclass(frozen=True)
class Past(Generic[P]):
    """Contacts or events, ordered by customer and then by time.

    Args:
        row: (C,) the customer's row, ascending.
        at: (C,) microseconds since 1970.
        identity: (C,) position among `identities`.
        identities: one of each kind of contact or event, all alike but for the time and decision.
        decisions: (C,) the decisions they followed.
        make: rebuilds one from an identity, its time and its decision.
    """

    row: Codes
    at: Codes
    identity: Codes
    identities: tuple[P, ...]
    decisions: pa.Array
    make: Callable[[P, int, str], P]

    def batch(self, first: int, count: int) -> Past[P]:
        """Return those of some consecutive rows, which are numbered from 0 again."""
        low, high = np.searchsorted(self.row, (first, first + count))
        return Past(
            self.row[low:high] - first, self.at[low:high], self.identity[low:high],
            self.identities, self.decisions[low:high], self.make,
        )  # fmt: skip

    def of(self, row: int) -> tuple[P, ...]:
        """Return one customer's, oldest first."""
        low, high = self.row.searchsorted(row), self.row.searchsorted(row, "right")
        if low == high:
            return ()
        identities, at = self.identity[low:high].tolist(), self.at[low:high].tolist()
        decisions = self.decisions[low:high].to_pylist()
        return tuple(
            self.make(self.identities[identity], instant, decision)
            for identity, instant, decision in zip(identities, at, decisions, strict=True)
        )

    def where(self, kept: NDArray[np.bool_]) -> Past[P]:
        """Keep some; (C,)."""
        return Past(
            self.row[kept], self.at[kept], self.identity[kept], self.identities,
            self.decisions.filter(pa.array(kept)), self.make,
        )  # fmt: skip

    def that(self, test: Callable[[P], bool]) -> NDArray[np.bool_]:
        """Test each by its identity alone, not by its time; (C,)."""
        if not len(self.row):
            return np.zeros(0, dtype=bool)
        return np.array([test(item) for item in self.identities], dtype=bool)[self.identity]

    @cached_property
    def _first(self) -> NDArray[np.bool_]:
        """Which are the first of their row, (C,)."""
        first = np.ones(len(self.row), dtype=bool)
        first[1:] = self.row[1:] != self.row[:-1]
        return first

    @cached_property
    def rows(self) -> Rows:
        """The rows that have any, ascending; (M,)."""
        return self.row[self._first].astype(np.intp)

    @cached_property
    def place(self) -> Rows:
        """Where each one's row is among `rows`, (C,)."""
        return np.cumsum(self._first) - 1


def _contact(like: Contact, at: int, decision: str) -> Contact:
    return Contact(
        instant_of(at), like.agent, like.offer, like.kind, like.channel, like.action,
        like.includes, decision,
    )  # fmt: skip


def _event(like: PastEvent, at: int, decision: str) -> PastEvent:
    return PastEvent(
        instant_of(at), like.event, decision, like.agent, like.offer, like.kind, like.channel,
        like.action, like.includes,
    )  # fmt: skip


def _contact_like(words: list[str], includes: tuple[str, ...]) -> Contact:
    agent, offer, kind, channel, action = words
    return Contact(EPOCH, agent, offer, kind, channel, action, includes)


def _event_like(words: list[str], includes: tuple[str, ...]) -> PastEvent:
    event, agent, offer, kind, channel, action = words
    return PastEvent(EPOCH, event, "", agent, offer, kind, channel, action, includes)


def read_contacts(table: pa.Table | None, customers: pa.Array) -> Past[Contact]:
    """Read contacts: `customer`, `at` and the other fields of `Contact`, by name.

    Raises:
        ContextError: a column is missing, unknown or of a wrong type, or a needed value is null.
    """
    needed = ("customer", "at", *_TEXTS)
    row, at, texts, decisions = _read("contacts", table, customers, needed, _TEXTS)
    key, identities = _identities(texts)
    found = [_contact_like(words, includes) for words, includes in identities]
    return Past(row, at, key, tuple(found), decisions, _contact)


def read_events(table: pa.Table | None, customers: pa.Array) -> Past[PastEvent]:
    """Read events: `customer`, `at`, `event`, and the other fields of `PastEvent` where known.

    Raises:
        ContextError: as `read_contacts`.
    """
    needed = ("customer", "at", "event")
    row, at, texts, decisions = _read("events", table, customers, needed, ("event", *_TEXTS))
    key, identities = _identities(texts)
    found = [_event_like(words, includes) for words, includes in identities]
    return Past(row, at, key, tuple(found), decisions, _event)


def _read(
    what: str,
    table: pa.Table | None,
    customers: pa.Array,
    needed: tuple[str, ...],
    texts: tuple[str, ...],
) -> tuple[Codes, Codes, list[pa.Array], pa.Array]:
    if table is None:
        table = pa.table({name: pa.array([], _type(name)) for name in needed})
    _check_columns(what, table, needed, ("customer", "at", *texts, "includes", "decision_id"))
    at = _cast(what, table, "at").cast(pa.int64()).to_numpy(zero_copy_only=False)
    row = pc.index_in(_cast(what, table, "customer"), value_set=customers)
    row = pc.fill_null(row, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    order = np.lexsort((at, row))
    order = order[np.searchsorted(row[order], 0) :]  # of others than these customers: left out
    columns = [_cast(what, table, name).take(pa.array(order)) for name in (*texts, "includes")]
    decisions = _cast(what, table, "decision_id").take(pa.array(order))
    return row[order], at[order], columns, decisions


def _check_columns(
    what: str, table: pa.Table, needed: tuple[str, ...], known: tuple[str, ...]
) -> None:
    for name in table.column_names:
        if name not in known:
            raise ContextError(
                f"{what}: expected the columns {', '.join(known)}, got {name!r};"
                f" {did_you_mean(name, known)}"
            )
    for name in needed:
        if name not in table.column_names or table.column(name).null_count:
            raise ContextError(f"{what}: expected a value of {name!r} in every row, got none")


def _type(name: str) -> pa.DataType:
    if name == "includes":
        return pa.list_(pa.string())
    return pa.timestamp("us", "UTC") if name == "at" else pa.string()


def _cast(what: str, table: pa.Table, name: str) -> pa.Array:
    """Return a column in its own type, without nulls; an empty one where there is none."""
    wanted = _type(name)
    if name not in table.column_names:
        empty = [] if name == "includes" else ""
        return pa.array([empty], wanted).take(pa.array(np.zeros(table.num_rows, dtype=np.int64)))
    column = table.column(name).combine_chunks()
    if name == "at" and (not pa.types.is_timestamp(column.type) or column.type.tz is None):
        raise ContextError(f"{what}: expected instants with a zone in 'at', got {column.type}")
    try:
        column = column.cast(wanted)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise ContextError(f"{what}: expected {wanted} in {name!r}, got {column.type}") from None
    if not column.null_count:
        return column
    return column.fill_null("") if name != "includes" else _filled(column)


def _filled(lists: pa.Array) -> pa.Array:
    return pa.array([row or [] for row in lists.to_pylist()], lists.type)


Words = tuple[list[str], tuple[str, ...]]


def _identities(columns: list[pa.Array]) -> tuple[Codes, list[Words]]:
    """Number the distinct combinations of some columns, the last of which holds lists."""
    *texts, includes = columns
    count = len(includes)
    joined = pc.binary_join(includes, "\0")
    lengths = pc.list_value_length(includes).cast(pa.string())
    keys = [_key(array) for array in (*texts, joined, lengths)]
    first, inverse = all_of(keys, count).classes()
    picked = pa.array(first)
    words = [array.take(picked).to_pylist() for array in texts]
    bundles = [tuple(names) for names in includes.take(picked).to_pylist()]
    combined = [list(texts) for texts in zip(*words, strict=True)]
    return inverse.astype(np.int64), list(zip(combined, bundles, strict=True))


def _key(array: pa.Array) -> Key:
    encoded = array.dictionary_encode()
    codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return Key(codes, max(len(encoded.dictionary), 1))
