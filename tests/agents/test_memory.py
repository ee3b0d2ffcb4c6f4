from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from agents.context import Contact
from agents.corrections import Correction
from agents.decisions import Decision, OutcomeEvent, Reason
from agents.groups import Group
from agents.memory import Memory, past_event, takes
from agents.revision import Revision
from agents.rewards import newly_counted

DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)
OUTCOMES = """
  bought: {value: 10, window: 7d, attribution: last_touch}
  again: {event: bought, value: 1, window: 2d, count: each}
  complained: {value: -4, window: 2d, count: each}"""

Decide = Callable[..., Decision]


@pytest.fixture
def revision(build: Callable[..., Revision]) -> Revision:
    return build(
        outcomes=OUTCOMES,
        workspace={"events": "{opened: {}, bounced: {counts_as: failure}}"},
        guardrails="""
  pause: {rule: cooldown, pause: 9d, after: [opened], scope: all}
  limit: {rule: frequency_cap, max: 50, per: 1d, counts: delivery, for: total}
  money: {rule: budget, measure: cost, max: 90, per: month}
  few: {rule: frequency_cap, max: 9, per: day, window: calendar, counts: response, for: total}""",
    )


@pytest.fixture
def decided(revision: Revision, features: dict[str, object], noon: datetime) -> Decide:
    """Return a decision of one action for a customer, sent some time after it is made."""

    def make(
        action: str = "sale/plain@sms",
        at: datetime = noon,
        name: str = "d1",
        *,
        customer: str = "ann",
        later: timedelta = timedelta(0),
    ) -> Decision:
        context = revision.context(customer, at, features)
        position, count = revision.index(action), len(revision.actions)
        return Decision(
            decision_id=name, at=at, agent="helper", revision=revision.id, policy="", snapshot="",
            group=Group.RANDOM, reason=Reason.RANDOM, context=context,
            actions=revision.action_ids, mask=revision.mask(context),
            distribution=np.eye(count)[position], expected=np.full(count, np.nan),
            action=position, floor=1.0, explored=False,
            send_at=None if position == 0 else at + later,
        )  # fmt: skip

    return make


def event(word: str, at: datetime, name: str = "o1", decision: str = "d1") -> OutcomeEvent:
    return OutcomeEvent(name, decision, word, at, customer="" if decision else "ann")


def test_it_recalls_contacts_within_the_lookback_planned_ones_too(
    revision: Revision, decided: Decide, features: dict[str, object], noon: datetime
) -> None:
    memory = Memory()
    memory.keep(decided(name="ahead", later=DAY), revision)
    memory.keep(decided(name="old", at=noon - revision.lookback), revision)
    memory.keep(decided(name="kept", at=noon - revision.lookback + TICK), revision)
    memory.keep(decided("none", name="quiet"), revision)
    memory.keep(decided(name="other", customer="bob"), revision)
    contacts = memory.recall(revision, "ann", noon, features).contacts
    assert [contact.decision_id for contact in contacts] == ["kept", "ahead"]
    assert contacts[1].at == noon + DAY


def test_an_event_is_recalled_once_it_happened_if_anything_hears_it(
    revision: Revision, decided: Decide, features: dict[str, object], noon: datetime
) -> None:
    memory = Memory()
    memory.keep(decided(), revision)
    memory.hear(event("opened", noon + DAY))
    memory.hear(event("unheard_of", noon + DAY, "o2"))
    for at, seen in ((noon + DAY - TICK, 0), (noon + DAY, 1)):
        assert len(memory.recall(revision, "ann", at, features).events) == seen
    (past,) = memory.recall(revision, "ann", noon + DAY, features).events
    assert (past.event, past.decision_id, past.offer, past.channel) == (
        "opened", "d1", "sale", "sms",
    )  # fmt: skip
    assert memory.recall(revision, "bob", noon + 2 * DAY, features).events == ()


def test_it_says_which_outcomes_newly_count(
    revision: Revision, decided: Decide, noon: datetime
) -> None:
    memory = Memory()
    memory.keep(decided(), revision)
    assert memory.hear(event("bought", noon + DAY)) == ["again", "bought"]
    assert memory.hear(event("bought", noon + DAY + TICK, "o2")) == ["again"]  # `once` is over
    assert memory.hear(event("bought", noon + TICK, "o3")) == ["again"]  # heard out of order
    assert memory.hear(event("bought", noon + 3 * DAY, "o4")) == []
    assert memory.hear(event("complained", noon + TICK, "o5")) == ["complained"]
    assert memory.hear(event("complained", noon + TICK, "o5")) == []  # the same report again


