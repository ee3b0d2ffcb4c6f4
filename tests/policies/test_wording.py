"""An insight is told in words: what speaks for the action, and what would change the choice."""

from __future__ import annotations

from typing import Any

from rich.padding import Padding
from rich.text import Text

from policies.explaining.wording import lay_out

ENTRY = {"kind": "customer", "source": "plan", "value": "plus", "worth": 0.5, "eta": {}}
CHANGE = {"field": "age", "before": 39, "after": 46, "size": 0.1, "action": "box/plain@sms"}
INSIGHT: dict[str, Any] = {
    "action": "a@sms", "best": "a@sms", "explored": False, "runner_up": "none", "gap": 1.25,
    "options": [], "contributions": [ENTRY], "changes": [CHANGE], "incumbent": None,
}  # fmt: skip


def words(**other: object) -> list[str]:
    found = []
    for part in lay_out(INSIGHT | other):
        text = part.renderable if isinstance(part, Padding) else part
        assert isinstance(text, Text)
        found += text.plain.splitlines()
    return found


def entry(kind: str, source: str, worth: float, value: object = None) -> dict[str, Any]:
    return {"kind": kind, "source": source, "value": value, "worth": worth, "eta": {}}


def test_all_three_parts() -> None:
    assert words() == [
        "why", "the best: expected to earn 1.250 more than none", "+0.500  plan plus",
        "would change", "if age were 46 instead of 39, the best would be box/plain@sms",
    ]  # fmt: skip


def test_an_explored_action_is_told_as_such() -> None:
    told = words(best="none", explored=True, gap=-0.5)
    assert told[1] == "explored: expected to earn 0.500 less than none"


def test_equals_are_told_as_such() -> None:
    for gap in (0.0, -1e-9, 0.0004):
        assert words(gap=gap)[1] == "the best: expected to earn as much as none"
    assert words(gap=0.0006)[1] == "the best: expected to earn 0.001 more than none"


def test_sources_in_words() -> None:
    told = words(
        contributions=[
            entry("customer", "balance", 1.0, 6302.894249),
            entry("customer", "interests", 0.9, []),
            entry("moment", "contacts", -0.8),
            entry("action", "offer", 0.7),
            entry("action", "none", 0.6),
            entry("cost", "cost", -0.5),
        ]
    )
    assert told[2:-2] == [
        "+1.000  balance 6,302.89", "+0.900  interests nothing", "-0.800  earlier contacts",
        "+0.700  its offer", "+0.600  what customers do when left alone",
        "-0.500  what it costs",
    ]  # fmt: skip


def test_many_contributions_end_in_the_sum_of_the_rest() -> None:
    told = words(contributions=[entry("action", "offer", 1.0 / (n + 1)) for n in range(8)])
    rest = 1.0 / 7.0 + 1.0 / 8.0
    assert told[2:-2][6:] == [f"{rest:+,.3f}  2 more"]


def test_a_value_that_was_unknown_and_one_of_many_digits() -> None:
    change = CHANGE | {"field": "balance", "before": None, "after": 1234567.25}
    assert words(changes=[change])[-1].startswith("if balance were 1,234,567.25 instead of unknown")


def test_when_nothing_changes_it() -> None:
    assert words(changes=[])[-1] == "no change of one field makes another action the best"


def test_alone_or_without_values_there_is_less_to_tell() -> None:
    assert words(runner_up=None, gap=None, contributions=[])[0] == "would change"
    assert words(best=None, runner_up=None, gap=None, contributions=[], changes=[]) == []
