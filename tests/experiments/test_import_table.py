"""Any table becomes a log by a mapping of its columns; what does not fit is named by row."""

from __future__ import annotations

import importlib
import math
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from agents.errors import DocumentError, LogError
from agents.log import hash_customer
from experiments.logs import LoggedDecisions, from_table
from experiments.logs.importers import sources
from experiments.logs.importers.base import joined
from experiments.logs.importers.columns import Columns, read_columns
from experiments.logs.importers.plain import PlainLog
from experiments.logs.importers.sources import Source

WIDE = Columns(
    "shown", "p", outcome="paid", cost="cost", decision_id="id", at="time", customer="who",
    group="arm", distribution={"none": "p0", "tea": "p1", "rye": "p2"},
    allowed={"tea": "ok1", "rye": "ok2"}, features=("age", "plan"),
)  # fmt: skip
KEY = b"secret"


def wide() -> pa.Table:
    return pa.table(
        {
            "id": ["x", "y", "z"],
            "time": ["2026-03-01T12:00:00Z", "2026-03-01T13:00:00Z", "2026-03-01T14:00:00Z"],
            "who": ["ann", "bob", "ann"],
            "arm": ["treatment", "random", "treatment"],
            "shown": ["tea", "none", "rye"],
            "p": [0.5, 0.25, 0.1],
            "p0": [0.4, 0.25, 0.2], "p1": [0.5, 0.0, 0.7], "p2": [0.1, 0.75, 0.1],
            "ok1": [True, False, True], "ok2": [True, True, True],
            "paid": [20.0, 0.0, 5.0], "cost": [0.5, 0.0, 1.0],
            "age": [30, None, 50], "plan": ["gold", "basic", None],
        }
    )  # fmt: skip


def log_of(source: Source, columns: Columns) -> LoggedDecisions:
    return from_table(joined(PlainLog((source,), columns, key=KEY).pieces()))


def check_wide(log: LoggedDecisions) -> None:
    assert log.actions == ("none", "tea", "rye")
    np.testing.assert_array_equal(
        log.distribution, [[0.4, 0.5, 0.1], [0.25, 0, 0.75], [0.2, 0.7, 0.1]]
    )
    assert log.allowed.tolist() == [[True, True, True], [True, False, True], [True, True, True]]
    assert [log.actions[k] for k in log.action] == ["tea", "none", "rye"]
    assert log.reward.tolist() == [19.5, 0.0, 4.0]
    assert log.outcome_value.tolist() == [20.0, 0.0, 5.0]
    assert log.group.tolist() == ["treatment", "random", "treatment"]
    assert log.customer.tolist() == [hash_customer(KEY, who) for who in ("ann", "bob", "ann")]
    assert [c["features"] for c in log.contexts] == [
        {"age": 30, "plan": "gold"}, {"age": None, "plan": "basic"}, {"age": 50, "plan": None},
    ]  # fmt: skip
    assert str(log.at[1]) == "2026-03-01T13:00:00.000000"


def written(folder: Path, table: pa.Table, ending: str) -> Path:
    file = folder / f"log{ending}"
    if ending == ".csv":
        pa_csv.write_csv(table, file)
    elif ending == ".tsv":
        pa_csv.write_csv(table, file, pa_csv.WriteOptions(delimiter="\t"))
    elif ending == ".parquet":
        pq.write_table(table, file)
    else:
        with pa.OSFile(str(file), "wb") as stream, pa.ipc.new_file(stream, table.schema) as writer:
            writer.write_table(table)
    return file


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet", ".arrow"])
def test_every_kind_of_file_gives_the_same_log(tmp_path: Path, ending: str) -> None:
    check_wide(log_of(written(tmp_path, wide(), ending), WIDE))


def test_tables_in_memory_do_too() -> None:
    check_wide(log_of(wide(), WIDE))
    pandas: Any = importlib.import_module("pandas")
    frame = pandas.DataFrame(wide().to_pydict())
    frame["age"] = frame["age"].astype("Int64")
    check_wide(log_of(frame, WIDE))


