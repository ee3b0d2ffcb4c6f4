from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from serving.api.strict import BodyError, _read_any, fingerprint, parse_json

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**25), 10**25)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["1" * 19, '"', "\\", "a\nb"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


def outcome(read: Any, body: bytes) -> tuple[str, object]:
    try:
        value = read(body)
    except BodyError as error:
        return "refused", error.status_code
    return "read", repr(value)  # tells 1 from 1.0, and 0.0 from -0.0


@settings(max_examples=400)
@given(VALUES, st.booleans(), st.sampled_from([None, 1]))
@example({"a": 10**18}, True, None)
def test_the_quick_reader_reads_what_the_careful_one_does(
    value: object, ascii_only: bool, indent: int | None
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    body = text.encode("utf-8", "surrogatepass")
    assert outcome(parse_json, body) == outcome(_read_any, body)


@settings(max_examples=300)
@given(st.binary(max_size=40) | st.text('{}[]":,0123456789.eE+-\\ truefalsn', max_size=30))
def test_whatever_comes_is_read_alike(noise: bytes | str) -> None:
    body = noise if isinstance(noise, bytes) else noise.encode()
    assert outcome(parse_json, body) == outcome(_read_any, body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": 1, "a": 2}',
        b'{"a": {"b": 1, "b": 1}}',
        b'[{"a": [], "b": 0, "a": ""}]',
        b'{"a": 1, "\\u0061": 2}',
        b'{"": 1, "": 1}',
    ],
)
def test_a_key_that_stands_twice_is_refused_wherever_it_is(body: bytes) -> None:
    with pytest.raises(BodyError, match="a second time"):
        parse_json(body)


@pytest.mark.parametrize("number", [b"1" * 20, b"-" + b"1" * 19, b"9" * 400])
def test_a_long_whole_number_is_refused_and_no_float_is_made_of_it(number: bytes) -> None:
    with pytest.raises(BodyError, match="at most 18 digits"):
        parse_json(b'{"n": %s}' % number)
    assert parse_json(b'{"n": "%s"}' % number) == {"n": number.decode()}


def test_what_nests_too_deep_is_refused() -> None:
    assert parse_json(b"[" * 200 + b"]" * 200)
    with pytest.raises(BodyError, match="expected a JSON body"):
        parse_json(b"[" * 300 + b"]" * 300)


def test_a_fingerprint_is_of_the_content() -> None:
    first = fingerprint("a", None, {"x": 1, "y": [1, 2]})
    assert first == fingerprint("a", None, {"y": [1, 2], "x": 1})
    for other in ({"x": 1, "y": [2, 1]}, {"x": 1.0, "y": [1, 2]}, {"x": True, "y": [1, 2]}):
        assert fingerprint("a", None, other) != first
    assert fingerprint("a", {"x": 1, "y": [1, 2]}, None) != first
