"""Logs of very many actions are valued by place in each row's list, with the same numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from agents.errors import LogError
from agents.log import SCHEMA
from experiments.evaluate import evaluate
from experiments.logs import LoggedDecisions, layout, places, read_log
from experiments.streaming import evaluate_stream
from experiments.streaming.hashes import buckets
from experiments.studies.log_speed.make import write_log
from experiments.targets import logged_target, none_target, uniform_target
from experiments.targets.rules import parse_rule, rule_target

ROWS, KINDS = 2_000, 100
PLAIN = ("ips", "snips", "sgips=0.5")
LISTS = ("actions", "mask", "distribution", "expected")
Row = dict[str, Any]


def many(rows: list[Row]) -> list[Row]:
    """Give each row one of a hundred sets of actions; some rows do not list what is barred."""
    for number, row in enumerate(rows):
        kind = f"x{number % KINDS}-"
        row["actions"] = [each if each == "none" else kind + each for each in row["actions"]]
        row["action"] = row["action"] if row["action"] == "none" else kind + row["action"]
        if number % 3:
            free = [place for place, why in enumerate(row["mask"]) if why is None]
            row |= {name: [row[name][place] for place in free] for name in LISTS}
    return rows


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    path = write_log(tmp_path_factory.mktemp("made") / "log.parquet", ROWS, seed=4)
    return many(pq.read_table(path).to_pylist())


def written(rows: list[Row], path: Path) -> Path:
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), path, row_group_size=700)
    return path


@pytest.fixture(scope="module")
def wide(rows: list[Row], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(rows, tmp_path_factory.mktemp("wide") / "log.parquet")


@pytest.fixture(scope="module")
def log(wide: Path) -> LoggedDecisions:
    """The same log in memory, a column for each action."""
    log = read_log(wide)
    return replace(log, customer=buckets(log.customer).astype(str).astype(object))


@pytest.mark.parametrize("target", [uniform_target, logged_target, none_target])
def test_values_are_those_of_a_column_for_each_action(
    wide: Path, log: LoggedDecisions, target: Callable[[LoggedDecisions], Any]
) -> None:
    assert len(log.actions) == 1 + 24 * KINDS > layout.WIDE
    whole = evaluate(log, target(log), estimators=PLAIN)
    streamed = evaluate_stream(wide, {"it": target}, estimators=PLAIN, rows=900).evaluations[0]
    for one, two in zip(streamed.estimates, whole.estimates, strict=True):
        for name in ("value", "stderr", "low", "high", "ess", "effective_conversions"):
            assert getattr(one, name) == pytest.approx(getattr(two, name), rel=1e-9), name
    own, other = streamed.diagnostics, whole.diagnostics
    for name in ("max_weight", "possible_weight", "top_share", "unsupported"):
        assert getattr(own, name) == pytest.approx(getattr(other, name), rel=1e-9), name
    for test, same in zip(own.mean_weights, other.mean_weights, strict=True):
        assert test.value == pytest.approx(same.value, rel=1e-9)
        assert test.p == pytest.approx(same.p, rel=1e-6)
    assert own.drift is not None
    assert other.drift is not None
    assert own.drift.p == pytest.approx(other.drift.p, rel=1e-6)


def test_with_as_many_classes_as_actions_all_diagnostics_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_log(tmp_path / "log.parquet", ROWS)
    ask: dict[str, Any] = {"estimators": PLAIN, "rows": 600}
    plain = evaluate_stream(path, {"u": uniform_target}, **ask).evaluations[0]
    monkeypatch.setattr(places, "WIDE", 3)
    placed = evaluate_stream(path, {"u": uniform_target}, **ask).evaluations[0]
    audit, other = placed.diagnostics.audit, plain.diagnostics.audit
    assert audit.df == other.df > 0
    assert audit.p_draws == pytest.approx(other.p_draws, rel=1e-6)
    shift, same = placed.diagnostics.shift, plain.diagnostics.shift
    assert shift is not None
    assert same is not None
    assert shift.allocation == pytest.approx(same.allocation, rel=1e-9)
    assert shift.features == same.features
    assert placed.warnings == plain.warnings


def test_doubly_robust_values_agree_with_what_happened(wide: Path, log: LoggedDecisions) -> None:
    found = evaluate_stream(
        wide, {"logged": logged_target}, estimators=("snips", "dr"), forced=True
    )
    snips, dr = found.evaluations[0].estimates
    assert snips.value == pytest.approx(float(log.reward.mean()), rel=1e-9)
    assert abs(dr.value - snips.value) < snips.stderr
    assert dr.value != snips.value


def test_a_log_that_was_not_drawn_as_it_says_fails_the_audit(
    rows: list[Row], tmp_path: Path
) -> None:
    rng = np.random.default_rng(5)
    changed = []
    for row in rows:
        free = [place for place, p in enumerate(row["distribution"]) if p > 0.0]
        place = int(rng.choice(free))  # uniform, whatever was logged
        own = {"action": row["actions"][place], "propensity": row["distribution"][place]}
        changed.append({**row, **own})
    path = written(changed, tmp_path / "log.parquet")
    found = evaluate_stream(path, {"u": uniform_target}, estimators=("snips",), forced=True)
    assert not found.evaluations[0].diagnostics.audit.passed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: row["actions"].__setitem__(2, row["actions"][1]), "each action once"),
        (lambda row: row.update(action="x99-other"), "one of the row's actions"),
        (lambda row: row.update(propensity=0.9), "the distribution's value"),
        (lambda row: row["distribution"].__setitem__(1, -0.5), r"distribution\[x1-.*\]"),
    ],
)
def test_a_bad_row_is_named(
    rows: list[Row], tmp_path: Path, change: Callable[[Row], None], message: str
) -> None:
    broken = [{**row, **{name: list(row[name]) for name in LISTS}} for row in rows]
    change(broken[901])
    path = written(broken, tmp_path / "log.parquet")
    with pytest.raises(LogError, match=rf"row 901: .*{message}"):
        evaluate_stream(path, {"u": uniform_target}, estimators=("snips",))


def test_rules_and_attributes_are_those_of_a_column_for_each_action(wide: Path) -> None:
    rule, estimators = partial(rule_target, rules=parse_rule("none")), ("snips", "mips")
    streamed = evaluate_stream(wide, {"none": rule}, estimators=estimators).evaluations[0]
    log = read_log(wide)
    assert log.listed is None
    whole = evaluate(log, rule(log), estimators=estimators)
    for one, other in zip(streamed.estimates, whole.estimates, strict=True):
        assert one.value == pytest.approx(other.value, rel=1e-9)
        assert one.stderr == pytest.approx(other.stderr, rel=1e-3)  # customers in buckets


def test_what_no_memory_would_hold_is_refused_with_the_way_out(
    wide: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "_MOST_CELLS", 1_000_000)
    with pytest.raises(LogError, match=r"at most 416 rows with 2,401 .*--stream"):
        read_log(wide)
