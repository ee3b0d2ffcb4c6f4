"""Masks of a whole table of customers: Arrow in, Arrow out, the meaning of `Revision.mask`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from agents.context import Contact, PastEvent
from agents.errors import ContextError
from agents.guardrails import Guardrail, Ranking
from agents.mask import ALWAYS_ACT, ask, ask_among
from agents.revision import Revision
from agents.tabular.alike import alike, parts
from agents.tabular.batch import Batch
from agents.tabular.columns import microseconds, read_columns, read_customers, span_of
from agents.tabular.history import Past, read_contacts, read_events
from agents.tabular.keys import Key
from agents.units import require_utc

Codes = NDArray[np.int32]
Ask = Callable[[int], list[int]]


class _Past(NamedTuple):
    contacts: Past[Contact]
    events: Past[PastEvent]


@dataclass(slots=True)
class _Reasons:
    """Numbers for reasons: 0 is none, others count from 1."""

    numbers: dict[str, int] = field(default_factory=dict)

    def codes(self, reasons: list[str | None]) -> list[int]:
        """Return the number of each reason."""
        numbers = self.numbers
        return [
            0 if reason is None else numbers.setdefault(reason, len(numbers) + 1)
            for reason in reasons
        ]


def mask_table(
    revision: Revision,
    customers: pa.Table,
    *,
    at: datetime,
    contacts: pa.Table | None = None,
    events: pa.Table | None = None,
    usage: Mapping[str, float] | None = None,
    batch: int = 65_536,
) -> pa.Table:
    """Apply every guardrail to every action for each customer of a table, at one moment.

    The reasons are those of `Revision.mask` for each customer by itself, word for word. What is
    used of the organisation's budgets is read once and charged by nobody: two customers of one
    table may both be allowed what is there only once.

    Args:
        revision: the agent's rules and actions.
        customers: a column `customer` with distinct identifiers, and fields of the customer
            schema; a field that has no column, and a null, are unknown. N rows.
        at: the instant of the decisions, with an offset.
        contacts: `customer` and the fields of `agents.context.Contact`; `includes` and
            `decision_id` may be left out. Of what is older than the revision's lookback, and of
            other customers, nothing is used.
        events: `customer`, `at`, `event`, and the other fields of `PastEvent` where known. Only
            words that the revision hears are used, and nothing after `at`.
        usage: what is used of the organisation's budgets, by the key of each reading; what is
            missing bars.
        batch: customers that are worked on at a time; memory grows with it.

    Returns:
        N rows of `customer`, `allowed`, a list of A truths, and `reasons`, a list of A texts that
        are null where the action is allowed; A actions in the revision's order.

    Raises:
        ContextError: the features do not fit the customer schema (the message names the row), an
            identifier comes twice, or contacts or events lack a column.
        ValueError: `at` has no offset.

    Example:
        >>> from pathlib import Path
        >>> from agents.load import load_workspace
        >>> loaded = load_workspace(Path(__file__).parents[1] / "examples" / "telecom")
        >>> table = pa.table({"customer": ["ann", "bob"], "consent_sms": [True, None]})
        >>> noon = datetime.fromisoformat("2026-03-02T12:00:00+00:00")
        >>> masks = mask_table(loaded.revisions["retention"], table, at=noon)
        >>> masks.column("allowed")[0].as_py()[0], len(masks)
        (True, 2)
    """
    at, names = require_utc(at), _names(customers)
    past = _recalled(revision, names, at, contacts, events)
    reasons, found = _Reasons(), []
    for first in range(0, customers.num_rows, batch):
        part = customers.slice(first, batch)
        rows = Batch(
            revision, at, read_customers(names.slice(first, batch), first),
            read_columns(revision.workspace.customer, part, first),
            past.contacts.batch(first, part.num_rows), past.events.batch(first, part.num_rows),
            usage or {},
        )  # fmt: skip
        found.append(_arrow(_codes(rows, reasons)))
    return _table(names, found, reasons, len(revision.actions))


def _names(customers: pa.Table) -> pa.Array:
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


def _codes(batch: Batch, reasons: _Reasons) -> Codes:
    """Number the reason for each customer and action, 0 where allowed; (N, A)."""
    revision = batch.revision
    codes = np.zeros((batch.count, len(revision.actions)), dtype=np.int32)  # (N, A)
    for rule in revision.guardrails:
        for part in parts(rule):
            _bar(codes, alike(part, batch), _asked(part, batch, reasons))
    for ranking in revision.rankings:
        allowed: NDArray[np.bool_] = np.equal(codes, 0)  # (N, A)
        key = alike(ranking, batch) * batch.pattern(allowed)
        _bar(codes, key, _ranked(ranking, batch, allowed, reasons))
    if revision.agent.always_act:
        codes[~codes[:, 1:].all(axis=1), 0] = reasons.codes([ALWAYS_ACT])[0]
    return codes


def _asked(rule: Guardrail, batch: Batch, reasons: _Reasons) -> Ask:
    """Return what a guardrail says of one customer, as numbers of reasons."""
    return lambda row: reasons.codes(ask(rule, batch.moment(row), len(batch.revision.actions)))


def _ranked(ranking: Ranking, batch: Batch, allowed: NDArray[np.bool_], reasons: _Reasons) -> Ask:
    """Return what a ranking says of one customer, given what is allowed; (N, A)."""
    return lambda row: reasons.codes(ask_among(ranking, batch.moment(row), allowed[row].tolist()))


def _bar(codes: Codes, key: Key, asked: Ask) -> None:
    """Ask about one customer of each class, and bar for all of it what is allowed so far."""
    first, classes = key.classes()
    table = np.array([asked(row) for row in first.tolist()], dtype=np.int32)  # (classes, A)
    barring: NDArray[np.bool_] = np.any(table, axis=1)  # (classes,)
    rows = np.flatnonzero(barring[classes])
    if len(rows):
        mine = codes[rows]
        codes[rows] = np.where(mine == 0, table[classes[rows]], mine)


def _arrow(codes: Codes) -> tuple[pa.Array, pa.Array]:
    """Return which actions are allowed, and the numbers of the reasons, null where allowed."""
    flat = codes.ravel()
    allowed: NDArray[np.bool_] = np.equal(flat, 0)
    return pa.array(allowed), pa.array(flat - 1, mask=allowed)


def _table(
    names: pa.Array, found: list[tuple[pa.Array, pa.Array]], reasons: _Reasons, actions: int
) -> pa.Table:
    words = pa.array(list(reasons.numbers), pa.string())
    kinds = pa.list_(pa.bool_(), actions), pa.list_(pa.dictionary(pa.int32(), pa.string()))
    allowed, texts = [], []
    for flags, numbers in found:
        allowed.append(pa.FixedSizeListArray.from_arrays(flags, actions))
        ends = pa.array(np.arange(0, len(numbers) + 1, actions, dtype=np.int32))
        texts.append(pa.ListArray.from_arrays(ends, pa.DictionaryArray.from_arrays(numbers, words)))
    return pa.table(
        {
            "customer": names,
            "allowed": pa.chunked_array(allowed, kinds[0]),
            "reasons": pa.chunked_array(texts, kinds[1]),
        }
    )
