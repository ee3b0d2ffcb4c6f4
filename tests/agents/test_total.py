from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.memory import Memory
from agents.revision import Revision

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
TICK = timedelta(microseconds=1)
EVENTS = {"events": "{bounced: {counts_as: failure}, clicked: {counts_as: response}}"}
HELP = {"help/short@email", "help/short@sms", "help/long@email", "help/long@sms"}
SALE = {"sale/plain@sms"}
SMS = {"help/short@sms", "help/long@sms", "sale/plain@sms"}
BY_ACTION = [f"cap:cap:helper/{name} per day" for name in sorted(HELP | SALE)]
Ask = Callable[..., dict[str, str]]
Do = Callable[..., str]


def cap(rest: str) -> str:
    return f"{{cap: {{rule: frequency_cap, for: total, {rest}}}}}"


def test_it_counts_over_all_customers(
    build: Callable[..., Revision], send: Do, barred: Ask, noon: datetime
) -> None:
    revision = build(guardrails=cap("max: 2, per: day, window: calendar"))
    memory = Memory()
    for customer in ("bob", "eve"):
        assert barred(memory, revision, noon) == {}
        send(memory, revision, "sale/plain@sms", noon, customer)
    reason = "cap: 2 of 2 contacts in a calendar day (all), over all customers"
    assert barred(memory, revision, noon) == dict.fromkeys(HELP | SALE, reason)
    midnight = noon.replace(hour=23)  # in Berlin
    assert len(barred(memory, revision, midnight - TICK)) == 5
    assert barred(memory, revision, midnight) == {}


@pytest.mark.parametrize(
    ("scope", "names", "own", "other"),
    [
        ("all", ["cap:cap per day"], HELP | SALE, HELP | SALE),
        ("agent", ["cap:cap:helper per day"], HELP | SALE, set()),
        ("kind", ["cap:cap:service per day", "cap:cap:promotion per day"], HELP, HELP),
        ("offer", ["cap:cap:helper/help per day", "cap:cap:helper/sale per day"], HELP, set()),
        ("channel", ["cap:cap:email per day", "cap:cap:sms per day"], SMS, SMS),
        ("action", BY_ACTION, {"help/short@sms"}, set()),
    ],
)  # fmt: skip
def test_each_group_of_the_scope_has_a_counter(
    build: Callable[..., Revision],
    send: Do,
    barred: Ask,
    noon: datetime,
    scope: str,
    names: list[str],
    own: set[str],
    other: set[str],
) -> None:
    rule = cap(f"max: 1, per: day, window: calendar, scope: {scope}")
    helper, seller = (build({"guardrails": rule}, agent=name) for name in ("helper", "seller"))
    assert sorted(counter.name for counter in helper.counters) == sorted(names)
    memory = Memory()
    send(memory, helper, "help/short@sms", noon, "bob")
    assert set(barred(memory, helper, noon)) == own
    assert set(barred(memory, seller, noon)) == other


def test_an_agents_own_cap_has_its_own_counter(build: Callable[..., Revision]) -> None:
    revision = build(guardrails=cap("max: 1, per: day, window: calendar"))
    assert [counter.name for counter in revision.counters] == ["cap:helper/cap per day"]
    assert revision.counters[0].zone == "Europe/Berlin"


def test_a_failure_gives_a_delivery_back(
    build: Callable[..., Revision], send: Do, hear: Callable[..., None], barred: Ask, noon: datetime
) -> None:
    rule = cap("max: 1, per: week, window: calendar, counts: delivery")
    revision, memory = build(EVENTS, guardrails=rule), Memory()
    decision = send(memory, revision, "sale/plain@sms", noon, "bob")
    assert len(barred(memory, revision, noon)) == 5
    hear(memory, "clicked", noon, decision, "bob")
    assert len(barred(memory, revision, noon)) == 5
    hear(memory, "bounced", noon + DAY, decision, "bob")
    hear(memory, "bounced", noon + DAY, decision, "bob")  # only once
    assert barred(memory, revision, noon) == {}
    send(memory, revision, "sale/plain@sms", noon, "bob")
    assert len(barred(memory, revision, noon)) == 5


def test_responses_are_counted_when_they_come(
    build: Callable[..., Revision], send: Do, hear: Callable[..., None], barred: Ask, noon: datetime
) -> None:
    rule = cap("max: 1, per: day, window: calendar, counts: response, scope: offer")
    revision, memory = build(EVENTS, guardrails=rule), Memory()
    decision = send(memory, revision, "sale/plain@sms", noon - DAY, "bob")
    hear(memory, "bounced", noon, decision, "bob")
    assert barred(memory, revision, noon) == {}
    hear(memory, "clicked", noon, decision, "bob")
    reason = "cap: 1 of 1 responses in a calendar day (offer), over all customers"
    assert barred(memory, revision, noon) == dict.fromkeys(SALE, reason)
    assert barred(memory, revision, noon - DAY) == {}


