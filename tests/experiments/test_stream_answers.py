"""A streamed log tells the differences, segments, parts and intervals of the log in memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
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
from agents.revision import Revision
from experiments.asking import Answer, Asker
from experiments.intervals import INTERVALS
from experiments.lift import expected_holdout, lift
from experiments.lift.metrics import compare_metrics, watched_outcomes
from experiments.logs import LoggedDecisions, read_log
from experiments.streaming import Also, Streamed, evaluate_stream, groups_stream, in_turn
from experiments.streaming.counted import Ints
from experiments.streaming.hashes import buckets
from experiments.streaming.ranks import INSTANTS, NUMBERS, at_ranks, keys_of, number_of
from experiments.streaming.source import Piece
from experiments.studies.log_speed.make import write_log
from experiments.targets import none_target, uniform_target
from experiments.targets.asked import Target

ROWS = 3_000
GROUPS = ("treatment", "random")
TARGETS = {"uniform": uniform_target, "none": none_target}
BY = ("plan", "bill", "zone", "app_user", "tenure")
ESTIMATORS = ("snips", "dr", "switch=20")
SHARED = 4_096  # buckets of segments and parts


def alone(count: int) -> list[str]:
    """Return customers of whom no two share a bucket, not even that of segments."""
    names = np.array([f"{number:032x}" for number in range(3 * count)], dtype=np.object_)
    _, first = np.unique(buckets(names) % SHARED, return_index=True)
    return [str(name) for name in names[np.sort(first)[:count]]]


def written(path: Path, *, thinned: bool) -> Path:
    """Write a log whose fields have gaps, few and many values, and few customers."""
    rows = pq.read_table(write_log(path, ROWS, seed=4)).to_pylist()
    rng, customers = np.random.default_rng(5), alone(400)
    for number, row in enumerate(rows):
        row["group"] = str(rng.choice(["treatment", "random", "control"], p=[0.6, 0.3, 0.1]))
        row["customer"] = customers[rng.integers(0, len(customers))]
        row["at"] = row["at"].replace(second=0)
        row["kept"] = float(rng.choice([0.5, 1.0])) if thinned else None
        context = orjson.loads(row["context"])
        features = context["features"]
        features["app_user"] = features["app_user"] in (True, "true")
        features["tenure"] = [1, 2.0, None, 3][number % 4]
        if number % 3 == 0:
            del features["bill"]
        if number > ROWS // 2:
            features["zone"] = "late" if number % 2 else None
        row["context"] = orjson.dumps(context).decode()
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), path, row_group_size=700)
    return path


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("answers") / "log.parquet", thinned=False)


@pytest.fixture(scope="module")
def log(path: Path) -> LoggedDecisions:
    return in_buckets(read_log(path).in_groups(*GROUPS))


def in_buckets(log: LoggedDecisions) -> LoggedDecisions:
    """Put buckets in place of customers, so that they come in the same order."""
    names = [f"{number:05}" for number in buckets(log.customer).tolist()]
    return replace(log, customer=np.array(names, dtype=np.object_))


def whole(log: LoggedDecisions, by: Sequence[str] = (), **settings: Any) -> Answer:
    asker = Asker(log, log, {}, ESTIMATORS, 0.95, None, **settings)
    return asker.ask([Target(name, each) for name, each in TARGETS.items()], by, parts=True)


def numbers(data: object) -> list[float]:
    """List all numbers in nested dataclasses and tuples."""
    if isinstance(data, (bool, int, float)):
        return [float(data)]
    if isinstance(data, tuple):
        return [number for each in data for number in numbers(each)]
    names = getattr(data, "__dataclass_fields__", ())
    return [number for name in names for number in numbers(getattr(data, name))]


def words(data: object) -> list[str]:
    """List all texts in nested dataclasses and tuples."""
    if isinstance(data, str):
        return [data]
    if isinstance(data, tuple):
        return [word for each in data for word in words(each)]
    names = getattr(data, "__dataclass_fields__", ())
    return [word for name in names for word in words(getattr(data, name))]


def same(one: object, other: object, rel: float = 1e-9) -> None:
    assert words(one) == words(other)
    assert numbers(one) == pytest.approx(numbers(other), rel=rel, abs=1e-9, nan_ok=True)


def test_everything_that_may_be_asked_is_as_in_memory(path: Path, log: LoggedDecisions) -> None:
    found = evaluate_stream(
        path, TARGETS, estimators=ESTIMATORS, also=Also(True, BY, True), forced=True, rows=450
    )
    expected = whole(log, BY, forced=True)
    same(found.evaluations, expected.evaluations)
    same(found.differences, expected.differences)
    same(found.parts, expected.parts)
    for one, other in zip(found.segments, expected.segments, strict=True):
        same(one, other, 1e-7)
    assert len(found.differences) == 6
    assert len(found.parts) == 2 * (7 + 3)
    assert [len(each.segments) for each in found.segments] == [3, 5, 14, 2, 4]
    names = [segment.name for segment in found.segments[4].segments]
    assert names == ["1", "2", "3", "unknown"]


def test_only_what_is_supported_is_told(path: Path, log: LoggedDecisions) -> None:
    found = evaluate_stream(path, TARGETS, estimators=ESTIMATORS, also=Also(True, BY[:1], True))
    expected = whole(log, BY[:1])
    told = [each.verdict.supported for each in expected.evaluations]
    assert told == [each.verdict.supported for each in found.evaluations]
    for one, other in zip(found.differences, expected.differences, strict=True):
        assert (one.shown, one.supported) == (other.shown, other.supported)
    same(found.segments, expected.segments, 1e-7)


def test_a_thinned_log_is_told_alike(tmp_path: Path) -> None:
    file = written(tmp_path / "log.parquet", thinned=True)
    log = in_buckets(read_log(file).in_groups(*GROUPS))
    assert log.stands is not None
    found = evaluate_stream(
        file, TARGETS, estimators=ESTIMATORS, also=Also(True, ("plan",), True), forced=True
    )
    expected = whole(log, ["plan"], forced=True)
    same((found.evaluations, found.differences, found.parts),
         (expected.evaluations, expected.differences, expected.parts))  # fmt: skip
    same(found.segments, expected.segments, 1e-7)
    with pytest.raises(LogError, match="got one that was thinned"):
        evaluate_stream(file, TARGETS, interval=INTERVALS["betting"])


@pytest.mark.parametrize("name", sorted(INTERVALS))
def test_every_interval_can_be_streamed(path: Path, log: LoggedDecisions, name: str) -> None:
    """To 1e-4 of a standard error, as far as likelihood and betting look for their ends."""
    found = evaluate_stream(path, TARGETS, interval=INTERVALS[name], forced=True)
    asker = Asker(log, log, {}, ("snips", "dr"), 0.95, None, INTERVALS[name], forced=True)
    expected = asker.ask([Target(name, each) for name, each in TARGETS.items()])
    for one, other in zip(found.evaluations, expected.evaluations, strict=True):
        for left, right in zip(one.estimates, other.estimates, strict=True):
            assert (left.low, left.high) == pytest.approx(
                (right.low, right.high), rel=1e-9, abs=1e-4 * right.stderr
            )


def test_pieces_and_shelves_do_not_matter(path: Path) -> None:
    also = Also(True, BY, True)
    one = evaluate_stream(path, TARGETS, also=also)
    assert evaluate_stream(path, TARGETS, also=also, local=False) == one
    other = evaluate_stream(path, TARGETS, also=also, rows=100_000)
    same(
        (other.differences, other.segments, other.parts), (one.differences, one.segments, one.parts)
    )


def test_what_is_not_asked_is_not_told(path: Path) -> None:
    found = evaluate_stream(path, TARGETS)
    assert (found.differences, found.segments, found.parts) == ((), (), ())


def test_segments_that_are_none_are_refused(path: Path) -> None:
    def ask(by: str) -> Streamed:
        return evaluate_stream(path, TARGETS, estimators=("snips",), also=Also(by=(by,)))

    with pytest.raises(UnknownNameError, match="--by plane: it is no field of the log"):
        ask("plane")
    with pytest.raises(LogError, match=r"--by customer.a > 0.0: expected the agent's revisions"):
        ask("customer.a > 0.0")


def test_more_segments_than_may_be_are_refused(tmp_path: Path) -> None:
    table = pq.read_table(write_log(tmp_path / "log.parquet", 300))
    contexts = [
        text.replace('"plan":"', f'"plan":"p{number}')
        for number, text in enumerate(table["context"].to_pylist())
    ]
    place = table.schema.get_field_index("context")
    table = table.set_column(place, table.schema.field(place), pa.array(contexts))
    pq.write_table(table, tmp_path / "log.parquet")
    with pytest.raises(LogError, match="--by plan: expected at most 20 segments, got more"):
        evaluate_stream(tmp_path / "log.parquet", TARGETS, also=Also(by=("plan",)), rows=100)


def test_ranks_are_those_of_sorted_numbers() -> None:
    rng = np.random.default_rng(1)
    values = np.concatenate([rng.normal(size=500), [0.0, -0.0, 1e300, -1e-300], np.full(80, 0.25)])
    keys = keys_of(values)
    instants = rng.integers(1_700_000_000_000_000, 1_700_100_000_000_000, 900)
    parts = [Piece(Path("a"), number, 1, 0, 0) for number in range(3)]

    def columns(piece: Piece) -> Any:
        for part in range(piece.group, 9, 3):
            yield [keys[part::9], instants[part::9], np.zeros(0, dtype=np.int64)]

    def ranks(n: int) -> list[int]:
        return [0, n // 4, n // 2, n - 1]

    def found(column: int, shifts: Sequence[int]) -> Ints:
        return np.array(at_ranks(columns, parts, in_turn, ranks, shifts)[column])

    np.testing.assert_array_equal(
        [number_of(int(key)) for key in found(0, NUMBERS)], np.sort(values)[ranks(len(values))]
    )
    np.testing.assert_array_equal(found(1, INSTANTS), np.sort(instants)[ranks(len(instants))])
    assert len(found(2, INSTANTS)) == 0


def test_groups_are_compared_as_in_memory(path: Path, tmp_path: Path, revision: Revision) -> None:
    rows = pq.read_table(path).to_pylist()
    outcomes = {
        name: outcome.model_copy(update={"metric": metric})
        for (name, outcome), metric in zip(
            revision.agent.outcomes.items(), ("primary", "guardrail", "secondary"), strict=False
        )
    }
    changed = revision.agent.model_copy(update={"outcomes": outcomes})
    revision = Revision(revision.workspace, changed)
    watched = list(watched_outcomes(changed))
    assert len(watched) == 2
    named = {"bought": watched[0], "unsubscribed": watched[1]}
    for number, row in enumerate(rows):
        of = int(row["customer"], 16) % 11
        row["group"] = "control" if of < 3 else "random" if of < 6 else "treatment"
        row["group"] = "random" if number % 400 == 0 else row["group"]
        row["closed_at"] = None if number % 90 == 5 else row["closed_at"]
        for event in row["outcomes"]:
            event["outcome"] = named[event["outcome"]]
    file = tmp_path / "log.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), file, row_group_size=700)
    log = read_log(file)
    known = {str(name): revision for name in set(log.revision.tolist())}
    found = groups_stream(file, known, newest=revision, rows=300)
    holdout = expected_holdout(revision.workspace, revision.agent)
    assert holdout is not None
    expected = lift(log, holdout=holdout)
    assert expected.moved > 0
    same(found.lift, expected)
    metrics = compare_metrics(log, revision.agent)
    assert [each.outcome for each in metrics] == watched
    same(found.metrics, metrics)
    assert [each.rates for each in found.metrics] == [pytest.approx(each.rates) for each in metrics]
    assert math.isnan(groups_stream(file, {}).lift.ratio_p)


def test_groups_of_nobody_are_refused(path: Path, tmp_path: Path) -> None:
    table = pq.read_table(path)
    opened = table.set_column(
        table.schema.get_field_index("closed_at"),
        table.schema.field("closed_at"),
        pa.nulls(len(table), table.schema.field("closed_at").type),
    )
    pq.write_table(opened, tmp_path / "log.parquet")
    with pytest.raises(LogError, match="expected a group with at least two customers, got none"):
        groups_stream(tmp_path / "log.parquet", {})
