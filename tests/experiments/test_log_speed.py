"""The speed study's log is a true one, and both sides of its comparison answer the same."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pyarrow.parquet as pq
import pytest

from experiments.evaluate import evaluate
from experiments.logs import read_log
from experiments.studies.log_speed import by_row
from experiments.studies.log_speed.make import ACTIONS, write_log
from experiments.studies.log_speed.streamed import measured
from experiments.studies.log_speed.study import beside_reference
from experiments.targets import uniform_target


def test_the_log_is_true_and_the_same_every_time(tmp_path: Path) -> None:
    log = read_log(write_log(tmp_path / "a.parquet", 5_000, seed=4))
    assert log.distribution.shape == (5_000, len(ACTIONS))
    found = evaluate(log, uniform_target(log))
    assert found.verdict.supported
    assert found.diagnostics.audit.passed
    other = write_log(tmp_path / "b.parquet", 5_000, seed=4)
    assert pq.read_table(other).equals(pq.read_table(tmp_path / "a.parquet"))


def test_passes_and_memory_are_measured(tmp_path: Path) -> None:
    found = measured(write_log(tmp_path / "log.parquet", 1_000))
    assert found.rows == 1_000
    assert {"TakeSurvey", "TakeMoments", "TakeMeasure"} <= found.passes.keys()
    assert 0.0 < sum(found.passes.values()) <= found.cpu
    assert 50.0 < found.before <= found.peak


class Snips:
    """As vw-estimators' own."""

    def __init__(self) -> None:
        self.over = self.under = 0.0

    def add_example(self, p_log: float, r: float, p_pred: float) -> None:
        self.over += r * p_pred / p_log
        self.under += p_pred / p_log

    def get(self, alpha: float = 0.0) -> object:
        return [0.0, alpha] if alpha else self.over / self.under


def test_both_sides_answer_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = by_row.Rows.make(3_000)
    monkeypatch.setitem(sys.modules, "estimators", ModuleType("estimators"))
    for name in ("bandits", "bandits.snips", "bandits.gaussian"):
        module = ModuleType(f"estimators.{name}")
        module.Estimator = module.Interval = Snips  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, f"estimators.{name}", module)
    value, (low, high) = by_row.in_arrays(rows)
    assert by_row.one_by_one(rows)[0] == pytest.approx(value, rel=1e-12)
    assert low < value < high
    found = beside_reference(rows=500, rounds=1)
    assert not found.notes
    assert len(found.rows["arrays"]) == 2


def test_it_says_so_where_the_reference_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "estimators", None)
    found = beside_reference(rows=500, rounds=1)
    assert "vw-estimators is not installed" in found.notes[0]
    assert list(found.rows["vw-estimators, row by row"]) == [None, None]
