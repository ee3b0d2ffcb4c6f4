"""Differences, segments and parts as tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.table import Table
from rich.text import Text

from experiments.asking.differences import Difference
from experiments.asking.parts import Part
from experiments.asking.segments import Segment, Segments
from experiments.estimators.base import Estimate
from experiments.report import (
    FORCED,
    PER,
    REFUSED,
    amounts,
    bounds,
    columns,
    digits_of,
    table_of,
)

Ranged = Estimate | Difference
_NUMBERS = ("", "", "")


def differences_table(differences: Sequence[Difference], currency: str) -> Table:
    """Lay out what each policy is worth more than another, in currency per 1,000 decisions."""
    table = table_of(f"Difference in {currency} per 1,000 decisions, on the same decisions")
    level = differences[0].level
    columns(table, ("policy", "over", "estimator"), ("value", *bounds(level)))
    table.add_column("note")
    digits = _digits(row for row in differences if row.shown)
    for row in differences:
        cells = _difference(row, digits)
        table.add_row(Text(row.target), Text(row.over), row.estimator, *cells)
    return table


def segments_table(segments: Segments, currency: str) -> Table:
    """Lay out the values by segment, in currency per 1,000 decisions of the segment."""
    table = table_of(f"Value in {currency} per 1,000 decisions by {segments.by}")
    level = next((e.level for s in segments.segments for e in s.evaluations), 0.95)
    columns(table, ("segment",), ("decisions",))
    columns(table, ("policy", "estimator"), ("value", *bounds(level)))
    table.add_column("note")
    digits = _digits(row for segment in segments.segments for row in _told(segment))
    for segment in segments.segments:
        if segment.refused:
            count = f"{segment.n:,}"
            table.add_row(Text(segment.name), count, "", "", *_NUMBERS, Text(segment.refused))
        for cells in _segment_rows(segment, digits):
            table.add_row(Text(segment.name), f"{segment.n:,}", *cells)
    return table


def parts_table(parts: Sequence[Part], currency: str) -> Table:
    """Lay out how often a policy would choose each offer and channel, and what that earns.

    Values are in currency per 1,000 decisions in which it is chosen.
    """
    table = table_of(f"By offer and channel; {currency} per 1,000 decisions that choose it")
    columns(table, ("policy", "part"), ("share", "from", "to", "value", "from", "to"))
    table.add_column("note")
    digits = _digits(part.shown for part in parts if part.shown is not None)
    for part in parts:
        shares = (f"{x:.1%}" for x in (part.share, part.share_low, part.share_high))
        value = part.shown
        cells = _NUMBERS if value is None else _amounts(value, digits)
        note = FORCED if value is not None and not part.supported else ""
        name = Text(f"{part.kind} {part.name}")
        if part.share > 0.0 or value is not None:
            note = REFUSED if value is None else note
            table.add_row(Text(part.target), name, *shares, *cells, note)
    return table


def _told(segment: Segment) -> Iterator[Ranged]:
    """Yield what is told of a segment."""
    for each in segment.evaluations:
        yield from each.shown
    yield from (row for row in segment.differences if row.shown)


def _segment_rows(segment: Segment, digits: int) -> list[tuple[Text | str, ...]]:
    rows: list[tuple[Text | str, ...]] = []
    for each in segment.evaluations:
        if not each.shown:
            why = ", ".join(check.name.lower() for check in each.verdict.reasons)
            rows.append((Text(each.target), "", *_NUMBERS, f"{REFUSED}: {why}"))
        note = "" if each.verdict.supported else FORCED
        for row in each.shown:
            cells = _amounts(row, digits)
            rows.append((Text(each.target), row.estimator, *cells, note))
    for apart in segment.differences:
        if apart.shown:
            name = Text(f"{apart.target} - {apart.over}")
            rows.append((name, apart.estimator, *_difference(apart, digits)))
    return rows


def _difference(row: Difference, digits: int) -> tuple[str, ...]:
    if not row.shown:
        return (*_NUMBERS, f"{REFUSED}: {row.reason}")
    return (*_amounts(row, digits, "+"), "" if row.supported else FORCED)


def _digits(rows: Iterable[Ranged]) -> int:
    """Return the digits of all amounts of a table that are told."""
    return digits_of(PER * x for row in rows for x in (row.value, row.low, row.high))


def _amounts(row: Ranged, digits: int, sign: str = "") -> tuple[str, ...]:
    return amounts(*(PER * x for x in (row.value, row.low, row.high)), sign=sign, digits=digits)
