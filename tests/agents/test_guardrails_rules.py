"""Rules of a list of supplied actions are those that would be compiled for it alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import copy
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.actions import Listed
from agents.context import Contact, Context, PastEvent
from agents.guardrails.rules import looks_at_names
from agents.load import compile_agent, parse_workspace
from agents.revision import Revision
from agents.spec import Agent
from agents.supplied import supply
from agents.yamlsource import read_yaml

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
NAMES = ("tea", "milk", "pasta", "rice", "soup")
WORKSPACE = """\
workspace: shop
currency: EUR
zone: Europe/Berlin
customer: {age: {type: integer}}
channels: {site: {cost: 0.5, capacity: {max: 100, per: day}}, email: {}}
events: {complaint: {counts_as: rejection}}
guardrails:
  shared: {rule: frequency_cap, max: 3, per: 14d, scope: all}
  tired: {rule: cooldown, pause: 2h, scope: kind}
"""
AGENT = """\
agent: front
supplied: {channel: site, cost: 1}
outcomes:
  reward:
    {value: {property: value, min: -1, max: 1, typical: 1}, window: 10m, count: each,
     aggregate: first, counts_as: response}
always_act: true
holdout: {control: 0, random: 0}
policy: {learner: uniform}
"""
RULES: dict[str, dict[str, Any]] = {
    "young": {"rule": "suppression", "when": "customer.age < 18"},
    "grown": {"rule": "eligibility", "when": "customer.age < 90", "on": {"offers": ["tea"]}},
    "hot": {"rule": "action_suppression", "when": "action.hot == true"},
    "hot_tea": {
        "rule": "action_suppression", "when": "action.hot == true", "on": {"offers": ["tea"]},
    },
    "per_offer": {"rule": "frequency_cap", "max": 1, "per": "7d", "scope": "offer"},
    "per_action": {
        "rule": "frequency_cap", "max": 1, "per": "day", "window": "calendar", "scope": "action",
    },
    "responses": {
        "rule": "frequency_cap", "max": 1, "per": "7d", "scope": "offer", "counts": "response",
    },
    "promotions": {
        "rule": "frequency_cap", "max": 2, "per": "7d", "scope": "agent",
        "on": {"kinds": ["promotion"]},
    },
    "not_tea": {
        "rule": "frequency_cap", "max": 1, "per": "7d", "scope": "channel",
        "except": {"offers": ["tea"]},
    },
    "in_all": {"rule": "frequency_cap", "max": 5, "per": "7d", "scope": "offer", "for": "total"},
    "of_all": {"rule": "frequency_cap", "max": 9, "per": "7d", "scope": "kind", "for": "total"},
    "pause": {"rule": "cooldown", "pause": "1d", "scope": "offer"},
    "rejected": {"rule": "cooldown", "pause": "1d", "scope": "action", "after": "rejection"},
    "long": {
        "rule": "cooldown", "pause": "1d", "scope": "agent", "times": 2, "within": "2d",
        "on": {"stages": ["growth"]},
    },
    "ended": {
        "rule": "event_suppression", "after": ["complaint"], "for": "30d", "scope": "offer",
    },
    "spend": {"rule": "budget", "measure": "cost", "max": 20, "per": "day"},
    "tea_budget": {"rule": "budget", "max": 4, "per": "day", "on": {"offers": ["tea"]}},
    "push": {"rule": "budget", "min": 50, "per": "day", "on": {"offers": ["rice"]}},
    "steps": {
        "rule": "sequence", "within": "9d", "restart": "30d", "until": ["reward"],
        "steps": [{"offers": ["tea"]}, {"offers": ["milk", "soup"], "after": "1h"}],
    },
}  # fmt: skip


@cache
def base_loop() -> Revision:
    return compile_agent(AGENT, "front.yaml", parse_workspace(read_yaml(WORKSPACE, "w.yaml")))


def made(rules: Sequence[str], *, matures: bool) -> Revision:
    base = base_loop()
    written = base.agent.model_dump(mode="json", by_alias=True, exclude_unset=True)
    written["guardrails"] = {name: RULES[name] for name in rules}
    if matures:
        written["maturity"] = {"start_share": 0.3, "full_at_positives": 10}
    return Revision(base.workspace, Agent.model_validate_json(json.dumps(written)))


def alone(revision: Revision, actions: tuple[str, ...]) -> Revision:
    """Compile everything for one list, as if it were the only one."""
    whole = copy(revision)
    whole._compile(actions)
    return whole


LISTS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=5, unique=True)
HOURS = st.integers(1, 400)
PAST = st.lists(
    st.tuples(HOURS, st.sampled_from((*NAMES, "gone")), st.sampled_from(("front", "other"))),
    max_size=5,
)


@given(
    rules=st.lists(st.sampled_from(sorted(RULES)), max_size=6, unique=True),
    lists=st.lists(LISTS, min_size=2, max_size=3),
    contacts=PAST,
    events=PAST,
    barred=st.sets(st.sampled_from(NAMES), max_size=2),
    used=st.sampled_from((0.0, 4.0, 25.0)),
    age=st.sampled_from((12, 40)),
    matures=st.booleans(),
)
def test_masks_are_those_of_the_list_compiled_alone(
    rules: list[str],
    lists: list[list[str]],
    contacts: list[tuple[int, str, str]],
    events: list[tuple[int, str, str]],
    barred: set[str],
    used: float,
    age: int,
    matures: bool,
) -> None:
    revision = made(rules, matures=matures)
    sent = [
        Contact(NOON - timedelta(hours=h), who, name, "promotion", "site", name, (), f"d{n}")
        for n, (h, name, who) in enumerate(sorted(contacts, reverse=True))
    ]
    heard = [
        PastEvent(NOON - timedelta(hours=h), "complaint" if h % 2 else "reward", f"d{n}", who,
                  name, "promotion", "site", name)
        for n, (h, name, who) in enumerate(sorted(events, reverse=True))
    ]  # fmt: skip
    for names in lists:
        supplied = supply(
            [], {name: [{"hot": name < "n"}] for name in names},
            barred={name: "excluded" for name in names if name in barred},
        )  # fmt: skip
        listed, whole = revision.offering(supplied.actions), alone(revision, supplied.actions)
        usage: dict[str, float] = {}
        context = Context(
            "c", NOON, {"age": age}, tuple(sent), tuple(heard), usage, "", (), (), supplied
        )
        readings = whole.readings(context)
        assert set(listed.readings(context)) == set(readings)
        usage.update((reading.key, used) for reading in readings)
        assert listed.mask(context) == whole.mask(context)
        assert (listed.lookback, listed.hears) == (whole.lookback, whole.hears)
        assert listed.event_lookback == whole.event_lookback
        assert tuple(listed.actions) == tuple(whole.actions)
        assert listed.counters == whole.counters
        assert (listed.factors == whole.factors).all()
        for place in range(1, len(names) + 1):
            assert listed.charges(place, NOON) == whole.charges(place, NOON)
            assert listed.index(names[place - 1]) == place


@pytest.mark.parametrize(
    ("rule", "looks"),
    [
        ("young", False), ("grown", True), ("hot", False), ("hot_tea", True), ("per_offer", True),
        ("promotions", True), ("of_all", False), ("in_all", True), ("pause", True),
        ("spend", False), ("tea_budget", True), ("push", True), ("steps", True),
    ],
)  # fmt: skip
def test_what_looks_at_names(rule: str, looks: bool) -> None:
    revision = made([rule], matures=False)
    assert looks_at_names(revision.agent.guardrails[rule]) is looks


def test_lists_of_one_length_share_what_does_not_look_at_names() -> None:
    revision = made(["young", "pause"], matures=False)
    first, other = (revision.offering(("none", name)) for name in ("tea", "milk"))
    same = {a.name for a, b in zip(first.guardrails, other.guardrails, strict=True) if a is b}
    assert {"young", "shared", "tired"} <= same
    assert "pause" not in same
    assert isinstance(first.actions, Listed)
    assert [action.id for action in first.actions[:5]] == ["none", "tea"]
    with pytest.raises(IndexError):
        first.actions[2]
