from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.context import Contact, PastEvent
from agents.guardrails.base import shares
from agents.guardrails.history import keys
from agents.memory import Memory
from agents.revision import HISTORY, Revision
from agents.spec import Scope

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


def all_barred(
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
    assert all_barred(capped, features, noon, contacts) == expected


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
    assert all_barred(revision, features, noon, []) == {a.id for a in revision.actions[1:]}


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
    assert all_barred(revision, features, noon, [mine]) == own
    assert all_barred(revision, features, noon, [theirs]) == other
    old = contact(revision, "help/short@sms", noon - DAY)
    assert all_barred(revision, features, noon, [old]) == set()


def test_a_cooldown_speaks_of_the_offer_unless_it_says_otherwise(
    build: Callable[..., Revision], features: dict[str, object], noon: datetime
) -> None:
    revision = build(guardrails="{rest: {rule: cooldown, pause: 1d}}")
    assert all_barred(revision, features, noon, [contact(revision, "sale/plain@sms", noon)]) == SALE


def test_each_send_window_is_counted_from_its_own_instant(
    build: Callable[..., Revision], features: dict[str, object], noon: datetime
) -> None:
    revision = build(EARLY, guardrails="{rest: {rule: cooldown, pause: 12h, scope: all}}")
    sent = contact(revision, "help/short@sms", noon - timedelta(hours=6))  # at 07:00 there
    # At once is 6 h after it, the late window 11 h (18:00), the early one 23 h (06:00 next day).
    assert {a for a in all_barred(revision, features, noon, [sent]) if "early" not in a} == {
        "help/short@email#late", "help/long@email#late", *SMS,
    }  # fmt: skip
    assert "help/short@email#early" not in all_barred(revision, features, noon, [sent])


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
        at = revision.send_at(action, context)
        if not action.is_none:
            assert at is not None
            contacts.append(contact(revision, action.id, at, agent=name))
    for key in {PARTS[scope](c) for c in contacts}:
        group = [c for c in contacts if PARTS[scope](c) == key]
        assert most_in_any_span(group, SPANS[per]) <= most


# --- contacts that were really made, events that were really heard ---

EVENTS = {"events": "{bounced: {counts_as: failure}, clicked: {counts_as: response}}"}
Ask = Callable[..., dict[str, str]]
Do = Callable[..., str]
Say = Callable[..., None]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("per", "sent", "now", "barred_now"),
    [
        # The workspace counts in Berlin: 23:00 UTC in winter is midnight there.
        ("hour", "2026-01-14T12:00", "2026-01-14T12:59:59", True),
        ("hour", "2026-01-14T12:59:59", "2026-01-14T13:00", False),
        ("hour", "2026-10-25T00:30", "2026-10-25T01:30", True),  # the hour that comes twice is one
        ("day", "2026-01-13T23:00", "2026-01-14T22:59:59", True),
        ("day", "2026-01-13T22:59:59", "2026-01-13T23:00", False),
        ("day", "2026-03-28T23:00", "2026-03-29T21:59:59", True),  # a day of 23 hours
        ("day", "2026-03-28T23:00", "2026-03-29T22:00", False),
        ("day", "2026-10-24T22:00", "2026-10-25T22:59:59", True),  # a day of 25 hours
        ("day", "2026-10-24T22:00", "2026-10-25T23:00", False),
        ("week", "2026-12-27T23:00", "2027-01-03T22:59:59", True),  # across the year's end
        ("week", "2026-12-27T22:59:59", "2026-12-27T23:00", False),
        ("month", "2028-01-31T23:00", "2028-02-29T22:59:59", True),  # a leap day
        ("month", "2026-12-31T22:59:59", "2026-12-31T23:00", False),
        ("month", "2026-09-30T22:00", "2026-10-31T22:59:59", True),  # 31 days and an hour
        ("quarter", "2026-09-30T22:00", "2026-12-31T22:59:59", True),
        ("quarter", "2026-09-30T21:59:59", "2026-09-30T22:00", False),
        ("year", "2027-12-31T23:00", "2028-12-31T22:59:59", True),  # 366 days
        ("year", "2028-12-31T22:59:59", "2028-12-31T23:00", False),
    ],
)
def test_a_calendar_cap_counts_in_periods_of_the_workspace(
    build: Callable[..., Revision],
    send: Do,
    barred: Ask,
    per: str,
    sent: str,
    now: str,
    barred_now: bool,
) -> None:
    cap = f"{{cap: {{rule: frequency_cap, max: 1, per: {per}, window: calendar}}}}"
    revision, memory = build(guardrails=cap), Memory()
    send(memory, revision, "sale/plain@sms", utc(sent))
    found = barred(memory, revision, utc(now))
    reason = f"cap: 1 of 1 contacts in a calendar {per} (all)"
    assert found == (dict.fromkeys(revision.action_ids[1:], reason) if barred_now else {})