def test_usage_is_charged_as_the_revision_says(
    revision: Revision, decided: Decide, features: dict[str, object], noon: datetime
) -> None:
    memory = Memory()

    def used(part: str) -> float:
        usage = memory.recall(revision, "bob", noon + timedelta(hours=1), features).usage
        return sum(amount for key, amount in usage.items() if part in key)

    assert set(memory.recall(revision, "bob", noon, features).usage.values()) == {0.0}
    memory.keep(decided(), revision)
    memory.keep(decided(name="d2"), revision)
    memory.keep(decided("none", name="d3"), revision)
    assert (used("limit"), used("money"), used("few")) == (2.0, 3.0, 0.0)
    memory.hear(event("bounced", noon + TICK))
    memory.hear(event("bounced", noon + TICK, "o2"))  # a failure takes back one delivery, once
    memory.hear(event("bounced", noon + TICK))
    memory.hear(event("bought", noon + TICK, "o3"))
    memory.hear(event("bought", noon + TICK, "o3"))
    assert (used("limit"), used("money"), used("few")) == (1.0, 3.0, 1.0)


def test_an_event_of_a_customer_goes_to_the_last_touch(
    revision: Revision, decided: Decide, features: dict[str, object], noon: datetime
) -> None:
    memory = Memory()
    memory.keep(decided(name="first"), revision)
    memory.keep(decided(name="second", at=noon + DAY), revision)
    memory.keep(decided(name="ahead", at=noon + DAY, later=2 * DAY), revision)
    memory.keep(decided("none", name="quiet", at=noon + 2 * DAY), revision)
    assert memory.hear(event("bought", noon + 2 * DAY, decision="")) == ["again", "bought"]
    assert memory.hear(event("bought", noon + 2 * DAY, "o2", "second")) == ["again"]
    assert memory.hear(event("bought", noon, "o3", "")) == ["again", "bought"]  # the first's
    assert memory.hear(event("bought", noon - TICK, "o4", "")) == []
    assert memory.hear(event("complained", noon + 2 * DAY, "o5", "")) == []  # names its decision
    memory.hear(event("opened", noon + 2 * DAY, "o6", ""))
    past = memory.recall(revision, "ann", noon + 3 * DAY, features).events
    assert [(e.event, e.decision_id) for e in past] == [
        ("bought", ""), ("bought", "first"), ("bought", "second"), ("bought", "second"),
        ("opened", ""),
    ]  # fmt: skip
    assert past[-1].agent == ""


def test_a_decision_takes_events_inside_the_window_of_a_last_touch_outcome(
    revision: Revision, noon: datetime
) -> None:
    for at, inside in ((noon - TICK, False), (noon, True), (noon + 7 * DAY, False)):
        assert takes(revision, noon, event("bought", at)) is inside
    assert takes(revision, noon, event("bought", noon + 7 * DAY - TICK))
    assert not takes(revision, noon, event("complained", noon))


def test_an_event_of_a_decision_that_was_never_made_is_refused(noon: datetime) -> None:
    with pytest.raises(KeyError):
        Memory().hear(event("bought", noon))


def test_an_event_after_none_has_no_contact(decided: Decide, noon: datetime) -> None:
    quiet = decided("none")
    past = past_event(event("bought", noon), None)
    assert (past.decision_id, past.agent, past.offer) == ("d1", "", "")
    assert replace(quiet).send_at is None


def test_newly_counted_changes_nothing(revision: Revision, decided: Decide, noon: datetime) -> None:
    before = [event("bought", noon)]
    assert newly_counted(revision.agent, decided().at, before, event("bought", noon, "o2")) == [
        "again"
    ]
    assert len(before) == 1