def test_a_bundle_is_charged_to_every_offer_it_includes(
    build: Callable[..., Revision], send: Do, barred: Ask, noon: datetime
) -> None:
    offers = """
  help: {kind: service, variants: {a: {text: a}}, channels: [sms]}
  sale: {kind: promotion, variants: {a: {text: a}}, channels: [sms]}
  pack: {kind: service, variants: {a: {text: a}}, channels: [sms], includes: [help]}"""
    rule = cap("max: 1, per: day, window: calendar, scope: offer")
    revision = build(offers=offers, guardrails=rule)
    for sent in ("pack/a@sms", "help/a@sms"):
        memory = Memory()
        send(memory, revision, sent, noon, "bob")
        assert set(barred(memory, revision, noon)) == {"pack/a@sms", "help/a@sms"}


def test_only_what_it_speaks_of_counts(
    build: Callable[..., Revision], send: Do, barred: Ask, noon: datetime
) -> None:
    rule = cap("max: 1, per: day, window: calendar, on: {offers: [help]}")
    revision, memory = build(guardrails=rule), Memory()
    send(memory, revision, "sale/plain@sms", noon, "bob")
    assert barred(memory, revision, noon) == {}
    send(memory, revision, "help/short@sms", noon, "bob")
    assert set(barred(memory, revision, noon)) == HELP


def test_each_send_window_is_judged_by_its_own_period(
    build: Callable[..., Revision], send: Do, barred: Ask, noon: datetime
) -> None:
    windows = '\n  email: {windows: {early: {from: "06:00", to: "09:00"}}}\n  sms: {}'
    rule = cap("max: 1, per: day, window: calendar")
    revision, memory = build({"channels": windows}, guardrails=rule), Memory()
    send(memory, revision, "sale/plain@sms", noon, "bob")
    assert all("@sms" in name for name in barred(memory, revision, noon))
    send(memory, revision, "help/short@email#early", noon, "bob")  # tomorrow
    assert len(barred(memory, revision, noon)) == 5
    found = barred(Memory(), revision, noon, time_zone=None)
    assert set(found) == {"help/short@email#early", "help/long@email#early"}


def test_an_amount_that_was_not_read_bars(
    build: Callable[..., Revision], features: dict[str, object], noon: datetime
) -> None:
    revision = build(guardrails=cap("max: 9, per: day, window: calendar, scope: offer"))
    key = revision.readings(revision.context("ann", noon, features))[0].key
    context = revision.context("ann", noon, features, usage={key: 8.0})
    reasons = dict(zip(revision.action_ids, revision.mask(context).reasons, strict=True))
    assert {name for name, reason in reasons.items() if reason is None} == {"none", *HELP}
    assert (
        reasons["sale/plain@sms"]
        == f"cap: the amount of {key.replace('/help', '/sale')} is missing"
    )


@settings(max_examples=60)
@given(
    train=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 9)), max_size=30),
    most=st.integers(1, 4),
)
def test_no_rolling_span_ever_holds_more_than_the_cap(
    build: Callable[..., Revision],
    send: Do,
    barred: Ask,
    noon: datetime,
    train: list[tuple[int, int]],
    most: int,
) -> None:
    windows = '\n  email: {windows: {late: {from: "18:00", to: "22:00"}}}\n  sms: {}'
    revision = build({"channels": windows}, guardrails=cap(f"max: {most}, per: 24h"))
    memory, now = Memory(), noon
    sent: list[datetime] = []
    for count, (minutes, pick) in enumerate(train):
        now += timedelta(minutes=minutes * 7)
        shut = barred(memory, revision, now, f"c{count}")
        near = sum(abs(at - now) < DAY for at in sent)
        surely_free = sum(abs(at - now) < DAY + DAY / 60 for at in sent) < most
        assert ("sale/plain@sms" in shut) or near < most
        assert not (surely_free and "sale/plain@sms" in shut)  # over-counts by a bucket at most
        free = [name for name in revision.action_ids[1:] if name not in shut]
        if free:
            action = revision.actions[revision.index(free[pick % len(free)])]
            context = memory.recall(revision, "ann", now, {"time_zone": "Europe/Berlin"})
            at = revision.send_at(action, context)
            assert at is not None
            sent.append(at)
            send(memory, revision, action.id, now, f"c{count}")
    for last in sent:
        assert sum(last - DAY < at <= last for at in sent) <= most
