"""Features that are found by their places are those that a reader of JSON finds."""

from __future__ import annotations

import json
import string
from typing import Any

import orjson
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.logs import parsing
from experiments.logs.alike import cut_features
from experiments.logs.parsing import parse

BORDER = ',"contacts":'
REST = ',"contacts":[],"events":[],"usage":{},"placement":"","channels":[],"suppressed":[]}'


def rows(*features: str) -> pa.Array:
    return pa.array([f'{{"features":{each}{REST}' for each in features])


def cut(*features: str) -> dict[str, list[Any]] | None:
    found = cut_features(rows(*features), BORDER)
    if found is None:
        return None
    assert found[1].to_pylist() == [REST.removeprefix(BORDER)] * len(features)
    found[0].validate(full=True)
    columns: dict[str, list[Any]] = found[0].to_pydict()
    return columns


whole = st.integers(-(2**63), 2**63 - 1)
fraction = st.floats(allow_nan=False, allow_infinity=False)
kinds = [
    whole,
    fraction,
    st.one_of(st.integers(-(2**53), 2**53), fraction),
    st.booleans(),
    st.text(st.characters(exclude_characters='"\\', exclude_categories=["C"])),
    st.none(),
]
names = st.text(string.ascii_letters + string.digits + "._ äß", min_size=1, max_size=5)


@st.composite
def alike(draw: st.DrawFn) -> list[dict[str, Any]]:
    kind = {name: draw(st.sampled_from(kinds)) for name in draw(st.sets(names, min_size=1))}
    one = st.fixed_dictionaries({name: st.one_of(st.none(), each) for name, each in kind.items()})
    rows = draw(st.lists(one, min_size=1, max_size=8))
    return [{name: row[name] for name in kind} for row in rows]  # in the same order


@settings(max_examples=150, deadline=None)
@given(alike())
def test_values_are_those_of_a_reader_of_json(features: list[dict[str, Any]]) -> None:
    found = cut(*(orjson.dumps(each).decode() for each in features))
    assert found is not None
    assert found.keys() == features[0].keys()
    for name, column in found.items():
        assert repr(column) == repr(
            [
                float(each[name]) if isinstance(value, float) and each[name] is not None
                else each[name]
                for each, value in zip(features, column, strict=True)
            ]
        )  # fmt: skip


JSON = ' \n\t{}[]",:.+-0123456789eEnulltruefalsa\\\u00e4\x01'


@settings(max_examples=400, deadline=None)
@given(st.text(JSON, max_size=12))
def test_what_is_no_json_is_not_taken(value: str) -> None:
    found = cut('{"a":0}', f'{{"a":{value}}}')
    if found is not None:
        assert found["a"][1] == json.loads(value)


@pytest.mark.parametrize(
    "value",
    ["01", "-", "+1", ".5", "1.", "1.e5", "1e", "1e+", "NaN", "nul", "nulll", "tru", "Infinity", "",
     "[1]", '{"b":1}', '"x', '"a\\nb"', '"a\nb"', "1 ", " 1", '1,"b":2', "0x1", "1_0"],
)  # fmt: skip
def test_odd_values_are_left_to_others(value: str) -> None:
    assert cut('{"a":0}', f'{{"a":{value}}}') is None


@pytest.mark.parametrize(
    "other", ['{"a":"x"}', '{"a":true}', '{"b":1}', "{}", '{"a":1,"b":2}', "[]", '{"a" :1}']
)
def test_rows_that_differ_are_left_to_others(other: str) -> None:
    assert cut('{"a":1}', '{"a":2}') == {"a": [1, 2]}
    assert cut('{"a":1}', other) is None


@pytest.mark.parametrize("value", ["true", '"t"', "null", "-1.5e-7"])
def test_a_text_that_ends_too_soon_is_left_to_others(value: str) -> None:
    text = rows(f'{{"a":{value}}}')[0].as_py()
    enough = text.index(BORDER) + len(BORDER)
    for end in range(enough):
        assert cut_features(pa.array([text, text[:end]]), BORDER) is None
    assert cut_features(pa.array([text, text[:enough]]), BORDER) is not None


def test_integers_too_large_are_numbers_all_the_same() -> None:
    assert cut('{"a":1}', f'{{"a":{2**64}}}') == {"a": [1.0, 2.0**64]}


def test_a_part_of_an_array_is_read_as_such() -> None:
    texts = rows(*(f'{{"a":{number}}}' for number in range(9)))
    found = cut_features(texts.slice(3, 4), BORDER)
    assert found is not None
    assert found[0].to_pydict() == {"a": [3, 4, 5, 6]}


@pytest.mark.parametrize("odd", [None, '{"n":0,"t":"a\\"b","k":true}', '{"t":"b"}'])
def test_many_rows_are_parsed_as_few(odd: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways give the same columns, whether or not a row is written like the others."""
    written = [
        f'{{"n":{number / 8},"t":"{"xyz"[number % 3]}","k":{"null" if number % 2 else "true"}}}'
        for number in range(parsing._MANY)
    ]
    texts = rows(*written[:-1], odd or written[-1])
    found = parse(texts)
    monkeypatch.setattr(parsing, "_MANY", len(texts) + 1)
    expected = parse(texts)
    assert found is not None
    assert expected is not None
    assert found[0].tolist() == expected[0].tolist()
    assert found[1].select(sorted("nkt")).equals(expected[1].select(sorted("nkt")))
