from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.context import Contact, PastEvent
from agents.memory import Memory
from agents.revision import Revision

Do = Callable[..., str]
Ask = Callable[..., dict[str, str]]
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
TICK = timedelta(microseconds=1)
EVENTS = {"events": "{opened: {}, clicked: {counts_as: response}, called: {}}"}
HELP = {"help/short@email", "help/short@sms", "help/long@email", "help/long@sms"}
SALE = {"sale/plain@sms"}
SMS = {"help/short@sms", "help/long@sms", "sale/plain@sms"}
WINDOWS = """
  email: {windows: {late: {from: "18:00", to: "22:00"}}}
  sms: {cost: 0.5}"""


@pytest.mark.parametrize(("age", "on"), [(-DAY, False), (-DAY + TICK, True), (DAY - TICK, True),
                                         (DAY, False), (timedelta(0), True)])  # fmt: skip
def test_a_pause_after_a_contact_reaches_both_ways(
    build: Callable[..., Revision], send: Do, barred: Ask, noon: datetime, age: timedelta, on: bool
) -> None:
    revision, memory = build(guardrails="{rest: {rule: cooldown, pause: 1d}}"), Memory()
    send(memory, revision, "sale/plain@sms", noon)
    found = barred(memory, revision, noon + age)
    assert found == (dict.fromkeys(SALE, "rest: paused for 1d after contact (offer)") if on else {})


def test_a_planned_contact_pauses_what_comes_before_it(
    build: Callable[..., Revision], send: Do, barred: Ask, noon: datetime
) -> None:
    rules = "{rest: {rule: cooldown, pause: 5h, scope: all}}"
    revision, memory = build({"channels": WINDOWS}, guardrails=rules), Memory()
    send(memory, revision, "help/short@email#late", noon)  # at 17:00 UTC
    late = {"help/short@email#late", "help/long@email#late"}
    assert set(barred(memory, revision, noon)) == late
    assert set(barred(memory, revision, noon + TICK)) == late | SMS
    assert set(barred(memory, revision, noon + 10 * HOUR)) == set()  # the next evening
    unknown = barred(memory, revision, noon, time_zone=None)
    assert set(unknown) == late


@pytest.mark.parametrize(
    ("after", "begins"),
    [
        ("response", {"bought", "clicked"}),
        ("rejection", {"complained"}),
        ("[opened, complained]", {"opened", "complained"}),
    ],
)
def test_what_begins_a_pause(
    build: Callable[..., Revision],
    send: Do,
    hear: Callable[..., None],
    barred: Ask,
    noon: datetime,
    after: str,
    begins: set[str],
) -> None:
    rules = f"{{rest: {{rule: cooldown, pause: 2d, after: {after}}}}}"
    revision = build(EVENTS, guardrails=rules)
    (pause,) = (rule for rule in revision.guardrails if rule.name == "rest")
    assert pause.hears == begins
    assert revision.hears == begins | {"bought", "clicked"}  # responses, for learners
    for word in ("bought", "clicked", "complained", "opened", "called"):
        memory = Memory()
        decision = send(memory, revision, "help/short@email", noon)
        assert barred(memory, revision, noon) == {}  # the contact itself begins nothing
        hear(memory, word, noon + DAY, decision)
        assert barred(memory, revision, noon + DAY - TICK) == {}
        paused = HELP if word in begins else set()
        assert set(barred(memory, revision, noon + DAY)) == paused
        assert set(barred(memory, revision, noon + 3 * DAY - TICK)) == paused
        assert barred(memory, revision, noon + 3 * DAY) == {}


@pytest.mark.parametrize(
    ("scope", "followed", "alone"),
    [
        ("all", HELP | SALE, HELP | SALE),
        ("agent", HELP | SALE, set()),
        ("kind", HELP, set()),
        ("offer", HELP, set()),
        ("channel", SMS, set()),
        ("action", {"help/short@sms"}, set()),
    ],
)
@pytest.mark.parametrize("rule", ["cooldown, pause: 1d", "event_suppression, for: 1d"])
def test_an_event_pauses_what_shares_its_scope(
    build: Callable[..., Revision],
    send: Do,
    hear: Callable[..., None],
    barred: Ask,
    noon: datetime,
    rule: str,
    scope: str,
    followed: set[str],
    alone: set[str],
) -> None:
    revision = build(
        EVENTS, guardrails=f"{{rest: {{rule: {rule}, after: [opened], scope: {scope}}}}}"
    )
    memory = Memory()
    decision = send(memory, revision, "help/short@sms", noon)
    hear(memory, "opened", noon, decision)
    assert set(barred(memory, revision, noon)) == followed
    memory = Memory()
    hear(memory, "opened", noon)
    assert set(barred(memory, revision, noon)) == alone


