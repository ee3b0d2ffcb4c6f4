"""A streamed log gives the numbers of the same log in memory, however it is cut into pieces."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from agents.errors import LogError, UnknownNameError
from agents.log import SCHEMA
from experiments.estimators import ESTIMATORS
from experiments.evaluate import Evaluation, evaluate
from experiments.intervals import Bounds
from experiments.logs import LoggedDecisions, read_log
from experiments.reward_models.designs import time_folds
from experiments.streaming import evaluate_stream, in_turn
from experiments.streaming.counted import Counted
from experiments.streaming.hashes import BUCKETS, buckets, hashes
from experiments.streaming.reading import Reader, row_numbers
from experiments.streaming.source import batches, pieces_of
from experiments.streaming.times import bins, find_cuts, when
from experiments.studies.log_speed.make import write_log
from experiments.targets import none_target, uniform_target

ROWS = 4_000
GROUPS = ("treatment", "random")
SUMMED = sorted({*ESTIMATORS} - {"bips", "mrdr", "replay"})
Row = dict[str, Any]


def changed(rows: list[Row]) -> list[Row]:
    """Make a plain log as odd as logs may be."""
    rng = np.random.default_rng(3)
    for number, row in enumerate(rows):
        row["group"] = str(rng.choice(["treatment", "random", "control"], p=[0.6, 0.3, 0.1]))
        row["agent"] = "other" if number % 50 == 7 else "large"
        row["closed_at"] = None if number % 40 == 3 else row["closed_at"]
        row["given_back"] = 5 if number % 60 == 11 else None
        row["at"] = row["at"].replace(minute=0, second=0)  # many of an instant
        context = orjson.loads(row["context"])
        if number % 3 == 0:
            del context["features"]["bill"]
        context["features"]["code"] = number if number < 3_000 else f"x{number % 3}"
        context["features"]["likes"] = ["a", "b", "a"][: number % 4]
        context["features"]["since"] = {"instant": f"2025-0{1 + number % 9}-01T00:00:00+00:00"}
        row["context"] = orjson.dumps(context).decode()
    return rows


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of two files in pieces of 700 rows, of several groups, agents and kinds of values."""
    folder = tmp_path_factory.mktemp("odd")
    rows = pq.read_table(write_log(folder / "whole.parquet", ROWS, seed=2)).to_pylist()
    (folder / "whole.parquet").unlink()
    table = pa.Table.from_pylist(changed(rows), schema=SCHEMA)
    pq.write_table(table.slice(0, 1_500), folder / "a.parquet", row_group_size=700)
    pq.write_table(table.slice(1_500), folder / "b.parquet", row_group_size=700)
    return folder


@pytest.fixture(scope="module")
def log(odd: Path) -> LoggedDecisions:
    """The same log in memory, a customer's bucket in place of the customer."""
    log = read_log(odd, agent="large").in_groups(*GROUPS)
    return replace(log, customer=buckets(log.customer).astype(str).astype(object))


def close(streamed: Evaluation, whole: Evaluation) -> None:
    """Compare all numbers of two evaluations."""
    for one, two in zip(streamed.estimates, whole.estimates, strict=True):
        assert one.estimator == two.estimator
        figures = ("value", "stderr", "low", "high", "ess", "effective_conversions", "n")
        for name in figures:
            assert getattr(one, name) == pytest.approx(getattr(two, name), rel=1e-9, abs=1e-9)
    assert numbers(streamed.diagnostics) == pytest.approx(
        numbers(whole.diagnostics), rel=1e-6, abs=1e-9
    )
    assert streamed.warnings == whole.warnings


def numbers(data: object) -> list[float]:
    """List all numbers in nested dataclasses and tuples."""
    if isinstance(data, (bool, int, float)):
        return [float(data)]
    if isinstance(data, tuple):
        return [number for each in data for number in numbers(each)]
    names = getattr(data, "__dataclass_fields__", ())
    return [number for name in names for number in numbers(getattr(data, name))]


