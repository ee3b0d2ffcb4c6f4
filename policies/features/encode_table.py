"""A whole table of contexts to numbers: bit for bit what `Encoder.encode` makes of each."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from agents.context import Contact, PastEvent
from agents.tabular.batch import Batch
from agents.tabular.columns import Column, span_of
from agents.tabular.history import Past
from policies.features.columns import Members, Table
from policies.features.encode import DAY, MONTH, MOST_DAYS, WEEK, Encoder
from policies.features.moments import CLIP

Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]
_NEVER = np.iinfo(np.int64).min


def encode_table(encoder: Encoder, rows: Batch) -> Numbers:
    """Encode every customer of a batch, for the same revision.

    Args:
        encoder: changes nothing.
        rows: N customers.

    Returns:
        (N, D) float64, in the encoder's columns.
    """
    return scaled(encoder, unscaled(encoder, rows))


def unscaled(encoder: Encoder, rows: Batch) -> Numbers:
    """Read every customer of a batch, before numbers are standardised; 0 where one is missing.

    Args:
        encoder: made for the same revision; only its columns count, not what it has observed.
        rows: N customers.

    Returns:
        (N, D) float64, in the encoder's columns.
    """
    x = np.zeros((rows.count, len(encoder.names)))  # (N, D)
    at = 0
    for values, known in _read(encoder, rows):
        x[:, at] = values if known is None else np.where(known, values, 0.0)
        at += 1
        if known is not None:
            x[:, at] = ~known
            at += 1
    for block in _blocks(encoder, rows):  # (N, W)
        x[:, at : at + block.shape[1]] = block
        at += block.shape[1]
    return x


def scaled(encoder: Encoder, x: Numbers) -> Numbers:
    """Standardise what `unscaled` has read with what the encoder has observed until now; (N, D)."""
    found = x.copy()
    gapped = encoder.gapped
    for number, (mean, scale) in enumerate(encoder.scales().tolist()):
        at = 2 * number if number < gapped else gapped + number
        scores = np.clip((x[:, at] - mean) * scale, -CLIP, CLIP)  # (N,)
        found[:, at] = np.where(x[:, at + 1] == 0.0, scores, 0.0) if number < gapped else scores
    return found


def _read(encoder: Encoder, rows: Batch) -> Iterator[tuple[Numbers, Flags | None]]:
    """Read each number before it is standardised, (N,), and where it is known if it has gaps."""
    columns = encoder.columns
    for name in columns.amounts:
        column = rows.columns[name]
        yield column.data.astype(np.float64), column.known
    for name in columns.instants:
        column = rows.columns[name]
        yield _log_days(column.data.astype(np.int64), column.known, rows.now), column.known
    made = rows.contacts.where(rows.contacts.at <= rows.now)
    last = _latest(made, rows.count)  # (N,)
    yield _log_days(last, last != _NEVER, rows.now), last != _NEVER
    for span in (WEEK, MONTH):
        yield _tally(rows.contacts, rows.contacts.at > rows.now - span_of(span), rows.count), None
    if columns.answers:
        heard = rows.events.that(lambda event: event.event in columns.answers)
        answered = _latest(rows.events.where(heard), rows.count)  # a batch holds none after now
        yield _tally(made, made.at > answered[made.row], rows.count), None


def _log_days(instants: NDArray[np.int64], known: Flags, now: int) -> Numbers:
    """Return `log_days` of the time since some instants, 0 where unknown; (N,)."""
    most, day = int(MOST_DAYS) * span_of(DAY), span_of(DAY)
    days = np.clip(now - instants[known], -most, most) / day  # (M,)
    found = np.zeros(len(instants))  # (N,)
    # NumPy's logarithm may differ from that of the single path in the last bit.
    logs = np.array([math.log1p(size) for size in np.abs(days).tolist()])  # (M,)
    found[known] = np.copysign(logs, days)
    return found


def _latest(past: Past[Contact] | Past[PastEvent], count: int) -> NDArray[np.int64]:
    """Return each customer's latest instant, `_NEVER` where there is none; (N,)."""
    latest = np.full(count, _NEVER)
    latest[past.row] = past.at  # in the order of time, so the last one stays
    return latest


def _tally(past: Past[Contact], kept: Flags, count: int) -> Numbers:
    return np.bincount(past.row[kept], minlength=count).astype(np.float64)  # (N,)


def _blocks(encoder: Encoder, rows: Batch) -> Iterator[Numbers]:
    """Make the columns of fields with few values, then those of the moment; (N, W) each."""
    columns = encoder.columns
    fields: tuple[Table | Members, ...] = (*columns.tables, *columns.sets)
    for field in fields:
        yield _block(field, rows.columns[field.field])
    name = rows.revision.zone_field
    zones = (None, *(rows.columns[name].words if name else ()))
    calendar = np.array([columns.calendar(rows.at, zone) for zone in zones])  # (zones, 4)
    yield calendar[rows.zone.codes]


def _block(field: Table | Members, column: Column) -> Numbers:
    """Look up each row's value among those that occur; (N, W)."""
    values = (False, True) if column.kind == "bool" else column.words
    table = np.array([field.row(value) for value in (None, *values)])  # (values + 1, W)
    return table[np.where(column.known, column.data.astype(np.int64) + 1, 0)]