def test_a_planned_contact_counts_in_the_period_it_is_sent_in(
    build: Callable[..., Revision], send: Do, barred: Ask
) -> None:
    cap = "{cap: {rule: frequency_cap, max: 1, per: day, window: calendar}}"
    revision, memory = build(EARLY, guardrails=cap), Memory()
    evening = utc("2026-01-14T21:30")  # 22:30 in Berlin: both windows open again tomorrow
    send(memory, revision, "help/short@email#early", evening)
    planned = {name for name in revision.action_ids if "@email" in name}
    assert set(barred(memory, revision, evening)) == planned
    assert barred(memory, revision, utc("2026-01-14T16:00")).keys() == {
        "help/short@email#early", "help/long@email#early",
    }  # fmt: skip


def test_a_failure_takes_a_contact_back_from_the_deliveries(
    build: Callable[..., Revision], send: Do, hear: Say, barred: Ask, noon: datetime
) -> None:
    cap = "{cap: {rule: frequency_cap, max: 1, per: 7d, counts: delivery}}"
    revision, memory = build(EVENTS, guardrails=cap), Memory()
    assert next(rule.hears for rule in revision.guardrails if rule.name == "cap") == {"bounced"}
    first = send(memory, revision, "sale/plain@sms", noon)
    assert barred(memory, revision, noon)["sale/plain@sms"] == "cap: 1 of 1 deliveries in 1w (all)"
    hear(memory, "clicked", noon, first)
    hear(memory, "bounced", noon)  # of no decision
    assert len(barred(memory, revision, noon + DAY)) == 5
    hear(memory, "bounced", noon + DAY, first)
    assert len(barred(memory, revision, noon + DAY - TICK)) == 5
    assert barred(memory, revision, noon + DAY) == {}
    second = send(memory, revision, "help/short@sms", noon + DAY)
    assert len(barred(memory, revision, noon + DAY)) == 5
    hear(memory, "bounced", noon + DAY, first)  # again: it takes back one contact only
    assert len(barred(memory, revision, noon + DAY)) == 5
    hear(memory, "bounced", noon + DAY, second)
    assert barred(memory, revision, noon + DAY) == {}


def test_a_failure_may_be_older_than_the_planned_contact(
    build: Callable[..., Revision], send: Do, hear: Say, barred: Ask, noon: datetime
) -> None:
    week = '{windows: {w: {from: "10:00", to: "11:00", days: [tue]}}}'
    weekly = {"channels": f"{{email: {week}, sms: {{}}}}"}
    cap = "{cap: {rule: frequency_cap, max: 1, per: 30d, counts: delivery}}"
    revision, memory = build({**EVENTS, **weekly}, guardrails=cap), Memory()
    decision = send(memory, revision, "help/short@email#w", noon)
    hear(memory, "bounced", noon, decision)
    assert barred(memory, revision, utc("2026-01-20T09:00") + 30 * DAY - TICK) == {}


@pytest.mark.parametrize(
    ("scope", "followed", "alone"),
    [
        ("all", HELP | SALE, HELP | SALE),
        ("agent", HELP | SALE, set()),
        ("offer", HELP, set()),
        ("channel", SMS, set()),
    ],
)
def test_responses_count_when_they_come(
    build: Callable[..., Revision],
    send: Do,
    hear: Say,
    barred: Ask,
    noon: datetime,
    scope: str,
    followed: set[str],
    alone: set[str],
) -> None:
    cap = f"{{cap: {{rule: frequency_cap, max: 2, per: 3d, counts: response, scope: {scope}}}}}"
    revision, memory = build(EVENTS, guardrails=cap), Memory()
    assert next(rule.hears for rule in revision.guardrails if rule.name == "cap") == {
        "bought", "clicked",
    }  # fmt: skip
    decision = send(memory, revision, "help/short@sms", noon)
    for word in ("complained", "bounced", "bought"):
        hear(memory, word, noon + DAY, decision)
    assert barred(memory, revision, noon + DAY) == {}
    hear(memory, "clicked", noon + DAY, decision)
    found = barred(memory, revision, noon + DAY)
    assert found == dict.fromkeys(followed, f"cap: 2 of 2 responses in 3d ({scope})")
    assert set(barred(memory, revision, noon + 4 * DAY - TICK)) == followed
    assert barred(memory, revision, noon + 4 * DAY) == {}
    memory = Memory()
    for _ in range(2):
        hear(memory, "clicked", noon)  # of no decision: nobody's, so of the scope all only
    assert set(barred(memory, revision, noon)) == alone


