"""A true log is read as it is; every contradiction in a false one is named with its row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from agents.errors import LogError
from agents.log import SCHEMA
from experiments.logs import fingerprint, from_table, read_log, read_table

Row = dict[str, Any]
Change = Callable[[Row], None]

BAD = 17


def with_row(table: pa.Table, change: Change) -> pa.Table:
    """Change one row, so that row 17 is bad."""
    rows = table.to_pylist()
    change(rows[BAD])
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def scaled(factor: float) -> Change:
    def change(row: Row) -> None:
        row["distribution"] = [p * factor for p in row["distribution"]]
        row["propensity"] *= factor

    return change


def in_list(name: str, index: int, value: object) -> Change:
    def change(row: Row) -> None:
        row[name] = [*row[name][:index], value, *row[name][index + 1 :]]

    return change


def chance_for_what_is_barred(row: Row) -> None:
    row["mask"] = [
        "forged" if name == row["action"] else reason
        for name, reason in zip(row["actions"], row["mask"], strict=True)
    ]


def test_a_log_is_read_as_it_is(table: pa.Table) -> None:
    log = from_table(table, include_open=True)
    rows = table.to_pylist()
    assert len(log) == len(rows) == 300
    assert log.actions == tuple(rows[0]["actions"])
    assert log.actions[0] == "none"
    np.testing.assert_array_equal(log.distribution, [row["distribution"] for row in rows])
    np.testing.assert_array_equal(
        log.allowed, [[reason is None for reason in row["mask"]] for row in rows]
    )
    assert [log.actions[k] for k in log.action] == [row["action"] for row in rows]
    assert log.propensity.tolist() == [row["propensity"] for row in rows]
    assert log.reward.tolist() == [row["reward"] for row in rows]
    assert log.outcome_value.tolist() == [
        sum(event["value"] for event in row["outcomes"]) for row in rows
    ]
    assert log.at[5].item().replace(tzinfo=rows[5]["at"].tzinfo) == rows[5]["at"]
    assert log.customer.tolist() == [row["customer"] for row in rows]
    assert log.contexts[0].keys() == {
        "features", "contacts", "events", "usage", "placement", "channels", "suppressed",
    }  # fmt: skip
    assert log.outcomes.tolist() == [
        tuple(event["outcome"] for event in row["outcomes"]) for row in rows
    ]
    assert ("renewed",) in log.outcomes.tolist()


def test_open_decisions_are_left_out_and_counted(table: pa.Table) -> None:
    log = from_table(table)
    assert (len(log), log.open_rows) == (280, 20)


def test_a_folder_is_read_in_the_order_of_names(table: pa.Table, tmp_path: Path) -> None:
    pq.write_table(table.slice(0, 100), tmp_path / "a.parquet")
    pq.write_table(table.slice(100), tmp_path / "b.parquet")
    one, two = from_table(table), read_log(tmp_path)
    assert two.decision_id.tolist() == one.decision_id.tolist()
    assert read_table(tmp_path).num_rows == 300


def test_actions_of_several_revisions_are_united(table: pa.Table) -> None:
    def other(row: Row) -> None:
        row["actions"] = [*row["actions"], "new/offer@email"]
        row["distribution"] = [*row["distribution"], 0.0]
        row["mask"] = [*row["mask"], None]
        row["expected"] = [*row["expected"], None]

    log = from_table(with_row(table, other))
    assert log.actions[-1] == "new/offer@email"
    assert log.allowed[:, -1].tolist() == [row == BAD for row in range(280)]


def test_rows_and_groups_are_chosen(table: pa.Table) -> None:
    log = from_table(table)
    part = log.in_groups("random", "control")
    assert set(part.group.tolist()) == {"random", "control"}
    assert len(part) + len(log.in_groups("treatment")) == len(log)
    assert part.distribution.shape == (len(part), len(log.actions))
    with pytest.raises(ValueError, match=r"expected 280 booleans.*shape \(3,\)"):
        log.where(np.array([True, False, True]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: row.update(propensity=0.0),
         "row 17: propensity: expected a probability above 0, got 0.0"),
        (lambda row: row.update(propensity=float("nan")),
         "row 17: propensity: expected a probability above 0, got nan"),
        (lambda row: row.update(propensity=row["propensity"] * 0.99),
         "row 17: propensity: expected the distribution's value for the drawn action"),
        (scaled(0.9), "row 17: distribution: expected a sum of 1, got 0.9"),
        (in_list("distribution", 3, float("nan")),
         r"row 17: distribution\[.*\]: expected a probability, got nan"),
        (in_list("distribution", 3, None),
         r"row 17: distribution\[.*\]: expected a probability, got nan"),
        (in_list("distribution", 3, -0.1),
         r"row 17: distribution\[.*\]: expected a probability, got -0.1"),
        (chance_for_what_is_barred, r"row 17: distribution\[.*\]: expected 0 for a barred action"),
        (lambda row: row.update(distribution=row["distribution"][:-1]),
         "row 17: distribution: expected as many items as there are actions, got 24"),
        (lambda row: row.update(mask=[*row["mask"], None]),
         "row 17: mask: expected as many items as there are actions, got 26"),
        (in_list("actions", 2, "none"), "row 17: actions: expected each action once, got 'none'"),
        (lambda row: row.update(action="fax"),
         "row 17: action: expected one of the row's actions, got 'fax'"),
        (lambda row: row.update(actions=[], distribution=[], mask=[]),
         "row 17: actions: expected at least one item, got 0"),
        (lambda row: row.update(decision_id="d3"),
         "row 17: decision_id: expected an id that no earlier row has, got 'd3'"),
        (lambda row: row.update(reward=float("inf")),
         "row 17: reward: expected a finite amount, got inf"),
        (lambda row: row.update(group="holdout"),
         "row 17: group: expected one of treatment, random, control, got 'holdout'"),
        (lambda row: row.update(context="{"), r"row 17: context: expected JSON \("),
        (lambda row: row.update(context='{"features": 3}'),
         "row 17: context: expected a JSON object of channels, contacts, events, features,"
         " placement, suppressed, usage"),
        (lambda row: row.update(customer=None),
         "row 17: customer: expected a value, got null"),
        (lambda row: row.update(
            outcomes=[{"outcome": "renewed", "value": float("nan"), "at": row["at"]}]),
         "row 17: outcomes: expected finite values, got nan"),
    ],
)  # fmt: skip
def test_a_bad_row_is_named(table: pa.Table, change: Change, message: str) -> None:
    with pytest.raises(LogError, match=f"log, {message}"):
        from_table(with_row(table, change))


def test_the_file_of_a_bad_row_is_named(table: pa.Table, tmp_path: Path) -> None:
    bad = with_row(table, lambda row: row.update(propensity=2.0))
    pq.write_table(bad.slice(0, 10), tmp_path / "a.parquet")
    pq.write_table(bad.slice(10), tmp_path / "b.parquet")
    with pytest.raises(LogError, match=r"^b.parquet, row 7: propensity"):
        read_log(tmp_path)


def test_a_missing_column_is_named(table: pa.Table) -> None:
    renamed = table.rename_columns(
        ["propensities" if name == "propensity" else name for name in table.column_names]
    )
    with pytest.raises(LogError, match=r"expected a column 'propensity', got none; did you mean"):
        from_table(renamed)


def test_a_column_of_another_type_is_named(table: pa.Table) -> None:
    index = table.column_names.index("reward")
    bad = table.set_column(index, "reward", pa.array(["much"] * table.num_rows))
    with pytest.raises(LogError, match="reward: expected double, got string"):
        from_table(bad)


def test_several_agents_must_be_told_apart(table: pa.Table) -> None:
    mixed = with_row(table, lambda row: row.update(agent="welcome"))
    with pytest.raises(LogError, match="one agent, got retention, welcome; say which"):
        from_table(mixed)
    assert len(from_table(mixed, agent="retention", include_open=True)) == 299
    with pytest.raises(LogError, match="no agent 'retenton'; did you mean 'retention'"):
        from_table(mixed, agent="retenton")


def test_what_is_no_log_is_refused(table: pa.Table, tmp_path: Path) -> None:
    with pytest.raises(LogError, match="no such file"):
        read_log(tmp_path / "none")
    with pytest.raises(LogError, match="at least one"):
        read_log(tmp_path)
    (tmp_path / "x.parquet").write_text("no parquet")
    with pytest.raises(LogError, match=r"x.parquet: expected a Parquet file"):
        read_log(tmp_path)
    with pytest.raises(LogError, match="an empty log"):
        from_table(table.slice(0, 0))


def test_the_fingerprint_follows_the_content(table: pa.Table, tmp_path: Path) -> None:
    pq.write_table(table, tmp_path / "a.parquet")
    first = fingerprint(tmp_path)
    assert first == fingerprint(tmp_path / "a.parquet") == fingerprint(tmp_path)
    pq.write_table(table.slice(1), tmp_path / "a.parquet")
    assert fingerprint(tmp_path) != first
