from __future__ import annotations

from datetime import UTC, datetime
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.cel_tree import read_tree
from agents.context import FeatureValue
from agents.expressions import Language
from agents.shortcuts import DoubtError, shortcut
from agents.spec import CustomerField

SCHEMA = {
    "age": CustomerField(type="integer"),
    "bill": CustomerField(type="number"),
    "plan": CustomerField(type="category", values=("basic", "plus", "max")),
    "city": CustomerField(type="text"),
    "open_case": CustomerField(type="boolean"),
    "likes": CustomerField(type="set", values=("sport", "news")),
    "since": CustomerField(type="instant"),
}
TYPES = {name: field.type for name, field in SCHEMA.items()}
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
PLAIN = (
    "customer.age >= 18", "customer.age < 18", "18 <= customer.age", "30 > customer.age",
    "customer.age == 18", "customer.age != 18", "customer.bill > 19.5", "-1.5 <= customer.bill",
    "customer.bill == 0.0", "customer.plan == 'basic'", "'max' != customer.plan",
    "customer.plan in ['plus', 'max']", "'sport' in customer.likes", "customer.open_case",
    "!customer.open_case", "customer.open_case == true", "customer.city == 'Graz'",
)  # fmt: skip
FEATURES: dict[str, tuple[FeatureValue | None, ...]] = {
    "age": (None, 17, 18, 19, 30, -(2**53), 2**53),
    "bill": (None, 0.0, -0.0, 19.5, 19.500000000000004, -1.5, -2.0, 1e15),
    "plan": (None, "basic", "plus", "max"),
    "city": (None, "Graz", "graz", "Gräz", ""),
    "open_case": (None, True, False),
    "likes": (None, (), ("sport",), ("news",), ("sport", "news")),
    "since": (None, NOW),
}


def customer(random: Random) -> dict[str, FeatureValue]:
    drawn = {name: random.choice(values) for name, values in FEATURES.items()}
    return {name: value for name, value in drawn.items() if value is not None}


@settings(max_examples=300)
@given(st.lists(st.sampled_from(PLAIN), min_size=3, max_size=3), st.integers(0, 10**9))
def test_a_shortcut_says_what_cel_says(parts: list[str], seed: int) -> None:
    one, other, third = parts
    random, language = Random(seed), Language(SCHEMA)
    for source in (f"({one}) && !({other})", f"({one}) || ({other}) && ({third})", one):
        condition = language.compile(source)
        assert condition.shortcut is not None, source
        for _ in range(10):
            features = customer(random)
            bound = language.bind(features, NOW)
            asked = condition.compiled.eval(bound.activation).value()
            try:
                assert condition.shortcut(features) is asked
            except DoubtError:
                assert condition.value(bound) == (asked if asked in (True, False) else str(asked))


@pytest.mark.parametrize("source", PLAIN)
def test_a_shortcut_settles_both_ways(source: str) -> None:
    condition, random = Language(SCHEMA).compile(source), Random(1)
    assert condition.shortcut is not None
    told = set[bool | None]()
    for _ in range(400):
        try:
            told.add(condition.shortcut(customer(random)))
        except DoubtError:
            told.add(None)
    assert told == {True, False, None}


@pytest.mark.parametrize(
    "source",
    [
        "customer.age + 1 > 18",
        "customer.city < 'H'",
        "customer.city.startsWith('G')",
        "customer.open_case ? true : false",
        "customer.since < now",
        "now.getHours('UTC') == 12",
        "customer.age in [18, 30]",
        "customer.likes.exists(x, x == 'news')",
        "customer.plan == customer.city",
        "size(customer.likes) == 1 || customer.open_case",
    ],
)
def test_only_cel_can_tell_the_rest(source: str) -> None:
    compiled = Language(SCHEMA).compile(source).compiled
    assert shortcut(read_tree(compiled.serialize()), TYPES) is None


@pytest.mark.parametrize(
    ("source", "features"),
    [
        ("customer.age > 1", {"age": True}),
        ("customer.age > 1", {"age": 2.0}),
        ("customer.age > 1", {"age": 2**53 + 1}),
        ("customer.bill > 1.0", {"bill": 2}),
        ("customer.open_case", {"open_case": 1}),
        ("customer.plan == 'plus'", {"plan": ("plus",)}),
        ("'sport' in customer.likes", {"likes": "sport"}),
    ],
)
def test_a_value_of_another_kind_is_doubted(source: str, features: dict[str, FeatureValue]) -> None:
    condition = Language(SCHEMA).compile(source)
    assert condition.shortcut is not None
    with pytest.raises(DoubtError):
        condition.shortcut(features)
