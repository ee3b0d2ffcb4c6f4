"""Conditions over supplied actions: in plain Python they say what CEL says, or leave it to CEL."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agents.expressions import Condition, Language
from agents.open_shortcuts import ACTION, ACTION_ID, CONTEXT
from agents.shortcuts import DoubtError
from agents.spec import CustomerField

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SCHEMA = {
    "age": CustomerField(type="integer"),
    "bill": CustomerField(type="number"),
    "plan": CustomerField(type="category", values=("a", "b")),
    "since": CustomerField(type="instant"),
}
LANGUAGE = Language(SCHEMA, supplied=True)

LEAVES = (
    "action.x == 'a'",
    "action.x != 'a'",
    "action.x == 1",
    "action.x < 1.5",
    "2 >= action.x",
    "action['x'] != true",
    "action.x",
    "context.u.x",
    "has(action.x)",
    "has(context.u.x)",
    "has(action.x.y)",
    "action.x in ['a', 'b']",
    "action.x in [1, 2]",
    "'a' in action.x",
    "action.x in context.u.x",
    "action.x == context.u.x",
    "action.x <= context.u.x",
    "action.x == null",
    "action.x + 1 == 2",
    "customer.age >= 18",
    "customer.bill < 3.0",
    "customer.plan == 'a'",
    "customer.age > action.x",
    "action_id == 'one'",
    "action_id in ['one', 'two']",
    "action_id < 'two'",
    "now > timestamp('2026-01-01T00:00:00Z')",
)
EXPRESSIONS = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: st.one_of(
        st.builds("!({})".format, inner),
        st.builds("({}) && ({})".format, inner, inner),
        st.builds("({}) || ({})".format, inner, inner),
    ),
    max_leaves=4,
)
NUMBERS = st.one_of(
    st.sampled_from([0, 1, 2, -1, 1.0, 1.5, 2**53, 2**53 + 1, 2**63, -(2**63), -0.0]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(2**64), 2**64),
)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    NUMBERS,
    st.sampled_from(["a", "b", "", "A"]),
    st.lists(st.sampled_from(["a", 1, None, True]), max_size=3),
    st.dictionaries(st.sampled_from(["y", "a"]), st.integers(0, 3), max_size=2),
)
OBJECTS = st.dictionaries(st.sampled_from(["x", "z"]), VALUES, max_size=2)
FEATURES = st.fixed_dictionaries(
    {
        ACTION: OBJECTS,
        ACTION_ID: st.sampled_from(["one", "two", "three"]),
        CONTEXT: st.one_of(
            st.just({}), st.builds(lambda u: {"u": u}, st.one_of(OBJECTS, st.none()))
        ),
    },
    optional={
        "age": st.integers(0, 120),
        "bill": st.floats(0, 10),
        "plan": st.sampled_from(["a", "b"]),
    },
)


def by_shortcut(condition: Condition, features: dict[str, Any]) -> bool | None:
    """What plain Python says, None if it leaves it to CEL."""
    if condition.shortcut is None:
        return None
    try:
        return condition.shortcut(features)
    except DoubtError:
        return None


def by_cel(condition: Condition, features: dict[str, Any]) -> bool | str:
    return Condition(condition.source, condition.compiled).value(LANGUAGE.bind(features, NOON))


@given(EXPRESSIONS, FEATURES)
@example("action.x == 1", {ACTION: {"x": True}, ACTION_ID: "one", CONTEXT: {}})
@example("action.x == 'a'", {ACTION: {"x": 1}, ACTION_ID: "one", CONTEXT: {}})
@example("action.x < 1.5", {ACTION: {"x": 2**53 + 1}, ACTION_ID: "one", CONTEXT: {}})
@example(
    "action.x in context.u.x", {ACTION: {"x": True}, ACTION_ID: "one", CONTEXT: {"u": {"x": [1]}}}
)
@example(
    "action.x in ['a', context.u.x]",
    {ACTION: {"x": "b"}, ACTION_ID: "one", CONTEXT: {"u": {"x": "b"}}},
)
@example("has(action.x)", {ACTION: {"x": None}, ACTION_ID: "one", CONTEXT: {}})
@settings(max_examples=600, deadline=None)
def test_plain_python_says_what_cel_says(source: str, features: dict[str, Any]) -> None:
    condition = LANGUAGE.compile(source)
    said = by_shortcut(condition, features)
    if said is not None:
        assert said is by_cel(condition, features)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("action.x == 'a'", True),
        ("!(action.x == 'b') && customer.age >= 18", True),
        ("action.n > 2 || action.x == 'a'", True),
        ("action.part.deep <= 3.5", True),
        ("action['x'] in ['b', 'c']", False),
        ("has(action.part.deep)", True),
        ("'b' in context.u.list", True),
        ("action.x in context.u.list", False),
        ("has(action.part.other)", False),
        ("action.n == context.u.n", True),
        ("action.n < context.u.more", True),
        ("action.yes", True),
        ("action_id != 'one'", False),
        ("action_id < 'two'", True),
        ("customer.age > action.n", True),
    ],
)
def test_what_is_usual_needs_no_cel(source: str, said: bool) -> None:
    features = {
        ACTION: {"x": "a", "n": 3, "yes": True, "part": {"deep": 3}},
        ACTION_ID: "one",
        CONTEXT: {"u": {"n": 3.0, "more": 4, "list": [1, "b"]}},
        "age": 18,
    }
    assert by_shortcut(LANGUAGE.compile(source), features) is said


@pytest.mark.parametrize(
    "source",
    ["action.gone == 1", "action.x > 1", "action.n == 'a'", "has(action.x.y)", "action.n"],
)
def test_what_is_missing_or_of_another_kind_is_left_to_cel(source: str) -> None:
    condition = LANGUAGE.compile(source)
    assert condition.shortcut is not None
    features = {ACTION: {"x": "a", "n": 3}, ACTION_ID: "one", CONTEXT: {}}
    assert by_shortcut(condition, features) is None


def test_a_number_beyond_exact_ones_is_left_to_cel() -> None:
    condition = LANGUAGE.compile("action.x == 9007199254740992.0")
    for value in (2**53 + 1, -(2**53) - 1):
        features = {ACTION: {"x": value}, ACTION_ID: "one", CONTEXT: {}}
        assert by_shortcut(condition, features) is None
    assert math.isclose(2**53, 9007199254740992.0)
