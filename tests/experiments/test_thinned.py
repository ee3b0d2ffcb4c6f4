"""A thinned log tells what the whole one tells, because each row says how many it stands for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from agents.errors import LogError
from experiments.diagnostics import diagnose
from experiments.evaluate import evaluate
from experiments.intervals import INTERVALS
from experiments.logs import LoggedDecisions, read_log
from experiments.streaming import evaluate_stream
from experiments.targets import uniform_target
from experiments.targets.taught import Lessons

MakeLog = Callable[..., LoggedDecisions]


def thinned(log: LoggedDecisions, seed: int) -> LoggedDecisions:
    """Keep all conversions and a fifth of the rest, as services do that pay by the row."""
    kept = np.where(log.outcome_value > 0.0, 1.0, 0.2)  # (N,)
    left = np.random.default_rng(seed).random(len(log)) < kept
    return replace(log, stands=1.0 / kept).where(left)


@pytest.mark.parametrize("name", ["ips", "snips", "dr", "sndr", "switch=20"])
def test_the_truth_is_within_four_standard_errors(
    market: Any, make_log: MakeLog, name: str
) -> None:
    whole = make_log(20_000, 31)
    log = thinned(whole, 1)
    assert len(log) < 0.35 * len(whole)
    found = evaluate(log, uniform_target(log), estimators=(name,)).by(name)
    truth = market.truth(whole, uniform_target(whole))
    assert abs(found.value - truth) <= 4.0 * found.stderr
    assert found.stderr < 0.6  # EUR; or the test would pass with anything
    careless = replace(log, stands=None)
    wrong = evaluate(careless, uniform_target(log), estimators=(name,)).by(name)
    assert abs(wrong.value - truth) > 4.0 * wrong.stderr  # as if nothing were missing


def test_the_model_learns_from_what_is_left_as_from_all(make_log: MakeLog) -> None:
    """What the model alone says differs by less than 0.6 EUR, and by some EUR if nobody weighs."""
    whole = make_log(20_000, 31)
    log = thinned(whole, 1)
    values = [
        evaluate(rows, uniform_target(rows), estimators=("dm",)).by("dm").value
        for rows in (whole, log, replace(log, stands=None))
    ]
    assert abs(values[1] - values[0]) < 0.6
    assert abs(values[2] - values[0]) > 4.0


def test_its_error_is_that_of_repeated_thinning(make_log: MakeLog) -> None:
    """Over 60 logs of 2,000 the spread of the estimate is its error, within 4 standard errors."""
    rows = []
    for seed in range(60):
        log = thinned(make_log(2_000, 100 + seed), seed)
        found = evaluate(log, uniform_target(log), estimators=("snips",)).by("snips")
        rows.append((found.value, found.stderr))
    values, errors = np.array(rows).T
    spread = values.std(ddof=1)
    assert abs(spread - errors.mean()) <= 4.0 * spread / np.sqrt(2 * 59)


def test_what_was_drawn_cannot_be_audited_any_more(make_log: MakeLog) -> None:
    log = thinned(make_log(5_000, 32), 2)
    found = evaluate(log, uniform_target(log))
    assert found.diagnostics.audit.thinned
    assert found.diagnostics.mean_weights == ()
    assert any("dropped from the log" in warning for warning in found.warnings)
    even = make_log(5_000, 32)
    even = replace(even, stands=np.full(len(even), 4.0))
    assert not evaluate(even, uniform_target(even)).diagnostics.audit.thinned


def test_files_say_it_and_a_stream_tells_the_same(folder: Path) -> None:
    file = folder / "decisions.parquet"
    table = pq.read_table(file)
    kept = np.where(np.array(table["reward"]) > 0.0, 1.0, 0.25)
    place = table.column_names.index("kept")
    pq.write_table(table.set_column(place, "kept", pa.array(kept)), file)
    log = read_log(file)
    assert log.stands is not None
    assert set(log.stands.tolist()) == {1.0, 4.0}
    rows = log.in_groups("treatment", "random")
    one = evaluate(rows, uniform_target(rows))
    (two,) = evaluate_stream(file, {"target": uniform_target}).evaluations
    for name in ("snips", "dr"):
        assert two.by(name).value == pytest.approx(one.by(name).value, rel=1e-9)
    assert two.diagnostics.ess == pytest.approx(one.diagnostics.ess, rel=1e-9)
    with pytest.raises(LogError, match="expected a log of all decisions, got one that was thinned"):
        log.unthinned("gate")


def test_a_share_that_is_none_is_refused(folder: Path) -> None:
    file = folder / "decisions.parquet"
    table = pq.read_table(file)
    place = table.column_names.index("kept")
    bad = pa.array([1.0] * 7 + [0.0] + [1.0] * (table.num_rows - 8))
    pq.write_table(table.set_column(place, "kept", bad), file)
    with pytest.raises(LogError, match=r"row 7: kept: expected a probability above 0, at most 1"):
        read_log(file)


@pytest.mark.parametrize("name", ["bernstein", "betting"])
def test_a_bound_for_means_refuses_a_thinned_log(make_log: MakeLog, name: str) -> None:
    log = thinned(make_log(2_000, 33), 3)
    with pytest.raises(LogError, match=f"the interval '{name}' expects a log of all decisions"):
        evaluate(log, uniform_target(log), interval=INTERVALS[name])


@pytest.mark.parametrize("name", ["envelope", "normal", "wilson", "bootstrap", "likelihood"])
def test_every_other_interval_is_about_the_whole_log(make_log: MakeLog, name: str) -> None:
    """Not of what is left, whose decisions earn 1 / 0.25 times as much."""
    whole = make_log(20_000, 31)
    log = thinned(whole, 1)
    one, two = (
        evaluate(rows, uniform_target(rows), estimators=("snips",), interval=INTERVALS[name])
        for rows in (whole, log)
    )
    apart = [one.by("snips"), two.by("snips")]
    assert apart[1].low < apart[0].value < apart[1].high
    widths = [row.high - row.low for row in apart]
    assert 0.8 * widths[0] < widths[1] < 2.5 * widths[0]  # Wilson's part is cautious here


def test_learners_are_not_taught_by_what_is_left(make_log: MakeLog) -> None:
    log = thinned(make_log(500, 34), 4)
    with pytest.raises(LogError, match="a policy that learns: expected a log of all decisions"):
        Lessons.of(log, log)


def test_support_is_that_of_the_whole_log(make_log: MakeLog) -> None:
    whole = make_log(20_000, 35)
    log, careless = thinned(whole, 5), thinned(whole, 5)
    careless = replace(careless, stands=None)
    shares = [diagnose(rows, none_or_sms(rows)).unsupported for rows in (whole, log, careless)]
    assert shares[0] == pytest.approx(shares[1], abs=0.015)


def none_or_sms(log: LoggedDecisions) -> Any:
    """All probability on one action, allowed or not."""
    target = np.zeros_like(log.distribution)
    target[:, 4] = 1.0
    return target
