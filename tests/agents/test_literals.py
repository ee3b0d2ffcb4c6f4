"""Texts that a category or a set never has are found wherever an expression compares them."""

from __future__ import annotations

import pytest

from agents.loading.literals import unknown_values
from agents.spec import CustomerField

SCHEMA = {
    "plan": CustomerField(type="category", values=("basic", "plus")),
    "likes": CustomerField(type="set", values=("sport", "art")),
    "name": CustomerField(type="text"),
}


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ("customer.plan == 'plsu'", ["plsu"]),
        ('customer.plan != "plsu"', ["plsu"]),
        ("'plsu' == customer.plan", ["plsu"]),
        ("customer.plan in ['basic', 'plsu', 'x']", ["plsu", "x"]),
        ("'arts' in customer.likes", ["arts"]),
        ("!('art' in customer.likes) && customer.plan=='gold'", ["gold"]),
        ("customer.plan not in ['plsu'] and 'arts' not in customer.likes", ["arts", "plsu"]),
        ("customer.plan == 'plus' || 'sport' in customer.likes", []),
        ("customer.name == 'plsu'", []),
        ("customer.nobody == 'plsu'", []),
        ("customer.plan == 'pl' + 'us'", []),
        ("'pl' + 'us' == customer.plan", []),
        ("customer.plan.startsWith('pl')", []),
        ("customer.plan == 'x'.replace('x', 'plus')", []),
        ("['plsu'].exists(x, x == customer.plan)", []),
    ],
)
def test_a_text_that_a_field_never_has_is_found(source: str, wrong: list[str]) -> None:
    found = list(unknown_values(source, SCHEMA))
    assert [message.split("'")[1] for message in found] == wrong
    assert all("is no value of customer." in message for message in found)
