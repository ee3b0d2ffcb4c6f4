"""Contexts whose remainder is alike in many rows are parsed in two parts, with the same result."""

from __future__ import annotations

from typing import Any

import orjson
import pyarrow as pa
import pytest

from experiments.logs import parsing
from experiments.logs.parsing import parse

_CONTACT = {"at": "2026-01-01T00:00:00+00:00", "channel": "email"}


def text(features: object, contacts: int = 0, **more: object) -> str:
    rest: dict[str, Any] = {
        "contacts": [_CONTACT] * contacts, "events": [], "usage": {}, "placement": "",
        "channels": ["email"], "suppressed": [],
    }  # fmt: skip
    return orjson.dumps({"features": features} | rest | more).decode()


def alike(count: int = 20) -> list[str]:
    """Rows of which each feature differs, and none, one or two contacts."""
    return [
        text({"n": row / 4, "t": f'",\\"contacts":{row}', "at": "2026-01-01", "on": row % 2 == 0},
             row % 3)
        for row in range(count)
    ]  # fmt: skip


def both(rows: list[str]) -> tuple[Any, Any]:
    """Parse rows in two parts, and as if that were never possible."""
    texts = pa.array(rows)
    return parsing._in_parts(texts), parsing._whole(texts)


def test_two_parts_say_what_the_whole_says() -> None:
    parts, whole = both(alike())
    assert parts is not None
    assert parts[0].tolist() == whole[0].tolist() == [row % 3 for row in range(20)]
    assert parts[1].schema.field("at").type == pa.string()
    assert sorted(parts[1].column_names) == sorted(whole[1].column_names)
    for name in whole[1].column_names:
        assert parts[1][name].to_pylist() == whole[1][name].to_pylist()


def test_rows_that_have_little_in_common_are_read_whole() -> None:
    rows = [text({"a": row}, placement=f"slot {row}") for row in range(12)]
    parts, whole = both(rows)
    assert parts is None
    found = parse(pa.array(rows))
    assert found is not None
    assert found[1].equals(whole[1])


def test_a_feature_that_looks_like_the_border_is_read_whole() -> None:
    rows = [*alike(), text({"n": 1.0, "inner": {"a": 1, "contacts": [2]}})]
    parts, whole = both(rows)
    assert parts is None
    found = parse(pa.array(rows))
    assert found is not None
    assert found[1]["inner"].to_pylist()[-1] == {"a": 1, "contacts": [2]}
    assert found[1].equals(whole[1])


@pytest.mark.parametrize(
    "bad",
    [
        text({"n": 1.0})[:-1],
        text({"n": 1.0}) + "}",
        text({"n": 1.0}) + "{}",
        text({"n": 1.0}).replace('},"contacts"', '}},"contacts"'),
        text({"n": 1.0}).replace('},"contacts"', ',"contacts"'),
        text({"n": 1.0}).replace('},"contacts"', '},"x":1,"contacts"'),
        text({"n": 1.0}).replace('"usage":{}', '"use":{}'),
        text({"n": 1.0}).replace('"events":[],', ""),
        text({"n": 1.0}, more=1),
        text({"n": 1.0}, events=None),
        text([1.0]),
        text(None),
        text({"n": 1.0}).replace("1.0", "NaN"),
        text({"n": 1.0}, contacts=1).replace('"contacts":[', '"contacts":["x",'),
        text({"n": 1.0}).replace('"contacts":[]', '"contacts":3'),
    ],
)
def test_bad_ones_among_them_are_not_taken(bad: str) -> None:
    assert parse(pa.array(alike())) is not None
    rows = pa.array([*alike(), bad])
    assert parse(rows) is None
    assert parsing._whole(rows) is None