def test_all_estimators_and_diagnostics_agree_with_the_log_in_memory(
    odd: Path, log: LoggedDecisions
) -> None:
    whole = evaluate(log, uniform_target(log), name="uniform", estimators=SUMMED)
    streamed = evaluate_stream(
        odd, {"uniform": uniform_target, "none": none_target}, agent="large", estimators=SUMMED,
    )  # fmt: skip
    assert len(numbers(whole.diagnostics)) > 20
    close(streamed.evaluations[0], whole)
    close(streamed.evaluations[1], evaluate(log, none_target(log), estimators=SUMMED))
    assert streamed.rows == len(log)
    everything = read_log(odd, agent="large")
    assert streamed.open_rows == everything.open_rows > 0
    assert streamed.given_back_rows == everything.given_back_rows > 0


def test_a_real_log_agrees_too(folder: Path) -> None:
    log = read_log(folder).in_groups(*GROUPS)
    log = replace(log, customer=buckets(log.customer).astype(str).astype(object))
    whole = evaluate(log, uniform_target(log), name="uniform", reward_range=Bounds(-30.0, 90.0))
    streamed = evaluate_stream(
        folder, {"uniform": uniform_target}, reward_range=Bounds(-30.0, 90.0), rows=50
    )
    close(streamed.evaluations[0], whole)


@pytest.mark.parametrize("rows", [97, 100_000])
def test_the_size_of_batches_does_not_matter(odd: Path, rows: int) -> None:
    ask: dict[str, Any] = {"agent": "large", "estimators": ("snips", "dr", "switch")}
    one = evaluate_stream(odd, {"u": uniform_target}, **ask, exclude=["a"])
    other = evaluate_stream(odd, {"u": uniform_target}, **ask, exclude=["a"], rows=rows)
    close(other.evaluations[0], one.evaluations[0])


def test_parsed_features_are_the_same_from_the_shelf(odd: Path) -> None:
    ask: dict[str, Any] = {"agent": "large", "run": in_turn}
    kept = evaluate_stream(odd, {"u": uniform_target}, **ask)
    assert evaluate_stream(odd, {"u": uniform_target}, **ask, local=False) == kept


def test_no_piece_leaves_anything_behind(odd: Path) -> None:
    """Megabytes of metadata a piece would wait for a collection; those of one file are kept."""
    gc.collect()
    gc.disable()
    try:
        for piece in pieces_of(odd):
            assert sum(len(each.table) for each in batches(piece, 100, ("agent",)))
        left = [each for each in gc.get_objects() if isinstance(each, pq.FileMetaData)]
    finally:
        gc.enable()
    assert len(left) <= 1 < len(pieces_of(odd))


def test_batches_without_a_row_of_the_agent_do_no_harm(tmp_path: Path) -> None:
    path = write_log(tmp_path / "log.parquet", 3_000)
    table = pq.read_table(path)
    place = table.schema.get_field_index("agent")
    names = ["large" if number % 1_000 < 500 else "other" for number in range(3_000)]
    both = table.set_column(place, table.schema.field(place), pa.array(names))
    pq.write_table(both, tmp_path / "both.parquet")
    pq.write_table(
        both.filter(pa.array([name == "large" for name in names])), tmp_path / "one.parquet"
    )
    whole, part = (
        evaluate_stream(tmp_path / name, {"u": uniform_target}, agent="large", rows=250)
        for name in ("one.parquet", "both.parquet")
    )
    close(part.evaluations[0], whole.evaluations[0])


def test_customers_stay_together_and_errors_are_right(tmp_path: Path) -> None:
    path = write_log(tmp_path / "log.parquet", 20_000)
    exact = read_log(path)
    whole = evaluate(exact, uniform_target(exact))
    (streamed,) = evaluate_stream(path, {"u": uniform_target}).evaluations
    for one, two in zip(streamed.estimates, whole.estimates, strict=True):
        assert one.value == pytest.approx(two.value, abs=1e-9)
        assert one.stderr == pytest.approx(two.stderr, rel=0.05)  # 5,000 customers in buckets


