"""A log is looked at before it is believed: every kind of fault is found, by file and row."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from agents.errors import LogError
from agents.log import SCHEMA
from experiments.logs import from_table, inspecting, read_log
from experiments.logs.faults import FAULTS
from experiments.logs.importers.base import Piece
from experiments.logs.importers.columns import Columns
from experiments.logs.importers.plain import PlainLog
from experiments.logs.inspecting import Inspector, inspect_log
from experiments.logs.marks import marked
from experiments.logs.quality import Quality, quality_table, summary_lines

Row = dict[str, Any]
Change = Callable[[Row], None]

LOOSE = pa.schema([field.with_nullable(True) for field in SCHEMA])
BAD = 19  # a row of the treatment group, of several allowed actions


def looked_at(rows: list[Row], file: str = "log") -> Quality:
    inspector = Inspector()
    table = pa.Table.from_pylist(rows, schema=LOOSE)
    inspector.add(Piece(table, file, np.arange(len(rows))))
    return inspector.result()


def with_value(name: str, value: object) -> Change:
    return lambda row: row.update({name: value})


def drawn(name: str, value: object) -> Change:
    """Change an item of a list: the drawn action's."""

    def change(row: Row) -> None:
        place = row["actions"].index(row["action"])
        row[name] = [*row[name][:place], value, *row[name][place + 1 :]]

    return change


def scaled(row: Row) -> None:
    row["distribution"] = [p * 1.01 for p in row["distribution"]]
    row["propensity"] *= 1.01


def barred_with_a_chance(row: Row) -> None:
    place = next(
        k for k, name in enumerate(row["actions"]) if name != row["action"]
        and row["distribution"][k] > 0.0
    )  # fmt: skip
    row["mask"] = [*row["mask"][:place], "no", *row["mask"][place + 1 :]]


def outcome(days: int) -> Change:
    def change(row: Row) -> None:
        at = row["at"] + timedelta(days=days)
        row["outcomes"] = [{"outcome": "renewed", "value": 1.0, "at": at}]

    return change


CHANGES: dict[str, tuple[Change, str]] = {
    "propensity missing": (with_value("propensity", None), "nan"),
    "propensity of 0": (with_value("propensity", 0.0), "0.0"),
    "propensity below 0": (with_value("propensity", -0.5), "-0.5"),
    "propensity above 1": (with_value("propensity", 1.5), "1.5"),
    "probability impossible": (drawn("distribution", math.nan), "nan"),
    "probabilities do not sum to 1": (scaled, "1.01"),
    "propensity is not the distribution's": (with_value("propensity", 0.123), ""),
    "drawn action is not listed": (with_value("action", "other"), "other"),
    "action listed twice": (
        lambda row: row.update(actions=[row["actions"][1], *row["actions"][1:]]), "",
    ),
    "drawn action was barred": (drawn("mask", "no"), ""),
    "barred action has a probability": (barred_with_a_chance, ""),
    "action without an id": (
        lambda row: row.update(actions=[None if x != row["action"] else x for x in row["actions"]]),
        "null",
    ),
    "context is no JSON object": (with_value("context", "[1]"), "[1]"),
    "reward missing or infinite": (with_value("reward", math.inf), "inf"),
    "group unknown": (with_value("group", "b"), "b"),
    "share of kept rows impossible": (with_value("kept", 0.0), "0.0"),
    "outcome before its decision": (outcome(-1), "renewed"),
    "outcome after its window": (outcome(9_999), "renewed"),
    "closed before it was decided": (
        lambda row: row.update(closed_at=row["at"] - timedelta(days=1)), "",
    ),
    "lists empty or of unequal length": (with_value("mask", [None]), ""),
}  # fmt: skip


def test_every_fault_has_a_case() -> None:
    assert {fault.name for fault in FAULTS} <= CHANGES.keys()


@pytest.mark.parametrize("name", CHANGES)
def test_a_fault_is_found_where_it_is(table: pa.Table, name: str) -> None:
    rows = table.to_pylist()
    change, value = CHANGES[name]
    change(rows[BAD])
    found = {finding.name: finding for finding in looked_at(rows, "june").findings}
    assert name in found
    assert found[name].count == 1
    (place,) = found[name].first
    assert (place.file, place.row) == ("june", BAD)
    assert place.value.startswith(value)


ALONE = {"share of kept rows impossible"}  # not the reader's


@pytest.mark.parametrize("name", [f.name for f in FAULTS if f.refused and f.name not in ALONE])
def test_what_is_refused_here_is_refused_by_the_reader(table: pa.Table, name: str) -> None:
    rows = table.to_pylist()
    CHANGES[name][0](rows[BAD])
    with pytest.raises(LogError, match=f"row {BAD}"):
        from_table(pa.Table.from_pylist(rows, schema=LOOSE))


@pytest.mark.parametrize(
    ("value", "name"),
    [(math.nan, "propensity missing"), (1.2, "propensity above 1"), (-0.1, "propensity below 0")],
)
def test_one_wrong_value_is_named_once(tmp_path: Path, value: float, name: str) -> None:
    """Also where the distribution was made of it, as of a table that has no other."""
    table = pa.table({"offer": ["a", "b", "a"], "p": [0.5, value, 0.5], "margin": [1.0, 0.0, 0.0]})
    (piece,) = PlainLog((table,), Columns("offer", "p", reward="margin")).pieces()
    found = looked_at(piece.table.to_pylist())
    assert [(each.name, each.count) for each in found.refused] == [(name, 1)]


