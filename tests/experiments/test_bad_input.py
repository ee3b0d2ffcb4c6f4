"""What is wrong with a log is refused by name and row, and never averaged away."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest

from agents.errors import LogError
from agents.log import SCHEMA
from experiments.logs import from_table, layout

BAD = 7
Change = Callable[[dict[str, Any]], None]


def propensity(value: float | None) -> Change:
    return lambda row: row.update(propensity=value)


def bar_the_drawn(row: dict[str, Any]) -> None:
    row["mask"][row["actions"].index(row["action"])] = "consent"


def repeat(row: dict[str, Any]) -> None:
    row["decision_id"] = "d3"


def early(row: dict[str, Any]) -> None:
    at = row["at"] - timedelta(seconds=1)
    row["outcomes"] = [{"outcome": "renewed", "value": 80.0, "at": at}]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (propensity(0.0), "propensity: expected a probability above 0, got 0.0"),
        (propensity(1.5), "propensity: expected a probability above 0, got 1.5"),
        (propensity(None), "propensity: expected a value, got null"),
        (propensity(float("nan")), "propensity: expected a probability above 0, got nan"),
        (bar_the_drawn, "expected 0 for a barred action"),
        (repeat, "decision_id: expected an id that no earlier row has, got 'd3'"),
        (early, "outcomes: expected an instant from"),
    ],
)
def test_a_bad_row_is_named(table: pa.Table, change: Change, words: str) -> None:
    rows = table.to_pylist()
    change(rows[BAD])
    loose = pa.schema([field.with_nullable(True) for field in SCHEMA])
    with pytest.raises(LogError) as refused:
        from_table(pa.Table.from_pylist(rows, schema=loose))
    assert f"row {BAD}: " in str(refused.value)
    assert words in str(refused.value)


def test_millions_of_actions_are_refused_before_they_fill_the_memory(
    table: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = table.slice(0, 110).to_pylist()
    for number, row in enumerate(rows):
        extra = [f"x{number}-{k}/a@email" for k in range(100)]
        row["actions"] += extra
        for name, value in (("mask", "new"), ("distribution", 0.0), ("expected", None)):
            row[name] += [value] * len(extra)
    many = pa.Table.from_pylist(rows, schema=SCHEMA)
    assert from_table(many).distribution.shape[1] < 200  # places of the rows' own lists
    monkeypatch.setattr(layout, "MOST_LISTED", 10_000)
    with pytest.raises(LogError, match="at most 10,000 distinct ones, got 11,0"):
        from_table(many)
