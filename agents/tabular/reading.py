"""A table of customers and their history, read as the batches that rules and encoders work on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

import pyarrow as pa

from agents.context import Contact, PastEvent
from agents.declared import require_declared
from agents.errors import ContextError
from agents.revision import Revision
from agents.tabular.batch import Batch
from agents.tabular.columns import microseconds, read_columns, read_customers, span_of
from agents.tabular.history import Past, read_contacts, read_events
from agents.units import require_utc


class _Past(NamedTuple):
    contacts: Past[Contact]
    events: Past[PastEvent]


def read_batches(
    revision: Revision,
    customers: pa.Table,
    *,
    at: datetime,
    contacts: pa.Table | None,
    events: pa.Table | None,
    usage: Mapping[str, float] | None,
    batch: int,
) -> Iterator[Batch]:
    """Read customers some at a time, each with what a ledger would recall of them.

    The arguments are those of `mask_table`.

    Raises:
        ContextError: the features do not fit the customer schema (the message names the row), an
            identifier comes twice, contacts or events lack a column, or the agent has its actions
            from each request.
        ValueError: `at` has no offset.
    """
    require_declared(revision, "a table of customers")
    at, names = require_utc(at), read_names(customers)
    past = _recalled(revision, names, at, contacts, events)
    for first in range(0, customers.num_rows, batch):
        part = customers.slice(first, batch)
        yield Batch(
            revision, at, read_customers(names.slice(first, batch), first),
            read_columns(revision.workspace.customer, part, first),
            past.contacts.batch(first, part.num_rows), past.events.batch(first, part.num_rows),
            usage or {},
        )  # fmt: skip


def read_names(customers: pa.Table) -> pa.Array:
    """Return the column of identifiers.

    Raises:
        ContextError: it is missing, holds no text, or one comes twice.
    """
    if "customer" not in customers.column_names:
        raise ContextError(
            f"expected a column 'customer', got {', '.join(customers.column_names) or 'none'}"
        )
    column = customers.column("customer").combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.chunks else pa.array([], column.type)
    try:
        names = column.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise ContextError(f"customer: expected text, got {column.type}") from None
    if len(names.unique()) < len(names):
        twice = next(item["values"] for item in names.value_counts() if item["counts"].as_py() > 1)
        raise ContextError(f"customer: expected each once, got {twice.as_py()!r} twice")
    return names


def _recalled(
    revision: Revision,
    names: pa.Array,
    at: datetime,
    contacts: pa.Table | None,
    events: pa.Table | None,
) -> _Past:
    """Read the history that a ledger would recall for the revision."""
    sent, heard = read_contacts(contacts, names), read_events(events, names)
    now = microseconds(at)
    known = heard.that(lambda event: event.event in revision.hears)
    recent = (heard.at > now - span_of(revision.event_lookback)) & (heard.at <= now)
    return _Past(
        sent.where(sent.at > now - span_of(revision.lookback)), heard.where(known & recent)
    )
