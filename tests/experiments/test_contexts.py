"""Contexts stay JSON beside columns; odd ones are read one by one, and bad ones refused."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from experiments.logs import LoggedDecisions, from_table
from experiments.logs.contexts import Contexts, contact_counts, feature_columns
from experiments.reward_models.features import Encoding, Summary, context_matrix
from experiments.reward_models.raw_features import ContextBlock, Members, Numbers, raw_features

_REST: dict[str, Any] = {
    "events": [], "usage": {}, "placement": "", "channels": [], "suppressed": [],
}  # fmt: skip
FEATURES: list[dict[str, Any]] = [
    {"n": 1, "b": True, "t": "2026-01-01", "s": ["x", "x"], "i": {"instant": "2026-01-02T00:00Z"}},
    {"n": 2.5, "b": None, "t": "y", "s": [], "i": {"instant": "2025-12-30T01:30:00.5+02:00"}},
    {"n": None, "s": ["y", "x"], "big": 2**60 + 1},
]


def text(features: object, contacts: int = 0) -> str:
    return json.dumps({"features": features, "contacts": [{"at": "2026-01-01"}] * contacts} | _REST)


def listed(features: list[dict[str, Any]]) -> Any:
    found = np.empty(len(features), dtype=object)
    found[:] = [{"features": each, "contacts": []} for each in features]
    return found


def columnar(features: list[Any]) -> Contexts:
    found = Contexts.of(pa.array([text(each) for each in features]))
    assert found is not None
    return found


def test_they_are_mappings_when_asked() -> None:
    found = Contexts.of(pa.array([text({"a": 1}), text({"a": 2}, 2), text({}, 1)]))
    assert found is not None
    assert len(found) == 3
    assert [each["features"] for each in found] == [{"a": 1}, {"a": 2}, {}]
    assert found[1]["contacts"] == [{"at": "2026-01-01"}] * 2
    assert contact_counts(found).tolist() == [0, 2, 1]
    chosen = found[np.array([True, False, True])]
    assert chosen.tolist() == [found[0], found[2]]
    assert list(pa.array(feature_columns(chosen)["a"]).to_pylist()) == [1, None]
    turned = found[np.array([2, 0])]
    assert turned[0] == found[2]


def test_columns_and_mappings_give_the_same_features() -> None:
    at = np.full(3, np.datetime64("2026-01-03T12:00:00", "us"))
    one = raw_features(ContextBlock(columnar(FEATURES), at))
    two = raw_features(ContextBlock(listed(FEATURES), at))
    assert one.keys() == two.keys()
    for name, found in one.items():
        other = two[name]
        if isinstance(found, Numbers):
            assert isinstance(other, Numbers)
            np.testing.assert_allclose(found.values, other.values, rtol=1e-12)
        else:
            assert isinstance(other, Members)
            np.testing.assert_array_equal(found.known, other.known)
            assert pairs(found) == pairs(other)
    assert pairs(one["t"]) == [(0, "2026-01-01"), (1, "y")]  # a date in text is text
    assert pairs(one["s"]) == [(0, "x"), (2, "x"), (2, "y")]


def pairs(found: object) -> list[tuple[int, str]]:
    assert isinstance(found, Members)
    return sorted(
        (row, found.names[code])
        for row, code in zip(found.rows.tolist(), found.codes.tolist(), strict=True)
    )


@pytest.mark.parametrize(
    "features",
    [
        [{"a": 1}, {"a": "x"}],  # of two kinds
        [{"a": 1}, {"a": True}],
        [{"a": 10**400}],
        [[1]],
    ],
)
def test_odd_ones_are_left_to_be_read_one_by_one(features: list[Any]) -> None:
    assert Contexts.of(pa.array([text(each) for each in features])) is None


@pytest.mark.parametrize(
    "bad",
    [
        "{", "", "3", "[]", text({"a": float("nan")}), text({}) + text({}),
        text({}).replace("{", "{\n", 1), text({}).replace("usage", "use"),
    ],
)  # fmt: skip
def test_bad_ones_are_not_taken(bad: str) -> None:
    assert Contexts.of(pa.array([text({"a": 1.0}), bad, text({})])) is None


def test_a_log_of_odd_features_is_read(table: pa.Table) -> None:
    place = table.schema.get_field_index("context")
    rows = [text({"a": number if number % 2 else "x"}, 1) for number in range(300)]
    log = from_table(table.set_column(place, table.schema.field(place), pa.array(rows)))
    assert log.contexts[0]["features"] == {"a": "x"}
    assert context_matrix(log).shape == (280, 1)  # 'x'; contacts never vary


def test_a_column_for_a_log_in_memory_is_that_of_its_mappings(table: pa.Table) -> None:
    log = from_table(table)
    assert isinstance(log.contexts, Contexts)
    plain = np.empty(len(log), dtype=object)
    plain[:] = log.contexts.tolist()
    one, two = context_matrix(log), context_matrix(as_listed(log, plain))
    assert one.shape[1] > 10
    np.testing.assert_allclose(one, two, atol=1e-12)


def as_listed(log: LoggedDecisions, contexts: Any) -> LoggedDecisions:
    return LoggedDecisions(**{**vars(log), "contexts": contexts})


def test_parts_are_summarised_as_the_whole() -> None:
    rng = np.random.default_rng(0)
    features = [
        {"n": float(rng.normal()), "t": str(rng.choice(["a", "b"]))} if rng.random() < 0.9 else {}
        for _ in range(300)
    ]
    at = np.full(300, np.datetime64("2026-01-03T12:00:00", "us"))
    whole = ContextBlock(listed(features), at)
    parts = [ContextBlock(listed(features[i : i + 70]), at[i : i + 70]) for i in range(0, 300, 70)]
    total = Summary.of(parts[0])
    for part in parts[1:]:
        total = total + Summary.of(part)
    one, two = Encoding.of(Summary.of(whole)), Encoding.of(total)
    assert one.width == 4
    np.testing.assert_allclose(one.matrix(whole), two.matrix(whole), atol=1e-12)


def test_a_feature_that_names_something_has_no_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("experiments.reward_models.features._MOST_VALUES", 20)
    features = [{"id": str(number // 2), "t": "ab"[number % 2]} for number in range(50)]
    at = np.full(50, np.datetime64("2026-01-03T12:00:00", "us"))
    block = ContextBlock(listed(features), at)
    assert Encoding.of(Summary.of(block)).width == 2
    assert Encoding.of(Summary.of(block), exclude=["t"]).width == 0