@pytest.mark.parametrize("counts", ["decision", "delivery"])
def test_on_and_except_choose_what_is_barred_and_what_counts(
    build: Callable[..., Revision], send: Do, barred: Ask, noon: datetime, counts: str
) -> None:
    chosen = "on: {kinds: [service]}, except: {channels: [email]}"
    cap = f"{{cap: {{rule: frequency_cap, max: 1, per: 1d, counts: {counts}, {chosen}}}}}"
    workspace = {**EVENTS, "guardrails": cap}
    revision, other = build(workspace), build(workspace, agent="seller")
    memory = Memory()
    for action in ("sale/plain@sms", "help/short@email"):
        send(memory, revision, action, noon)
        send(memory, other, action, noon)
    assert barred(memory, revision, noon) == {}
    send(memory, other, "help/short@sms", noon)  # kinds and channels are known of every agent's
    assert set(barred(memory, revision, noon)) == {"help/short@sms", "help/long@sms"}


def test_responses_to_what_it_does_not_speak_of_do_not_count(
    build: Callable[..., Revision], send: Do, hear: Say, barred: Ask, noon: datetime
) -> None:
    cap = "rule: frequency_cap, max: 1, per: 1d, counts: response, on: {kinds: [service]}"
    revision, memory = build(EVENTS, guardrails=f"{{cap: {{{cap}}}}}"), Memory()
    hear(memory, "clicked", noon, send(memory, revision, "sale/plain@sms", noon))
    assert barred(memory, revision, noon) == {}
    hear(memory, "clicked", noon, send(memory, revision, "help/short@sms", noon))
    assert set(barred(memory, revision, noon)) == HELP


def test_a_failure_of_no_decision_takes_nothing_back(
    build: Callable[..., Revision], features: dict[str, object], noon: datetime
) -> None:
    cap = "{cap: {rule: frequency_cap, max: 1, per: 7d, counts: delivery}}"
    revision = build(EVENTS, guardrails=cap)
    sent = [contact(revision, "sale/plain@sms", noon)]  # of a decision that nobody noted
    failed = [PastEvent(noon, "bounced")]
    mask = revision.mask(revision.context("ann", noon, features, sent, events=failed))
    assert mask.all_barred


def test_offers_are_known_of_the_agents_own_contacts_only(
    build: Callable[..., Revision], send: Do, barred: Ask, noon: datetime
) -> None:
    cap = "{cap: {rule: frequency_cap, max: 1, per: 1d, on: {offers: [sale]}}}"
    revision, memory = build(guardrails=cap), Memory()
    send(memory, build(agent="seller"), "sale/plain@sms", noon)
    send(memory, revision, "help/short@sms", noon)
    assert barred(memory, revision, noon) == {}
    send(memory, revision, "sale/plain@sms", noon)
    assert set(barred(memory, revision, noon)) == SALE


@pytest.mark.parametrize(
    ("sent", "full"),
    [
        (["help/a@sms"], {"help/a@sms", "pack/a@sms"}),
        (["sale/a@sms"], {"sale/a@sms"}),
        (["pack/a@sms"], {"help/a@sms", "pack/a@sms", "gift/a@email"}),
        (["gift/a@email"], {"gift/a@email", "pack/a@sms"}),
    ],
)
def test_a_bundle_counts_for_every_offer_it_includes(
    build: Callable[..., Revision],
    send: Do,
    barred: Ask,
    noon: datetime,
    sent: list[str],
    full: set[str],
) -> None:
    offers = """
  help: {kind: service, variants: {a: {text: a}}, channels: [sms]}
  sale: {kind: promotion, variants: {a: {text: a}}, channels: [sms]}
  gift: {kind: service, variants: {a: {text: a}}, channels: [email]}
  pack: {kind: service, variants: {a: {text: a}}, channels: [sms], includes: [help, gift]}"""
    cap = "{cap: {rule: frequency_cap, max: 1, per: 1d, scope: offer}}"
    revision, memory = build(offers=offers, guardrails=cap), Memory()
    for action in sent:
        send(memory, revision, action, noon)
    assert set(barred(memory, revision, noon)) == full