def test_lists_and_text_of_lists_give_the_same_log(tmp_path: Path) -> None:
    columns = Columns("shown", "p", reward="r", actions="all", distribution="probs", allowed="ok")
    table = pa.table(
        {
            "shown": ["a", "c"], "p": [0.2, 1.0], "r": [1.0, 0.0], "all": [["a", "b"], ["c"]],
            "probs": [[0.2, 0.8], [1.0]], "ok": [["a", "b"], ["c", "zzz"]],
        }
    )  # fmt: skip
    text = pa.table(
        {
            "shown": ["a", "c"], "p": [0.2, 1.0], "r": [1.0, 0.0],
            "all": ['["a", "b"]', '["c"]'], "probs": ["[0.2, 0.8]", "[1]"],
            "ok": ["[true, true]", "[true]"],
        }
    )  # fmt: skip
    for source in (table, text, written(tmp_path, text, ".csv")):
        log = log_of(source, columns)
        assert log.actions == ("none", "a", "b", "c")
        np.testing.assert_array_equal(log.distribution, [[0, 0.2, 0.8, 0], [0, 0, 0, 1]])


def test_without_a_distribution_the_rest_is_spread_over_what_was_allowed() -> None:
    columns = Columns("shown", "p", reward="r", actions=("a", "b", "c"), allowed="ok")
    table = pa.table(
        {"shown": ["a", "b"], "p": [0.4, 0.5], "r": [0, 1],
         "ok": [["a", "b"], ["a", "b", "c"]]}
    )  # fmt: skip
    log = log_of(table, columns)
    np.testing.assert_allclose(log.distribution[:, 1:], [[0.4, 0.6, 0], [0.25, 0.5, 0.25]])
    assert not columns.whole


