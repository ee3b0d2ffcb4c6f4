from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.context import Contact
from agents.revision import HISTORY, Revision

DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)
EARLY = {
    "channels": """
  email: {windows: {early: {from: "06:00", to: "09:00"}, late: {from: "18:00", to: "22:00"}}}
  sms: {cost: 0.5}"""
}


def contact(revision: Revision, action_id: str, at: datetime, agent: str = "helper") -> Contact:
    action = revision.actions[revision.index(action_id)]
    return Contact(at, agent, action.offer, action.kind, action.channel, action.id)


def barred(
    revision: Revision, features: dict[str, object], at: datetime, contacts: Iterable[Contact]
) -> set[str]:
    mask = revision.mask(revision.context("ann", at, features, contacts))
    pairs = zip(revision.actions, mask.reasons, strict=True)
    return {action.id for action, reason in pairs if reason is not None}


@pytest.fixture
def capped(build: Callable[..., Revision]) -> Revision:
    """At most two contacts in any seven days."""
    return build(guardrails="{cap: {rule: frequency_cap, max: 2, per: 7d}}")


@pytest.mark.parametrize(
    ("ages", "allowed"),
    [
        ((), True),
        ((DAY,), True),
        ((DAY, 2 * DAY), False),
        ((DAY, 7 * DAY), True),  # exactly at t - W: out of the span (t - W, t]
        ((DAY, 7 * DAY - TICK), False),
        ((timedelta(0), timedelta(0)), False),
        ((7 * DAY, 7 * DAY, 8 * DAY), True),
        ((-DAY, -2 * DAY), False),  # planned ahead: they count as well
        ((-DAY, DAY), False),
        ((-DAY, -7 * DAY), True),
        ((-DAY, -7 * DAY + TICK), False),
        ((-4 * DAY, 4 * DAY), False),  # in no span together, but each is with the new one
    ],
)
def test_the_span_is_half_open_and_looks_both_ways(
    capped: Revision,
    features: dict[str, object],
    noon: datetime,
    ages: tuple[timedelta, ...],
    allowed: bool,
) -> None:
    contacts = [contact(capped, "help/short@sms", noon - age) for age in ages]
    expected = set() if allowed else {a.id for a in capped.actions[1:]}
    assert barred(capped, features, noon, contacts) == expected


def test_the_reason_says_how_many(
    capped: Revision, features: dict[str, object], noon: datetime
) -> None:
    contacts = [contact(capped, "help/short@sms", noon - DAY)] * 3
    mask = capped.mask(capped.context("ann", noon, features, contacts))
    assert mask.reasons[1] == "cap: 3 of 2 contacts in 1w (all)"
    assert mask.reasons[0] is None


def test_a_cap_of_zero_bars_everything_without_any_contact(
    build: Callable[..., Revision], features: dict[str, object], noon: datetime
) -> None:
    revision = build(guardrails="{cap: {rule: frequency_cap, max: 0, per: 1d, scope: offer}}")
    assert barred(revision, features, noon, []) == {a.id for a in revision.actions[1:]}


SALE = {"sale/plain@sms"}
SMS = {"help/short@sms", "help/long@sms", "sale/plain@sms"}
HELP = {"help/short@email", "help/short@sms", "help/long@email", "help/long@sms"}


@pytest.mark.parametrize("rule", ["frequency_cap, max: 1, per: 1d", "cooldown, pause: 1d"])
@pytest.mark.parametrize(
    ("scope", "own", "other"),
    [
        ("all", HELP | SALE, HELP | SALE),
        ("agent", HELP | SALE, set()),
        ("kind", HELP, HELP),
        ("offer", HELP, set()),
        ("channel", SMS, SMS),
        ("action", {"help/short@sms"}, set()),
    ],
)
def test_what_one_contact_bars_in_each_scope(
    build: Callable[..., Revision],
    features: dict[str, object],
    noon: datetime,
    rule: str,
    scope: str,
    own: set[str],
    other: set[str],
) -> None:
    revision = build(guardrails=f"{{rest: {{rule: {rule}, scope: {scope}}}}}")
    mine = contact(revision, "help/short@sms", noon - DAY + TICK)
    theirs = contact(revision, "help/short@sms", noon - DAY + TICK, agent="another")
    assert barred(revision, features, noon, [mine]) == own
    assert barred(revision, features, noon, [theirs]) == other
    old = contact(revision, "help/short@sms", noon - DAY)
    assert barred(revision, features, noon, [old]) == set()