def test_what_is_taken_back_is_forgotten_and_given_back(
    revision: Revision, decided: Decide, features: dict[str, object], noon: datetime
) -> None:
    memory, at = Memory(), noon + timedelta(hours=1)

    def state() -> tuple[object, ...]:
        context = memory.recall(revision, "ann", at, features)
        return context.contacts, context.events, dict(context.usage)

    untouched = state()
    memory.keep(decided(), revision)
    memory.keep(decided(name="d2"), revision)
    before = state()
    assert memory.hear(event("bought", noon + TICK)) == ["again", "bought"]
    memory.hear(event("bounced", noon + TICK, "o2"))
    after_failure = state()
    memory.hear(event("bounced", noon + TICK, "o3"))
    assert memory.correct(Correction("c0", "o1", at, {"amount": 3.0})) == []
    assert memory.correct(Correction("c1", "o2", at)) == []
    assert state() == after_failure  # another failure of the same contact stands
    assert memory.correct(Correction("c2", "o1", at)) == ["again", "bought"]
    assert memory.correct(Correction("c3", "o1", at)) == []
    memory.correct(Correction("c4", "o3", at))
    assert state() == before
    memory.hear(event("bounced", noon + TICK, "o4"))
    assert memory.give_back("d1")
    assert not memory.give_back("d1")
    assert memory.hear(event("bought", noon + 2 * TICK, "o5")) == []  # followed no contact
    assert memory.correct(Correction("c5", "o5", at)) == []
    memory.correct(Correction("c6", "o4", at))
    assert memory.give_back("d2")
    assert state() == untouched
    with pytest.raises(KeyError):
        memory.correct(Correction("c7", "unheard", at))


def test_who_objects_is_known_until_the_later_end(
    revision: Revision, features: dict[str, object], noon: datetime
) -> None:
    memory = Memory()

    def suppressed(at: datetime) -> tuple[str, ...]:
        return memory.recall(revision, "ann", at, features).suppressed

    memory.suppress("ann", ["sms"], noon + DAY)
    memory.suppress("ann", ["sms"], noon + TICK)
    assert (suppressed(noon + DAY - TICK), suppressed(noon + DAY)) == (("sms",), ())
    memory.suppress("ann")
    memory.suppress("ann", until=noon)
    assert suppressed(noon + 900 * DAY) == ("*",)
    mask = revision.mask(memory.recall(revision, "ann", noon, features))
    assert set(mask.reasons[1:]) == {"suppressed: the customer is not to be contacted"}
    memory.lift("ann", ["*"])
    context = memory.recall(revision, "ann", noon, features)
    assert context.suppressed == ("sms",)
    reasons = dict(zip(revision.action_ids, revision.mask(context).reasons, strict=True))
    barred = {name for name, reason in reasons.items() if reason and "suppressed" in reason}
    assert barred == {name for name in revision.action_ids if "@sms" in name}
    memory.lift("ann")
    assert suppressed(noon) == ()
    assert memory.recall(revision, "bob", noon, features).suppressed == ()


def test_a_contact_made_elsewhere_is_recalled_and_credited_with_nothing(
    revision: Revision, features: dict[str, object], noon: datetime
) -> None:
    memory = Memory()
    memory.meet("ann", Contact(noon, "", "", "", "sms", "", (), "elsewhere:1"))
    (contact,) = memory.recall(revision, "ann", noon + DAY, features).contacts
    assert contact.channel == "sms"
    assert memory.hear(event("bought", noon + TICK, decision="")) == []
    assert set(memory.recall(revision, "ann", noon, features).usage.values()) == {0.0}


def test_a_contact_that_is_confirmed_late_is_known_as_made_then(
    revision: Revision, decided: Decide, features: dict[str, object], noon: datetime
) -> None:
    memory = Memory()
    memory.keep(decided(), revision)
    (planned,) = memory.recall(revision, "ann", noon + DAY, features).contacts
    used = memory.recall(revision, "bob", noon, features).usage
    memory.confirm("d1", planned.at - TICK)  # never earlier than planned
    assert memory.recall(revision, "ann", noon + DAY, features).contacts == (planned,)
    memory.confirm("d1", planned.at + TICK)
    memory.confirm("d1", planned.at + DAY)  # said again: the first time counts
    (made,) = memory.recall(revision, "ann", noon + DAY, features).contacts
    assert made == replace(planned, at=planned.at + TICK)
    assert memory.recall(revision, "bob", noon, features).usage == used
    with pytest.raises(KeyError):
        memory.confirm("nobody", noon)