def test_lookback_holds_the_longest_period(build: Callable[..., Revision]) -> None:
    def lookback(per: str) -> timedelta:
        cap = f"{{cap: {{rule: frequency_cap, max: 1, per: {per}, window: calendar}}}}"
        revision: Revision = build(guardrails=cap)
        reach: timedelta = revision.lookback
        return reach

    assert lookback("day") == HISTORY
    assert 31 * DAY < lookback("month") <= 33 * DAY
    assert 92 * DAY < lookback("quarter") <= 94 * DAY
    assert 366 * DAY < lookback("year") <= 368 * DAY


names = st.sampled_from(["", "helper", "seller", "help", "sale", "pack"])


@given(
    scope=st.sampled_from(sorted(PARTS)),
    words=st.tuples(names, names, names, names, names),
    includes=st.lists(names, max_size=2).map(tuple),
    key=names,
    event=st.booleans(),
)
def test_the_keys_of_something_earlier_are_those_it_shares(
    noon: datetime,
    scope: Scope,
    words: tuple[str, str, str, str, str],
    includes: tuple[str, ...],
    key: str,
    event: bool,
) -> None:
    past = (
        PastEvent(noon, "clicked", "d", *words, includes)
        if event
        else Contact(noon, *words, includes)
    )
    key = "" if scope in ("all", "agent") else key
    assert (key in keys(past, "helper", scope)) == shares(past, "helper", scope, key)


trains = st.lists(
    st.tuples(st.integers(1, 20), st.integers(0, 30), st.sampled_from(["", "bounced", "clicked"])),
    max_size=20,
)


@pytest.mark.parametrize("per", ["30h", "day", "week"])
@pytest.mark.parametrize("counts", ["decision", "delivery", "response"])
@settings(max_examples=25)
@given(train=trains, most=st.integers(1, 3))
def test_what_is_counted_never_exceeds_the_cap_when_only_the_allowed_is_sent(
    build: Callable[..., Revision],
    send: Do,
    hear: Say,
    barred: Ask,
    per: str,
    counts: str,
    train: list[tuple[int, int, str]],
    most: int,
) -> None:
    window = "rolling" if per == "30h" else "calendar"
    cap = f"rule: frequency_cap, max: {most}, per: {per}, window: {window}, counts: {counts}"
    workspace = {**EARLY, **EVENTS, "zone": "UTC"}
    revision, memory = build(workspace, guardrails=f"{{cap: {{{cap}}}}}"), Memory()
    now = utc("2026-12-26T00:00")
    counted: list[datetime] = []
    for hours, pick, word in train:
        now += timedelta(hours=hours)
        shut = barred(memory, revision, now)
        near = [at for at in counted if together(at, now, per)]
        assert ("sale/plain@sms" in shut) == (len(near) >= most)
        free = [name for name in revision.action_ids[1:] if name not in shut]
        if not free:
            continue
        action = revision.actions[revision.index(free[pick % len(free)])]
        decision = send(memory, revision, action.id, now)
        context = memory.recall(revision, "ann", now, {"time_zone": "Europe/Berlin"})
        at = revision.send_at(action, context)
        assert at is not None
        if word:
            hear(memory, word, now, decision)
        if counts == "response":
            counted += [now] if word == "clicked" else []
        elif not (counts == "delivery" and word == "bounced"):
            counted.append(at)
        if counts != "response":
            most_seen = max((fullest(counted, at, per) for at in counted), default=0)
            assert most_seen <= most


def together(one: datetime, other: datetime, per: str) -> bool:
    """Say whether two instants fall in one span or period, the calendar being UTC's."""
    if per == "30h":
        return abs(one - other) < timedelta(hours=30)
    monday = [at.date() - timedelta(days=at.weekday()) for at in (one, other)]
    return one.date() == other.date() if per == "day" else monday[0] == monday[1]


def fullest(counted: list[datetime], last: datetime, per: str) -> int:
    """Count what lies in the span or period that ends with, or holds, an instant."""
    if per == "30h":
        return sum(last - timedelta(hours=30) < at <= last for at in counted)
    return sum(together(at, last, per) for at in counted)