def test_a_good_log_has_nothing_wrong(table: pa.Table) -> None:
    quality = looked_at(table.to_pylist())
    assert quality.findings == ()
    assert (quality.rows, quality.decisions) == (300, 300)
    assert (quality.closed, quality.still_open, quality.given_back) == (280, 20, 0)
    assert quality.agents == {"retention": 300}
    assert sum(quality.groups.values()) == 300
    assert quality.actions == len(from_table(table).actions)
    assert quality.whole


def test_a_decision_that_is_there_twice_is_found_over_files(table: pa.Table) -> None:
    inspector = Inspector()
    for file, start, end in (("a", 0, 200), ("b", 190, 300)):
        inspector.add(Piece(table.slice(start, end - start), file, np.arange(end - start)))
    quality = inspector.result()
    (finding,) = quality.refused
    assert (finding.name, finding.count) == ("decision id not new", 10)
    assert [(place.file, place.row) for place in finding.first] == [("b", 0), ("b", 1), ("b", 2)]
    assert (quality.rows, quality.decisions) == (310, 300)
    assert inspector.result() == quality  # asking twice changes nothing


def test_disorder_matters_where_policies_change(table: pa.Table) -> None:
    rows = table.to_pylist()
    for number, row in enumerate(rows):
        row["at"] = rows[0]["at"] + timedelta(minutes=number)
        row["closed_at"] = row["at"] + timedelta(days=90)
        row["outcomes"] = []
    rows[5], rows[6] = rows[6], rows[5]
    assert looked_at(rows).findings == ()
    for number, row in enumerate(rows):
        row["snapshot"] = f"s{number // 100}"
    (finding,) = looked_at(rows).findings
    assert (finding.name, finding.refused) == (
        "earlier than a row before it, and policies change", False,
    )  # fmt: skip
    assert (finding.count, finding.first[0].row) == (1, 6)


def test_a_log_without_usable_decisions_is_told(table: pa.Table) -> None:
    rows = table.to_pylist()
    for row in rows:
        row["group"] = "control"
    quality = looked_at(rows)
    assert [f.name for f in quality.findings] == [
        "no closed decision of treatment or random: nothing can be valued"
    ]
    assert quality.groups == {"treatment": 0, "random": 0, "control": 300}
    assert Inspector().result().rows == 0


def test_many_actions_are_nothing_wrong_and_millions_are_refused(
    table: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = table.slice(0, 1).to_pylist()[0]
    names = [f"message-{k}" for k in range(10_001)]
    count = len(names)
    row |= {"actions": names, "mask": [None] * count, "expected": [None] * count,
            "distribution": [1.0 / count] * count, "action": names[0],
            "propensity": 1.0 / count}  # fmt: skip
    found = looked_at([row])
    assert not any("distinct" in finding.name for finding in found.findings)
    assert (found.refused, found.actions) == ((), count)
    monkeypatch.setattr(inspecting, "MOST_LISTED", 10_000)
    (finding,) = looked_at([row]).refused
    assert (finding.count, "name an action by what is offered" in finding.name) == (count, True)


def test_what_nobody_confirmed_is_open_though_its_window_has_ended(table: pa.Table) -> None:
    rows = table.to_pylist()
    for number, row in enumerate(rows):
        row["state"] = (None, "delivered", "reserved")[number % 3]
    quality = looked_at(rows)
    reserved = len(rows) // 3
    read = from_table(pa.Table.from_pylist(rows, schema=LOOSE), include_open=False)
    assert quality.still_open >= reserved
    assert (quality.closed, quality.still_open) == (len(read), read.open_rows)
    assert quality.closed + quality.still_open == quality.rows


def test_a_column_that_is_missing_is_named(table: pa.Table, tmp_path: Path) -> None:
    pq.write_table(table.drop_columns(["reward", "kept"]), tmp_path / "log.parquet")
    (finding,) = inspect_log(tmp_path).refused
    assert finding.first[0].value == "reward"


def test_files_are_read_in_pieces(
    table: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = table.to_pylist()
    rows[BAD]["propensity"] = None
    pq.write_table(pa.Table.from_pylist(rows, schema=LOOSE), tmp_path / "log.parquet")
    whole = inspect_log(tmp_path)
    monkeypatch.setattr(inspecting, "_ROWS", 7)
    assert inspect_log(tmp_path) == whole
    assert whole.refused[0].first[0].row == BAD


def test_what_is_no_log_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log.parquet").write_text("no")
    with pytest.raises(LogError, match="expected Parquet files of a decision log"):
        inspect_log(tmp_path)


def test_a_log_from_before_the_column_kept_is_read(table: pa.Table, tmp_path: Path) -> None:
    pq.write_table(table.drop_columns(["kept"]), tmp_path / "log.parquet")
    assert len(read_log(tmp_path)) == 280
    assert inspect_log(tmp_path).findings == ()


def test_the_report_says_it_in_words(table: pa.Table, tmp_path: Path) -> None:
    rows = table.to_pylist()
    rows[BAD] |= {"propensity": 0.0, "kept": 0.5}
    loose = pa.Table.from_pylist(rows, schema=LOOSE)
    pq.write_table(loose.replace_schema_metadata(marked(LOOSE, whole=False).metadata),
                   tmp_path / "log.parquet")  # fmt: skip
    quality = inspect_log(tmp_path)
    text = " ".join(summary_lines(quality))
    assert "300 rows, 300 decisions" in text
    assert "1 rows stand for others" in text
    assert "only the drawn action's probability" in text
    paper = StringIO()
    Console(file=paper, width=120).print(quality_table(quality))
    printed = paper.getvalue()
    assert f"log.parquet, row {BAD}: 0.0" in printed
    assert "propensity of 0" in printed
    record = quality.to_record()
    assert record["findings"][0]["refused"] is True
