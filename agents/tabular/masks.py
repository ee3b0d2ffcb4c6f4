"""Masks of a whole table of customers: Arrow in, Arrow out, the meaning of `Revision.mask`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from agents.guardrails import Guardrail, Ranking
from agents.mask import ALWAYS_ACT, Mask, ask, ask_among
from agents.revision import Revision
from agents.tabular.alike import alike, looked_at, parts
from agents.tabular.batch import Batch
from agents.tabular.keys import Key
from agents.tabular.reading import read_batches, read_names

Codes = NDArray[np.int32]
Ask = Callable[[int], list[int]]


@dataclass(slots=True)
class Reasons:
    """Numbers for reasons: 0 is none, others count from 1."""

    numbers: dict[str, int] = field(default_factory=dict)

    def codes(self, reasons: list[str | None]) -> list[int]:
        """Return the number of each reason."""
        numbers = self.numbers
        return [
            0 if reason is None else numbers.setdefault(reason, len(numbers) + 1)
            for reason in reasons
        ]

    def mask(self, codes: Codes) -> Mask:
        """Return the mask that one row of numbers stands for; (A,)."""
        words = (None, *self.numbers)
        return Mask(tuple(map(words.__getitem__, codes.tolist())))


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
    reasons = Reasons()
    batches = read_batches(
        revision, customers, at=at, contacts=contacts, events=events, usage=usage, batch=batch
    )
    found = [_arrow(reason_codes(rows, reasons)) for rows in batches]
    return _table(read_names(customers), found, reasons, len(revision.actions))


def reason_codes(batch: Batch, reasons: Reasons) -> Codes:
    """Number the reason for each customer and action, 0 where allowed.

    Args:
        batch: N customers.
        reasons: takes in what is new.

    Returns:
        (N, A) int32.
    """
    revision = batch.revision
    # One action after another in memory, since a rule bars few of them.
    codes = np.zeros((len(revision.actions), batch.count), dtype=np.int32).T  # (N, A)
    for rule in revision.guardrails:
        for part in parts(rule):
            _bar(codes, alike(part, batch), _asked(part, batch, reasons))
    for ranking in revision.rankings:
        allowed: NDArray[np.bool_] = np.equal(codes, 0)  # (N, A)
        key = alike(ranking, batch) * batch.pattern(looked_at(ranking, allowed))
        _bar(codes, key, _ranked(ranking, batch, allowed, reasons))
    if revision.agent.always_act:
        codes[~codes[:, 1:].all(axis=1), 0] = reasons.codes([ALWAYS_ACT])[0]
    return codes


def _asked(rule: Guardrail, batch: Batch, reasons: Reasons) -> Ask:
    """Return what a guardrail says of one customer, as numbers of reasons."""
    return lambda row: reasons.codes(ask(rule, batch.moment(row), len(batch.revision.actions)))


def _ranked(ranking: Ranking, batch: Batch, allowed: NDArray[np.bool_], reasons: Reasons) -> Ask:
    """Return what a ranking says of one customer, given what is allowed; (N, A)."""
    return lambda row: reasons.codes(ask_among(ranking, batch.moment(row), allowed[row].tolist()))


def _bar(codes: Codes, key: Key, asked: Ask) -> None:
    """Ask about one customer of each class, and bar for all of it what is allowed so far."""
    first, classes = key.classes()
    table = np.array([asked(row) for row in first.tolist()], dtype=np.int32)  # (classes, A)
    (barred,) = np.nonzero(table.any(axis=0))
    if barred.size:
        told = np.take(table.T[barred], classes, axis=1)  # (actions barred, N)
        mine = codes.T[barred]
        codes.T[barred] = np.where(mine == 0, told, mine)


def _arrow(codes: Codes) -> tuple[pa.Array, pa.Array]:
    """Return which actions are allowed, and the numbers of the reasons, null where allowed."""
    flat = codes.ravel()
    allowed: NDArray[np.bool_] = np.equal(flat, 0)
    return pa.array(allowed), pa.array(flat - 1, mask=allowed)


def _table(
    names: pa.Array, found: list[tuple[pa.Array, pa.Array]], reasons: Reasons, actions: int
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