def test_a_cooldown_speaks_of_the_offer_unless_it_says_otherwise(
    build: Callable[..., Revision], features: dict[str, object], noon: datetime
) -> None:
    revision = build(guardrails="{rest: {rule: cooldown, pause: 1d}}")
    assert barred(revision, features, noon, [contact(revision, "sale/plain@sms", noon)]) == SALE


def test_each_send_window_is_counted_from_its_own_instant(
    build: Callable[..., Revision], features: dict[str, object], noon: datetime
) -> None:
    revision = build(EARLY, guardrails="{rest: {rule: cooldown, pause: 12h, scope: all}}")
    sent = contact(revision, "help/short@sms", noon - timedelta(hours=6))  # at 07:00 there
    # At once is 6 h after it, the late window 11 h (18:00), the early one 23 h (06:00 next day).
    assert {a for a in barred(revision, features, noon, [sent]) if "early" not in a} == {
        "help/short@email#late", "help/long@email#late", *SMS,
    }  # fmt: skip
    assert "help/short@email#early" not in barred(revision, features, noon, [sent])


def test_lookback_is_the_longest_span(build: Callable[..., Revision]) -> None:
    rules = "{a: {rule: frequency_cap, max: 2, per: 7d}, b: {rule: cooldown, pause: 60d}}"
    assert build(guardrails=rules).lookback == 60 * DAY
    assert build(guardrails="{a: {rule: cooldown, pause: 7d}}").lookback == HISTORY
    assert build().lookback == HISTORY


def most_in_any_span(contacts: Iterable[Contact], per: timedelta) -> int:
    """Count by brute force the contacts of every span (t - per, t] that ends at a contact."""
    times = [c.at for c in contacts]
    return max((sum(end - per < t <= end for t in times) for end in times), default=0)


def test_the_brute_force_count_sees_a_breach(capped: Revision, noon: datetime) -> None:
    times = [noon, noon + 6 * DAY, noon + 7 * DAY, noon + 13 * DAY - TICK]
    contacts = [contact(capped, "sale/plain@sms", at) for at in times]
    assert most_in_any_span(contacts, 7 * DAY) == 3
    assert most_in_any_span(contacts, 6 * DAY) == 2
    assert most_in_any_span([], DAY) == 0


steps = st.lists(
    st.tuples(
        st.sampled_from(["helper", "seller"]),
        st.sampled_from([0, 7, 60, 300, 1440]),  # minutes since the step before
        st.integers(0, 1_000_000),  # picks among the allowed
    ),
    min_size=12,
    max_size=24,
)
caps = st.tuples(st.integers(1, 3), st.sampled_from(["45m", "6h", "24h", "3d"]))
PARTS: dict[str, Callable[[Contact], tuple[str, ...]]] = {
    "all": lambda c: (),
    "agent": lambda c: (c.agent,),
    "kind": lambda c: ("service" if c.action.startswith("help") else "promotion",),
    "offer": lambda c: (c.agent, c.action.split("/")[0]),
    "channel": lambda c: (c.action.split("@")[1].split("#")[0],),
    "action": lambda c: (c.agent, c.action),
}
SPANS = {"45m": timedelta(minutes=45), "6h": timedelta(hours=6), "24h": DAY, "3d": 3 * DAY}


@pytest.mark.parametrize("scope", sorted(PARTS))
@settings(max_examples=40)
@given(steps=steps, caps=caps)
def test_no_sequence_of_decisions_exceeds_a_cap_in_any_span(
    build: Callable[..., Revision],
    steps: list[tuple[str, int, int]],
    caps: tuple[int, str],
    scope: str,
) -> None:
    most, per = caps
    cap = f"{{cap: {{rule: frequency_cap, max: {most}, per: {per}, scope: {scope}}}}}"
    agents = {
        name: build({**EARLY, "guardrails": cap}, agent=name) for name in ("helper", "seller")
    }
    now = datetime(2026, 3, 27, tzinfo=UTC)  # the clocks change on the way
    contacts: list[Contact] = []
    for name, minutes, pick in steps:
        revision = agents[name]
        now += timedelta(minutes=minutes)
        context = revision.context("ann", now, {"time_zone": "Europe/Berlin"}, contacts)
        allowed = [int(i) for i in revision.mask(context).indices]
        action = revision.actions[allowed[-1 - pick % len(allowed)]]
        at = revision.moment(context).send_at(action)
        if not action.is_none:
            assert at is not None
            contacts.append(contact(revision, action.id, at, agent=name))
    for key in {PARTS[scope](c) for c in contacts}:
        group = [c for c in contacts if PARTS[scope](c) == key]
        assert most_in_any_span(group, SPANS[per]) <= most
