from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.advising.never import _ANY, never_false, never_true
from agents.expressions import Language
from agents.spec import CustomerField

SCHEMA = {
    "age": CustomerField(type="integer", min=18, max=99),
    "bill": CustomerField(type="number", min=0, max=500),
    "score": CustomerField(type="number"),
    "plan": CustomerField(type="category", values=("basic", "plus")),
    "open": CustomerField(type="boolean"),
    "likes": CustomerField(type="set", values=("tea", "wine")),
}


@pytest.mark.parametrize(
    ("source", "never"),
    [
        ("customer.age < 18", True),
        ("customer.age <= 18", False),
        ("customer.age > 99 || customer.age < 18", True),
        ("customer.age > 30 && customer.age < 31", True),
        ("customer.bill > 30.0 && customer.bill < 31.0", False),
        ("customer.bill > 30.0 && customer.bill < 30.0001", False),
        ("customer.bill < 0.0", True),
        ("customer.score < -5.0 && customer.score > 5.0", True),
        ("customer.score < -5000000.0", False),
        ("customer.score > 7000000.0", False),
        ("customer.plan == 'premium'", True),
        ("customer.plan in ['premium', \"gold\"]", True),
        ("customer.plan != 'basic'", False),
        ("customer.open && !customer.open", True),
        ("customer.open == true", False),
        ("customer.age - 10 > 95", False),  # arithmetic is not decided
        ("customer.age -10 > 95", False),
        ("customer.age % 2 == 5", False),
        ("'beer' in customer.likes", False),  # sets are not decided
        ("customer.age < 18 && customer.open", False),  # two fields are not decided
        ("customer.plan.startsWith('z')", False),
        ("false", False),
    ],
)
def test_what_is_never_true_is_found_and_nothing_else_is(source: str, never: bool) -> None:
    Language(SCHEMA).compile(source)
    assert never_true(source, SCHEMA) is never


def test_what_is_never_false_is_found() -> None:
    assert never_false("customer.age >= 18", SCHEMA)
    assert not never_false("customer.age >= 19", SCHEMA)


@given(
    low=st.integers(15, 102),
    high=st.integers(15, 102),
    one=st.sampled_from(["<", "<=", "==", "!=", ">", ">="]),
    two=st.sampled_from(["<", "<=", "==", "!=", ">", ">="]),
    word=st.sampled_from(["&&", "||"]),
)
def test_it_agrees_with_trying_every_age(
    low: int, high: int, one: str, two: str, word: str
) -> None:
    source = f"customer.age {one} {low} {word} customer.age {two} {high}"
    language = Language(SCHEMA)
    condition = language.compile(source)
    true = [condition.refusal(language.bind({"age": a}, _ANY)) is None for a in range(18, 100)]
    assert never_true(source, SCHEMA) == (not any(true))
    assert never_false(source, SCHEMA) == all(true)
