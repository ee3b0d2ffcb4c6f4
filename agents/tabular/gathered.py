"""Customers one by one gathered into the columns of a batch, where there is no Arrow table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any, cast

import numpy as np
import pyarrow as pa

from agents.context import Contact, FeatureValue, PastEvent
from agents.spec import CustomerField
from agents.tabular.columns import EPOCH, Column, Kind, Word, instant_of, microseconds
from agents.tabular.history import P, Past

_NUMBERS: dict[str, tuple[Kind, type]] = {
    "boolean": ("bool", np.bool_), "integer": ("int", np.int64), "number": ("double", np.float64),
}  # fmt: skip


def gather_columns(
    schema: Mapping[str, CustomerField], rows: Sequence[Mapping[str, FeatureValue]]
) -> dict[str, Column]:
    """Gather features, as `agents.context.check_features` returns them, by field.

    Args:
        schema: the declared fields.
        rows: N customers' features; a field that is left out is unknown.

    Example:
        >>> schema = {"age": CustomerField(type="integer")}
        >>> gather_columns(schema, [{"age": 41}, {}])["age"].known.tolist()
        [True, False]
    """
    return {name: _column(field, [row.get(name) for row in rows]) for name, field in schema.items()}


def _column(field: CustomerField, values: list[FeatureValue | None]) -> Column:
    whole = None not in values
    known = np.ones(len(values), dtype=np.bool_)  # (N,)
    if not whole:
        known = np.array([value is not None for value in values], dtype=np.bool_)
    if field.type in _NUMBERS:
        kind, number = _NUMBERS[field.type]
        numbers = values if whole else [0 if value is None else value for value in values]
        return Column(kind, np.array(numbers, dtype=number), known)
    if field.type == "instant":
        instants = [0 if v is None else microseconds(cast("datetime", v)) for v in values]
        return Column("time", np.array(instants, dtype=np.int64), known)
    words: dict[Word, int] = {}
    codes = [
        0 if value is None else words.setdefault(cast("Word", value), len(words))
        for value in values
    ]
    return Column("word", np.array(codes, dtype=np.int64), known, tuple(words) or ("",))


def gather_contacts(rows: Sequence[Sequence[Contact]]) -> Past[Contact]:
    """Gather each customer's contacts, oldest first."""
    return _gathered(rows, lambda c: (c.agent, c.offer, c.kind, c.channel, c.action, c.includes))


def gather_events(rows: Sequence[Sequence[PastEvent]]) -> Past[PastEvent]:
    """Gather each customer's events, oldest first."""
    return _gathered(
        rows, lambda e: (e.event, e.agent, e.offer, e.kind, e.channel, e.action, e.includes)
    )


def _gathered(rows: Sequence[Sequence[P]], named: Callable[[P], tuple[Any, ...]]) -> Past[P]:
    """Number the distinct items, all alike but for the time and the decision."""
    numbers: dict[tuple[Any, ...], int] = {}
    alike: list[P] = []
    owners, at, identity, decisions = [], [], [], []
    moment = cache(microseconds)  # many happened at one instant
    for row, items in enumerate(rows):
        for item in items:
            names = named(item)
            number = numbers.get(names)
            if number is None:
                number = numbers[names] = len(alike)
                alike.append(replace(item, at=EPOCH, decision_id=""))
            owners.append(row)
            at.append(moment(item.at))
            identity.append(number)
            decisions.append(item.decision_id)
    columns = [np.array(column, dtype=np.int64) for column in (owners, at, identity)]
    texts = pa.array(decisions, pa.string())
    return Past(columns[0], columns[1], columns[2], tuple(alike), texts, _made)


def _made(like: P, at: int, decision: str) -> P:
    return replace(like, at=instant_of(at), decision_id=decision)