@pytest.mark.parametrize(
    ("ages", "on"),
    [
        ((0, 24), False),  # two of three
        ((0, 24, 48), True),
        ((0, 0, 0), True),
        ((0, 24, 72), False),  # the first is exactly three days before the last
        ((0, 1, 24, 72), True),
        ((0, 24, 48, 150), True),  # a later one that begins nothing ends nothing
    ],
)
def test_a_pause_may_need_several_within_a_span(
    build: Callable[..., Revision],
    send: Do,
    hear: Callable[..., None],
    barred: Ask,
    noon: datetime,
    ages: Sequence[int],
    on: bool,
) -> None:
    rule = "{rule: cooldown, after: rejection, times: 3, within: 3d, pause: 7d, scope: all}"
    revision, memory = build(guardrails=f"{{rest: {rule}}}"), Memory()
    for hours in ages:
        decision = send(memory, revision, "help/short@sms", noon)
        hear(memory, "complained", noon + hours * HOUR, decision)
    third = noon + max(hours for hours in ages if hours <= 72) * HOUR
    found = barred(memory, revision, third + 7 * DAY - TICK)
    reason = "rest: paused for 1w after rejection 3 times in 3d (all)"
    assert found == (dict.fromkeys(HELP | SALE, reason) if on else {})
    assert barred(memory, revision, third + 7 * DAY) == {}
    assert revision.lookback == timedelta(days=30)


def test_lookback_holds_the_span_before_the_pause(build: Callable[..., Revision]) -> None:
    rule = "{rule: cooldown, after: rejection, times: 2, within: 20d, pause: 40d}"
    assert build(guardrails=f"{{rest: {rule}}}").event_lookback == 60 * DAY
    ends = "{gone: {rule: event_suppression, after: [bought]}}"
    assert build(guardrails=ends).event_lookback == 3_650 * DAY


def test_an_event_ends_its_offer_for_good(
    build: Callable[..., Revision], send: Do, hear: Callable[..., None], barred: Ask, noon: datetime
) -> None:
    revision = build(guardrails="{gone: {rule: event_suppression, after: [bought]}}")
    memory = Memory()
    decision = send(memory, revision, "sale/plain@sms", noon)
    hear(memory, "bought", noon + DAY, decision)
    assert barred(memory, revision, noon + DAY - TICK) == {}
    for later in (DAY, 900 * DAY, 3_651 * DAY - TICK):
        reason = "gone: ended for good by bought (offer)"
        assert barred(memory, revision, noon + later) == {"sale/plain@sms": reason}
    assert barred(memory, revision, noon + 3_651 * DAY) == {}


def test_on_and_except_choose_what_pauses_and_what_begins_it(
    build: Callable[..., Revision], send: Do, hear: Callable[..., None], barred: Ask, noon: datetime
) -> None:
    rule = "rule: cooldown, pause: 1d, scope: all, after: [opened], on: {offers: [help]}"
    revision = build(EVENTS, guardrails=f"{{rest: {{{rule}, except: {{channels: [sms]}}}}}}")
    memory = Memory()
    for other in ("sale/plain@sms", "help/short@sms"):
        hear(memory, "opened", noon, send(memory, revision, other, noon))
    assert barred(memory, revision, noon) == {}
    hear(memory, "opened", noon, send(memory, revision, "help/long@email", noon))
    assert set(barred(memory, revision, noon)) == {"help/short@email", "help/long@email"}


def test_contacts_it_does_not_speak_of_begin_no_pause(
    build: Callable[..., Revision], send: Do, barred: Ask, noon: datetime
) -> None:
    rule = "rule: cooldown, pause: 1d, scope: all, on: {offers: [help]}"
    revision, memory = build(guardrails=f"{{rest: {{{rule}}}}}"), Memory()
    send(memory, revision, "sale/plain@sms", noon)
    assert barred(memory, revision, noon) == {}
    send(memory, revision, "help/short@sms", noon)
    assert set(barred(memory, revision, noon)) == HELP