def test_blocks_of_time_are_those_of_the_log_in_memory(odd: Path, log: LoggedDecisions) -> None:
    pieces = pieces_of(odd)
    assert len(pieces) == 7
    reader = Reader("large", GROUPS, 300)
    batches = [batch for piece in pieces for batch in reader.batches(piece)]
    cuts = find_cuts(bins(log.at), reader, pieces, in_turn, 5)
    found = [cuts.blocks(*when(batch, reader.kept(batch))) for batch in batches]
    np.testing.assert_array_equal(np.concatenate(found), time_folds(log, 5))
    assert len(np.unique(log.at)) < len(log) / 100
    assert cuts.middle == np.sort(log.at)[len(log) // 2]
    rows = np.concatenate([row_numbers(batch) for batch in batches])
    assert np.all(np.diff(rows) > 0)


def test_counts_are_added() -> None:
    total = Counted.of(np.array([3, 1, 3])) + Counted.of(np.array([2, 3]))
    assert (total.values.tolist(), total.counts.tolist()) == ([1, 2, 3], [1, 1, 3])
    assert [total.at(rank) for rank in range(5)] == [(1, 0), (2, 1), (3, 2), (3, 2), (3, 2)]


def rewritten(source: Path, target: Path, row: int, change: Callable[[Row], None]) -> Path:
    rows = pq.read_table(source).to_pylist()
    change(rows[row])
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    pq.write_table(table, target, row_group_size=1_000)
    return target


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: row.update(propensity=0.0), "propensity: expected a probability above 0"),
        (lambda row: row.update(action="fax"), "action: expected one of the row's actions"),
        (lambda row: row.update(reward=float("nan")), "reward: expected a finite amount"),
        (lambda row: row.update(context="{}"), "context: expected a JSON object of channels"),
        (lambda row: row.update(decision_id=f"{5:032x}"),
         "decision_id: expected an id that no earlier row has, got '0+5'"),
        (lambda row: row.update(group="friends"), "group: expected one of treatment"),
    ],
)  # fmt: skip
def test_a_bad_row_is_named(tmp_path: Path, change: Callable[[Row], None], message: str) -> None:
    good = write_log(tmp_path / "good.parquet", 3_000)
    bad = rewritten(good, tmp_path / "bad.parquet", 2_345, change)
    with pytest.raises(LogError, match=rf"bad\.parquet, row 2345: {message}"):
        evaluate_stream(bad, {"u": uniform_target}, rows=400)


def test_what_cannot_be_streamed_is_refused(odd: Path, tmp_path: Path) -> None:
    def ask(path: Path = odd, **settings: Any) -> None:
        evaluate_stream(path, {"u": uniform_target}, **{"agent": "large", **settings})

    with pytest.raises(LogError, match="mrdr: .* evaluated in memory"):
        ask(estimators=["snips", "mrdr"])
    with pytest.raises(LogError, match="bips: .* evaluated in memory"):
        ask(estimators=["bips"])
    with pytest.raises(UnknownNameError, match="no estimator"):
        ask(estimators=["magic"])
    with pytest.raises(LogError, match="decisions of one agent, got large, other"):
        ask(agent=None)
    with pytest.raises(LogError, match="expected closed decisions of friends, got none"):
        ask(groups=["friends"])
    pq.write_table(SCHEMA.empty_table(), tmp_path / "empty.parquet")
    with pytest.raises(LogError, match="empty log"):
        ask(tmp_path / "empty.parquet")
    (tmp_path / "text.parquet").write_text("text")
    with pytest.raises(LogError, match=r"text\.parquet: expected a Parquet file"):
        ask(tmp_path / "text.parquet")


def test_a_target_that_is_no_distribution_is_refused(odd: Path) -> None:
    with pytest.raises(ValueError, match="probabilities that sum to 1"):
        evaluate_stream(odd, {"u": lambda log: log.distribution * 2.0}, agent="large")


def test_hashes_tell_texts_apart() -> None:
    texts = pa.array([f"{number}" for number in range(50_000)] + ["", "a\0", "a", "ä" * 40])
    found = hashes(texts)
    assert len(np.unique(found)) == len(texts)
    np.testing.assert_array_equal(hashes(texts.slice(49_990)), found[49_990:])
    spread = np.bincount(buckets(np.array(texts.to_pylist(), dtype=object)), minlength=BUCKETS)
    assert spread.max() < 20  # about 3 in each
