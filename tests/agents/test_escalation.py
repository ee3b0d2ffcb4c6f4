from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from agents.memory import Memory
from agents.revision import HISTORY, Revision

Do = Callable[..., str]
Ask = Callable[..., dict[str, str]]
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
TICK = timedelta(microseconds=1)
EVENTS = {"events": "{opened: {}, replied: {}}"}
SMS = {"help/short@sms", "help/long@sms"}


def rule(extra: str = "") -> str:
    return (
        "{then_sms: {rule: escalation, from: email, to: sms, unless: [opened, replied],"
        f" wait: 24h, within: 72h{extra}, on: {{offers: [help]}}}}}}"
    )


@pytest.fixture
def revision(build: Callable[..., Revision]) -> Revision:
    return build(EVENTS, guardrails=rule())


def test_the_channel_is_shut_before_the_first_was_tried(
    revision: Revision, barred: Ask, noon: datetime
) -> None:
    found = barred(Memory(), revision, noon)
    assert set(found) == SMS
    assert found["help/short@sms"] == (
        "then_sms: sms opens 1d to 3d after email without opened or replied (offer)"
    )


@pytest.mark.parametrize(
    ("age", "opens"),
    [
        (timedelta(0), False),
        (24 * HOUR - TICK, False),
        (24 * HOUR, True),
        (72 * HOUR - TICK, True),
        (72 * HOUR, False),
    ],
)
def test_it_opens_from_wait_to_within_after_an_unanswered_contact(
    revision: Revision, send: Do, barred: Ask, noon: datetime, age: timedelta, opens: bool
) -> None:
    memory = Memory()
    send(memory, revision, "help/long@sms", noon)  # by another channel than the first
    assert set(barred(memory, revision, noon + age)) == SMS
    send(memory, revision, "help/long@email", noon)
    assert set(barred(memory, revision, noon + age)) == (set() if opens else SMS)


def test_an_answer_shuts_it_and_another_unanswered_contact_opens_it(
    revision: Revision, send: Do, hear: Callable[..., None], barred: Ask, noon: datetime
) -> None:
    memory, later = Memory(), noon + 30 * HOUR
    first = send(memory, revision, "help/short@email", noon)
    hear(memory, "bought", noon + HOUR, first)  # not a word that answers
    hear(memory, "opened", noon + HOUR)  # of no decision
    assert barred(memory, revision, later) == {}
    hear(memory, "replied", noon + 2 * HOUR, first)
    assert set(barred(memory, revision, later)) == SMS
    send(memory, revision, "help/short@email", noon + HOUR)
    assert barred(memory, revision, later) == {}


def test_an_answer_may_be_older_than_the_planned_contact(
    build: Callable[..., Revision], send: Do, hear: Callable[..., None], barred: Ask, noon: datetime
) -> None:
    weekly = '\n  email: {windows: {w: {from: "10:00", to: "11:00", days: [tue]}}}\n  sms: {}'
    spans = rule().replace("72h", "30d")  # as long as every context reaches back by itself
    revision, memory = build({**EVENTS, "channels": weekly}, guardrails=spans), Memory()
    decision = send(memory, revision, "help/short@email#w", noon)  # sent on the 20th at 09:00 UTC
    hear(memory, "opened", noon, decision)
    last = datetime.fromisoformat("2026-01-20T09:00Z") + 30 * DAY - TICK
    assert last - noon > HISTORY
    assert set(barred(memory, revision, last)) == SMS


@pytest.mark.parametrize(("scope", "opened"), [("agent", SMS), ("offer", set())])
def test_what_both_contacts_must_share(
    build: Callable[..., Revision],
    send: Do,
    barred: Ask,
    noon: datetime,
    scope: str,
    opened: set[str],
) -> None:
    offers = """
  help: {kind: service, variants: {short: {text: a}, long: {text: b}}, channels: [email, sms]}
  news: {kind: education, variants: {a: {text: a}}, channels: [email]}
  pack: {kind: service, variants: {a: {text: a}}, channels: [email], includes: [help]}"""
    revision = build(EVENTS, offers=offers, guardrails=rule(f", scope: {scope}"))
    for first in ("news/a@email", "pack/a@email"):  # a bundle is not the very same offer
        memory = Memory()
        send(memory, revision, first, noon)
        assert set(barred(memory, revision, noon + DAY)) == SMS - opened


def test_another_agents_contact_opens_nothing(
    build: Callable[..., Revision], revision: Revision, send: Do, barred: Ask, noon: datetime
) -> None:
    memory = Memory()
    send(memory, build(EVENTS, agent="seller"), "help/short@email", noon)
    assert set(barred(memory, revision, noon + DAY)) == SMS
    wide = build(EVENTS, guardrails=rule(", scope: agent"))
    assert set(barred(memory, wide, noon + DAY)) == SMS


def test_each_send_window_is_judged_by_its_own_instant(
    build: Callable[..., Revision], send: Do, barred: Ask, noon: datetime
) -> None:
    windows = """
  email: {}
  sms: {windows: {early: {from: "06:00", to: "09:00"}, late: {from: "18:00", to: "22:00"}}}"""
    revision, memory = build({**EVENTS, "channels": windows}, guardrails=rule()), Memory()
    send(memory, revision, "help/short@email", noon - 18 * HOUR)
    # 18:00 in Berlin is 5 hours ahead: 23 h; 06:00 is 17 hours ahead: 35 h.
    assert set(barred(memory, revision, noon)) == {"help/short@sms#late", "help/long@sms#late"}
    early, memory = datetime.fromisoformat("2026-01-12T05:00Z"), Memory()
    send(memory, revision, "help/short@email", early)  # three days before
    assert "help/short@sms#early" in barred(memory, revision, noon)
    send(memory, revision, "help/short@email", early + TICK)
    assert "help/short@sms#early" not in barred(memory, revision, noon)
    unknown = barred(memory, revision, noon, time_zone=None)
    assert {"help/short@sms#early", "help/short@sms#late"} <= set(unknown)


def test_it_hears_answers_and_compiles_to_nothing_without_actions(
    build: Callable[..., Revision], revision: Revision
) -> None:
    (then,) = (rule for rule in revision.guardrails if rule.name == "then_sms")
    assert then.hears == {"opened", "replied"}
    assert revision.hears == {"opened", "replied", "bought"}  # a response, for learners
    elsewhere = rule().replace("offers: [help]", "kinds: [education]")
    without = build({**EVENTS, "guardrails": elsewhere})
    assert [rule.name for rule in without.guardrails].count("then_sms") == 0