def test_the_least_that_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Actions are those that were drawn in any piece; the order of the rows is their time."""
    monkeypatch.setattr(sources, "_ROWS", 2)
    table = pa.table({"shown": ["b", "b", "a"], "p": [0.5, 0.5, 0.5], "r": [0.0, 1.0, 0.0]})
    pieces = list(PlainLog((table,), Columns("shown", "p", reward="r")).pieces())
    assert [piece.rows.tolist() for piece in pieces] == [[0, 1], [2]]
    log = from_table(joined(pieces))
    assert log.actions == ("none", "a", "b")
    assert np.all(np.diff(log.at) > np.timedelta64(0))
    assert log.decision_id.tolist() == ["table 0-0", "table 0-1", "table 0-2"]
    assert len(set(log.customer)) == 3


def test_customers_are_named_anew_by_every_import_without_a_key() -> None:
    first, second = (
        joined(PlainLog((wide(),), WIDE).pieces())["customer"].to_pylist() for _ in range(2)
    )
    assert first[0] == first[2] != first[1]
    assert not set(first) & set(second)
    assert not {"ann", "bob"} & {*first, *second}


def test_float32_is_put_right(tmp_path: Path) -> None:
    table = wide()
    for name in ("p", "p0", "p1", "p2"):
        column = table[name].cast(pa.float32())
        table = table.set_column(table.column_names.index(name), name, column)
    log = log_of(written(tmp_path, table, ".parquet"), WIDE)
    np.testing.assert_allclose(log.distribution.sum(axis=1), 1.0, atol=1e-12)
    np.testing.assert_array_equal(log.propensity, log.distribution[np.arange(3), log.action])


def test_features_are_plain_values() -> None:
    table = pa.table(
        {
            "shown": ["a", "a"], "p": [1.0, 1.0], "r": [0.0, 1.0],
            "day": [date(2026, 1, 2), None], "seen": [datetime(2026, 1, 2, 3, tzinfo=UTC)] * 2,
            "tags": [["x", "y"], None], "score": [math.nan, 0.5], "flag": [True, False],
            "kind": pa.array(["k", "k"]).dictionary_encode(),
        }
    )  # fmt: skip
    log = log_of(table, Columns("shown", "p", reward="r", features=("*",)))
    assert log.contexts[0]["features"] == {
        "day": {"instant": "2026-01-02T00:00:00+00:00"},
        "seen": {"instant": "2026-01-02T03:00:00+00:00"},
        "tags": ["x", "y"], "score": None, "flag": True, "kind": "k",
    }  # fmt: skip


def test_impossible_values_are_left_for_the_check() -> None:
    table = pa.table({"shown": ["a", "b", "a"], "p": [None, 1.5, 0.0], "r": [None, 1.0, 0.0]})
    found = joined(PlainLog((table,), Columns("shown", "p", reward="r")).pieces())
    assert math.isnan(found["propensity"][0].as_py())
    assert found["propensity"].to_pylist()[1:] == [1.5, 0.0]
    assert math.isnan(found["reward"][0].as_py())


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("p", ["0.5", "high", "0.1"], r"table 0, row 1: p: expected a number, got 'high'"),
        ("shown", ["tea", None, "rye"], r"table 0, row 1: shown: expected a value, got None"),
        ("who", ["ann", "bob", None], r"table 0, row 2: who: expected a value, got None"),
        ("time", ["2026-03-01T12:00:00Z", "noon", "2026-03-01"],
         r"table 0, row 1: time: expected an instant"),
        ("time", [1, 2, 3], r"time: expected instants such as 2026-03-01T12:00:00Z, got numbers"),
        ("time", ["2026-03-01", "2026-03-01", None], r"row 2: time: expected an instant, got None"),
        ("ok1", ["yes", "no", "maybe"], r"row 2: ok1: expected true or false, got 'maybe'"),
    ],
)  # fmt: skip
def test_a_value_of_another_kind_is_named(name: str, values: list[Any], message: str) -> None:
    table = wide()
    changed = table.set_column(table.column_names.index(name), name, pa.array(values))
    with pytest.raises(LogError, match=message):
        log_of(changed, WIDE)


def test_lists_of_another_length_are_named() -> None:
    columns = Columns("shown", "p", reward="r", actions=("a", "b"), distribution="probs")
    table = pa.table({"shown": ["a"], "p": [1.0], "r": [0.0], "probs": [[1.0]]})
    with pytest.raises(
        LogError, match="row 0: probs: expected 2 values, one for each action, got 1"
    ):
        log_of(table, columns)
    text = pa.table({"shown": ["a"], "p": [1.0], "r": [0.0], "probs": ["0.5;0.5"]})
    with pytest.raises(
        LogError, match="row 0: probs: expected a list, written as JSON, got '0.5;0"
    ):
        log_of(text, columns)


def test_a_missing_column_is_named_with_the_nearest() -> None:
    with pytest.raises(LogError, match="expected a column 'pp', got none; did you mean 'p'"):
        log_of(wide(), Columns("shown", "pp", reward="paid"))


def test_millions_of_actions_are_refused_by_name() -> None:
    names = [f"message-{k}" for k in range(10_001)]
    table = pa.table({"shown": names, "p": [0.5] * len(names), "r": [0.0] * len(names)})
    with pytest.raises(LogError, match=r"at most 10,000 actions in a row, got 10,001; if rows"):
        log_of(table, Columns("shown", "p", reward="r"))


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="expected a file that ends in .csv, .tsv, .parquet"):
        log_of(tmp_path / "log.xlsx", WIDE)
    with pytest.raises(LogError, match="expected a table"):
        log_of(tmp_path / "gone.csv", WIDE)
    (tmp_path / "bad.parquet").write_text("no")
    with pytest.raises(LogError, match="expected a table"):
        log_of(tmp_path / "bad.parquet", WIDE)


YAML = """\
action: shown
propensity: p
outcome: paid
cost: cost
decision_id: id
at: time
customer: who
group: arm
distribution: {none: p0, tea: p1, rye: p2}
allowed: {tea: ok1, rye: ok2}
features: [age, plan]
"""


def columns_of(folder: Path, text: str) -> Columns:
    (folder / "columns.yaml").write_text(text)
    return read_columns(folder / "columns.yaml")


def test_yaml_says_the_same_as_python(tmp_path: Path) -> None:
    assert columns_of(tmp_path, YAML) == WIDE
    every = columns_of(tmp_path, "action: a\npropensity: p\nreward: r\nfeatures: '*'\n")
    assert every.features == ("*",)
    fixed = columns_of(tmp_path, "action: a\npropensity: p\nreward: r\nactions: [x, y]\n")
    assert fixed.fixed == ("x", "y")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("actoin: shown\n", r"columns.yaml:1:1: .*unknown key 'actoin'; did you mean 'action'"),
        (
            "action: a\npropensity: 3\n",
            r"columns.yaml:2:\d+: .*expected the name of a column, got 3",
        ),
        ("action: a\n", "expected 'propensity'"),
        ("action: a\npropensity: p\nfeatures: age\n", r"expected a list of columns, or '\*'"),
        ("action: a\npropensity: p\ndistribution: {a: 1}\n", "name of a column for each action"),
        ("action: a\npropensity: p\nfeatures: []\n", "expected a list of text"),
    ],
)
def test_bad_yaml_is_named_by_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        columns_of(tmp_path, text)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "expected the column of the `reward`"),
        ({"reward": "r", "outcome": "o", "cost": "c"}, "got all three"),
        ({"reward": "r", "distribution": "d"}, "needs `actions`"),
        ({"reward": "r", "allowed": {"a": "x"}}, "needs the ids"),
    ],
)
def test_a_mapping_that_cannot_work_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(LogError, match=message):
        Columns("a", "p", **given)


def test_an_outcomes_time_is_kept() -> None:
    columns = Columns("shown", "p", reward="r", at="t", outcome_at="u")
    table = pa.table({"shown": ["a"], "p": [1.0], "r": [1.0], "t": ["2026-01-01T00:00:00"],
                      "u": ["2026-01-02T00:00:00+01:00"]})  # fmt: skip
    (row,) = joined(PlainLog((table,), columns).pieces()).to_pylist()
    assert row["outcomes"][0]["at"] == row["closed_at"] == datetime(2026, 1, 1, 23, tzinfo=UTC)
    assert row["at"] == datetime(2026, 1, 1, tzinfo=UTC)


def read_csv_log(folder: Path, text: str | bytes, columns: Columns) -> LoggedDecisions:
    file = folder / "log.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return from_table(joined(PlainLog((file,), columns, key=KEY).pieces()))


SMALL = Columns("offer", "p", reward="margin")
AND_F = Columns("offer", "p", reward="margin", features=("f",))


@pytest.mark.parametrize(
    ("text", "columns", "message"),
    [
        ("offer,p,p,margin\na,1,1,1\n", SMALL, "log.csv: expected one column 'p', got several"),
        (b"offer,p,margin,f\xe9\na,1,1,1\n", SMALL, "log.csv: expected the columns' names in"),
        (b"offer,p,margin,f\na,1,1,caf\xe9\n", AND_F, "log.csv.*invalid UTF8"),
        ("offer,p,margin\na,1,1\nb,zero,1\n", SMALL, "row 1: p: expected a number, got 'zero'"),
        ("offer,p,margin\na,0_5,1\n", SMALL, "row 0: p: expected a number, got '0_5'"),
        ('offer,p,margin\n"",1,1\n', SMALL, "row 0: offer: expected a value"),
        ("offer,p,margin\n" + "a" * 2_000_000 + ",1,1\n", SMALL, "rows of at most 1,000,000 bytes"),
        ("offer,p,margin\na,1,1\n", Columns("offer", "p", reward="margin", kept="offer"),
         "row 0: offer: expected a number, got 'a'"),
    ],
)  # fmt: skip
def test_a_bad_csv_is_refused_by_name(
    tmp_path: Path, text: str | bytes, columns: Columns, message: str
) -> None:
    with pytest.raises(LogError, match=message):
        read_csv_log(tmp_path, text, columns)


def test_na_is_an_id_but_no_number(tmp_path: Path) -> None:
    log = read_csv_log(tmp_path, "offer,p,margin\nNA,0.5,1\nnull,0.5,0\n", SMALL)
    assert {"NA", "null"} == {log.actions[drawn] for drawn in log.action}


@pytest.mark.parametrize(("late", "kept"), [("0.5", [1.0, 0.5]), ("x", ["1", "x"])])
def test_a_feature_is_what_all_its_rows_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: str, kept: list[object]
) -> None:
    monkeypatch.setattr("experiments.logs.importers.text._BLOCK", 1_000)
    rows = "a,0.5,1,1,7\n" * 200 + f"b,0.5,1,{late},z\n"  # `rest` has no meaning and is not read
    log = read_csv_log(tmp_path, "offer,p,margin,f,rest\n" + rows, AND_F)
    assert [log.contexts[row]["features"]["f"] for row in (0, 200)] == kept


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"offer": [{"x": 1}]}, "table 1: offer: expected text|row 0: offer: expected text"),
        ({"offer": [b"\xff"]}, "row 0: offer: expected text in UTF-8"),
        ({"t": ["0001-01-01T00:00:00+14:00"]}, "t: expected an instant of the years 1 to 9999"),
        ({"t": pa.array([2**60], pa.timestamp("s"))}, "t: "),
        ({"d": [[{"x": 1}]]}, "d: expected lists of numbers"),
        ({"s": [[["a"]]]}, "s: expected lists of text"),
        ({"s": [["a", None]]}, "row 0: s: expected a list without gaps"),
    ],
)
def test_a_column_of_a_wrong_kind_is_refused(changes: dict[str, Any], message: str) -> None:
    table = pa.table({"offer": ["a"], "p": [1.0], "margin": [1.0]} | changes)
    names: dict[str, Any] = {"at": "t"} if "t" in changes else {}
    if "d" in changes:
        names = {"distribution": "d", "actions": "s"}
        table = table.append_column("s", pa.array([["a"]]))
    elif "s" in changes:
        names = {"actions": "s"}
    with pytest.raises(LogError, match=message):
        log_of(table, Columns("offer", "p", reward="margin", **names))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": ("margin",)}, "was not known before"),
        ({"outcome": "p"}, "expected one meaning"),
        ({"actions": ("a",), "distribution": {"a": "p1"}}, "leave out `actions`"),
        ({"actions": ("a",), "allowed": {"b": "ok"}}, "'b' is no action"),
    ],
)
def test_columns_that_contradict_each_other_are_refused(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(LogError, match=message):
        Columns("offer", "p", reward="margin", **changes)


def test_files_of_one_name_keep_their_rows_apart(tmp_path: Path) -> None:
    files = []
    for folder in ("may", "june"):
        (tmp_path / folder).mkdir()
        files.append(tmp_path / folder / "log.csv")
        files[-1].write_text("offer,p,margin\na,1,1\n")
    log = from_table(joined(PlainLog(files, SMALL, key=KEY).pieces()))
    assert log.decision_id.tolist() == ["log.csv-0", "log.csv (2)-0"]


def test_many_actions_are_read_a_few_rows_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("experiments.logs.importers.base._ITEMS", 100)
    table = pa.table({"offer": [f"a{i}" for i in range(50)], "p": [0.5] * 50, "margin": [1.0] * 50})
    pieces = list(PlainLog((table,), SMALL, key=KEY).pieces())
    assert [piece.table.num_rows for piece in pieces] == [2] * 25