def test_a_bundle_pauses_with_every_offer_it_includes(
    build: Callable[..., Revision], send: Do, barred: Ask, noon: datetime
) -> None:
    offers = """
  help: {kind: service, variants: {a: {text: a}}, channels: [sms]}
  sale: {kind: promotion, variants: {a: {text: a}}, channels: [sms]}
  pack: {kind: service, variants: {a: {text: a}}, channels: [sms], includes: [help]}"""
    revision = build(offers=offers, guardrails="{rest: {rule: cooldown, pause: 1d}}")
    for sent, paused in (
        ("help/a@sms", {"help/a@sms", "pack/a@sms"}),
        ("pack/a@sms", {"help/a@sms", "pack/a@sms"}),
        ("sale/a@sms", {"sale/a@sms"}),
    ):
        memory = Memory()
        send(memory, revision, sent, noon)
        assert set(barred(memory, revision, noon + HOUR)) == paused


# --- against the definition, by brute force ---

WHO = ["helper", "seller"]
IDS = ["help/short@email", "help/long@sms", "sale/plain@sms"]
past = st.lists(
    st.tuples(st.integers(-150, 40), st.sampled_from(WHO), st.sampled_from(IDS)), max_size=8
)


def same(scope: str, item: Contact | PastEvent, action_id: str) -> bool:
    """Say whether something shares a scope with an action of `helper`."""
    offer, kind = ("help", "service") if action_id in HELP else ("sale", "promotion")
    mine = item.agent == "helper"
    return {
        "all": True,
        "agent": mine,
        "kind": item.kind == kind,
        "offer": mine and item.offer == offer,
        "channel": item.channel == action_id.split("@")[1],
        "action": mine and item.action == action_id,
    }[scope]


def crowds(
    planned: list[datetime], now: datetime, times: int, within: timedelta, pause: timedelta
) -> bool:
    """Say whether a contact now brings about a pause in which a planned one would be sent."""

    def full(listed: list[datetime], at: datetime) -> bool:
        return sum(at - within < other <= at for other in listed) >= times

    return any(
        full([*planned, now], at) and any(at < other < at + pause for other in planned)
        for at in [now, *planned]
        if at >= now and (at not in planned or not full(planned, at))
    )


@pytest.mark.parametrize("scope", ["all", "agent", "kind", "offer", "channel", "action"])
@pytest.mark.parametrize("after", ["contact", "[opened]"])
@settings(max_examples=60)
@given(past=past, times=st.integers(1, 3), pause=st.integers(1, 48), within=st.integers(1, 72))
def test_a_pause_is_what_its_definition_says(
    build: Callable[..., Revision],
    noon: datetime,
    scope: str,
    after: str,
    past: list[tuple[int, str, str]],
    times: int,
    pause: int,
    within: int,
) -> None:
    several = f", times: {times}, within: {within}h" if times > 1 else ""
    revision = build(
        EVENTS,
        guardrails=f"{{rest: {{rule: cooldown, pause: {pause}h, after: {after}, scope: {scope}"
        f"{several}}}}}",
    )
    contacts: list[Contact] = []
    events: list[PastEvent] = []
    for hours, agent, action_id in sorted(past):
        action, at = revision.actions[revision.index(action_id)], noon + hours * HOUR
        names = (agent, action.offer, action.kind, action.channel, action.id)
        if after == "contact":
            contacts.append(Contact(at, *names))
        elif hours <= 0:
            events.append(PastEvent(at, "opened", "d", *names))
    context = revision.context(
        "ann", noon, {"consent_email": True, "time_zone": "UTC"}, contacts, events=events
    )
    allowed = dict(zip(revision.action_ids, revision.mask(context).allowed.tolist(), strict=True))
    for action_id in HELP | SALE:
        both: list[Contact | PastEvent] = [*contacts, *events]
        matching = [item.at for item in both if same(scope, item, action_id)]
        on, spans = False, (times, within * HOUR, pause * HOUR)
        for at in matching:
            begins = times == 1 or (
                sum(at - within * HOUR < other <= at for other in matching) >= times
            )
            after_it = at <= noon < at + pause * HOUR
            before_it = after == "contact" and timedelta(0) < at - noon < pause * HOUR
            on = on or (begins and (after_it or before_it))
        on = on or (after == "contact" and times > 1 and crowds(matching, noon, *spans))
        assert allowed[action_id] is not on
