"""Ways in which something barred might have happened; each was tried, and each is shut."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.context import Contact, Context, PastEvent
from agents.load import load_workspace
from agents.memory import Memory
from agents.revision import Revision
from agents.supplied import supply

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
HELP = {"help/short@email", "help/short@sms", "help/long@email", "help/long@sms"}
SALE = {"sale/plain@sms"}
ZONE = {"time_zone": "Europe/Berlin"}
BERLIN = ZoneInfo("Europe/Berlin")
BUNDLE = """
  help: {kind: service, variants: {a: {text: a}}, channels: [sms]}
  sale: {kind: promotion, tags: [price], variants: {a: {text: a}}, channels: [sms]}
  pack: {kind: service, variants: {a: {text: a}}, channels: [sms], includes: [sale]}"""
Build = Callable[..., Revision]
Ask = Callable[..., dict[str, str]]
Do = Callable[..., str]


@pytest.mark.parametrize("amount", [math.nan, math.inf])
@pytest.mark.parametrize(
    "rule",
    [
        "frequency_cap, for: total, max: 9, per: day, window: calendar",
        "frequency_cap, for: total, max: 9, per: 7d",
        "budget, max: 9, per: day",
        "budget, measure: cost, max: 9, per: day",
    ],
)
def test_an_amount_that_is_no_number_bars(
    build: Build, features: dict[str, object], noon: datetime, rule: str, amount: float
) -> None:
    revision = build(guardrails=f"{{x: {{rule: {rule}}}}}")
    context = revision.context("ann", noon, features)
    usage = {reading.key: amount for reading in revision.readings(context)}
    reasons = revision.mask(replace(context, usage=usage)).reasons
    assert all(reason is not None for reason in reasons[1:])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("frequency_cap, for: total, max: 9, per: 7d",
         "frequency_cap, for: total, max: 9, per: 1d"),
        ("frequency_cap, for: total, max: 9, per: day, window: calendar",
         "frequency_cap, for: total, max: 9, per: month, window: calendar"),
        ("frequency_cap, for: total, max: 9, per: 7d",
         "frequency_cap, for: total, max: 9, per: 7d, counts: delivery"),
        ("budget, max: 9, per: week", "budget, max: 9, per: month"),
        ("budget, max: 9, per: week", "budget, measure: cost, max: 9, per: week"),
        ("budget, max: 9", "budget, max: 9, per: year"),
    ],
)  # fmt: skip
def test_what_was_counted_in_other_buckets_is_never_read_as_its_own(
    build: Build, first: str, second: str
) -> None:
    before, after = (build(guardrails=f"{{x: {{rule: {rule}}}}}") for rule in (first, second))
    shared = {counter.name for counter in before.counters} & {c.name for c in after.counters}
    assert shared == set()


def test_a_greater_maximum_keeps_what_was_counted(build: Build) -> None:
    small, large = (build(guardrails=f"{{x: {{rule: budget, max: {n}, per: week}}}}") for n in "19")
    assert [c.name for c in small.counters] == [c.name for c in large.counters]


WEEKDAYS = """
  email: {windows: {late: {from: "18:00", to: "19:00", days: [fri]}}}
  sms: {}"""


def test_a_contact_in_between_begins_no_pause_for_one_that_is_planned(
    build: Build, send: Do, barred: Ask, noon: datetime
) -> None:
    rules = "{rest: {rule: cooldown, scope: all, times: 2, within: 1d, pause: 5d}}"
    revision, memory = build({"channels": WEEKDAYS}, guardrails=rules), Memory()
    send(memory, revision, "help/short@email#late", noon)  # on Friday
    assert barred(memory, revision, noon) == {}  # one now, one on Friday: no two in a day
    send(memory, revision, "sale/plain@sms", noon)
    reason = "rest: paused for 5d after contact 2 times in 1d (all)"
    sms = {name for name in revision.action_ids if "@sms" in name}
    assert barred(memory, revision, noon + HOUR) == dict.fromkeys(sms, reason)  # two, then Friday
    assert barred(memory, revision, noon + DAY) == {}  # the day is over


def test_a_contact_that_makes_a_planned_one_begin_a_pause_is_barred(
    build: Build, send: Do, barred: Ask, noon: datetime
) -> None:
    windows = """
  email: {windows: {fri: {from: "18:00", to: "19:00", days: [fri]}}}
  sms: {windows: {mon: {from: "18:00", to: "19:00", days: [mon]},
                  thu: {from: "20:00", to: "21:00", days: [thu]}}}"""
    rules = "{rest: {rule: cooldown, scope: all, times: 2, within: 1d, pause: 5d}}"
    revision, memory = build({"channels": windows}, guardrails=rules), Memory()
    send(memory, revision, "help/short@email#fri", noon)
    send(memory, revision, "sale/plain@sms#mon", noon)
    shut = set(barred(memory, revision, noon))
    # Thursday 20:00 and Friday 18:00 would be two in a day, and Monday is in their pause
    assert {name for name in revision.action_ids if name.endswith("#thu")} <= shut


@pytest.mark.parametrize("on", ["offers: [sale]", "kinds: [promotion]", "tags: [price]"])
@pytest.mark.parametrize("rule", ["suppression, when: customer.complaint", "budget, max: 0"])
def test_a_bundle_is_barred_with_what_it_sends_along(
    build: Build, barred: Ask, noon: datetime, on: str, rule: str
) -> None:
    revision = build(offers=BUNDLE, guardrails=f"{{x: {{rule: {rule}, on: {{{on}}}}}}}")
    shut = barred(Memory(), revision, noon, complaint=True)
    assert set(shut) == {"sale/a@sms", "pack/a@sms"}


@pytest.mark.parametrize("sent", ["pack/a@sms", "sale/a@sms"])
def test_a_bundle_counts_for_what_it_sends_along(
    build: Build, send: Do, barred: Ask, noon: datetime, sent: str
) -> None:
    rules = "{x: {rule: frequency_cap, max: 1, per: 7d, on: {tags: [price]}}}"
    revision, memory = build(offers=BUNDLE, guardrails=rules), Memory()
    send(memory, revision, sent, noon)
    assert set(barred(memory, revision, noon)) == {"sale/a@sms", "pack/a@sms"}


def test_a_bundle_is_let_go_only_by_itself(build: Build, barred: Ask, noon: datetime) -> None:
    rules = "{x: {rule: budget, max: 0, except: {offers: [sale]}}}"
    revision = build(offers=BUNDLE, guardrails=rules)
    assert set(barred(Memory(), revision, noon)) == {"help/a@sms", "pack/a@sms"}


@pytest.mark.parametrize("words", ["on: {tags: [price]}", "except: {tags: [useful]}"])
def test_an_offer_that_is_taken_away_still_counts(
    build: Build, send: Do, barred: Ask, noon: datetime, words: str
) -> None:
    offers = "{tags: [price, useful], kind: promotion, variants: {a: {text: a}}, channels: [sms]}"
    kept = "\n  sale: {tags: [price], kind: promotion, variants: {a: {text: a}}, channels: [sms]}"
    kept += "\n  tip: {tags: [useful], kind: service, variants: {a: {text: a}}, channels: [sms]}"
    rules = f"{{x: {{rule: frequency_cap, max: 1, per: 7d, {words}}}}}"
    before = build(offers=f"{kept}\n  old: {offers}", guardrails=rules)
    after, memory = build(offers=kept, guardrails=rules), Memory()
    send(memory, before, "old/a@sms", noon)
    assert set(barred(memory, after, noon)) == {"sale/a@sms"}


@pytest.mark.parametrize(("scope", "shut"), [("all", True), ("agent", True), ("kind", False)])
def test_an_event_after_nothing_was_sent_is_its_agents_all_the_same(
    build: Build, send: Do, hear: Do, barred: Ask, noon: datetime, scope: str, shut: bool
) -> None:
    rules = f"{{x: {{rule: event_suppression, after: [complained], scope: {scope}, for: 7d}}}}"
    revision, memory = build(guardrails=rules), Memory()
    hear(memory, "complained", noon, send(memory, revision, "none", noon))
    assert set(barred(memory, revision, noon)) == ((HELP | SALE) if shut else set())
    other = build(guardrails=rules, agent="seller")
    assert bool(barred(memory, other, noon)) is (scope == "all")


SLOTS = {"channels": "\n  sms: {}\n  site: {placements: [hero, banner]}"}


@pytest.mark.parametrize(("asked", "shut"), [("hero", False), ("banner", True)])
def test_a_bundle_is_shown_only_where_all_that_it_includes_fits(
    build: Build, features: dict[str, object], noon: datetime, asked: str, shut: bool
) -> None:
    offers = """
  tip: {kind: service, placements: [hero], variants: {a: {text: a}}, channels: [site]}
  pack: {kind: service, variants: {a: {text: a}}, channels: [site], includes: [tip]}"""
    revision = build(SLOTS, offers=offers)
    reasons = revision.mask(revision.context("ann", noon, features, placement=asked)).reasons
    reason = "placement: tip does not fit 'banner'"
    assert reasons[1:] == ((reason, reason) if shut else (None, None))


@pytest.mark.parametrize("amount", [math.nan, math.inf])
def test_stock_capacity_and_maturity_are_shut_by_what_is_no_number(
    build: Build, features: dict[str, object], noon: datetime, amount: float
) -> None:
    limited = {"channels": "\n  sms: {capacity: {max: 9, per: day}}"}
    stocked = """
  sale: {kind: promotion, stock: {max: 9}, variants: {a: {text: a}}, channels: [sms]}"""
    for revision in (
        build(limited, offers=BUNDLE),
        build(offers=stocked),
        *([build(offers=stocked, maturity="{}")] if math.isnan(amount) else []),
    ):
        context = revision.context("ann", noon, features)
        usage = {reading.key: amount for reading in revision.readings(context)}
        reasons = revision.mask(replace(context, usage=usage)).reasons
        assert all(reason is not None for reason in reasons[1:])


EXAMPLES = Path(__file__).parents[2] / "agents" / "examples"


@pytest.mark.parametrize("example", sorted(path.name for path in EXAMPLES.iterdir()))
def test_a_rule_bars_nothing_that_it_does_not_own_to(example: str, noon: datetime) -> None:
    """What a rule says it speaks of is what is barred when it fails: it must hold all it bars."""
    for revision in load_workspace(EXAMPLES / example).revisions.values():
        past = [
            Contact(noon + offset, agent, a.offer, a.kind, a.channel, a.id, a.includes, f"d{i}")
            for i, a in enumerate(revision.actions[1:])
            for agent, offset in ((revision.agent.agent, -HOUR * i), ("another", DAY * (i % 3)))
        ]
        events = [
            PastEvent(
                noon - HOUR, word, "d0", revision.agent.agent, a.offer, a.kind, a.channel, a.id
            )
            for word in sorted(revision.hears)
            for a in revision.actions[1:]
        ]
        for contacts in ([], sorted(past, key=lambda contact: contact.at)):
            context = Context("ann", noon, {}, tuple(contacts), tuple(events[: len(contacts)]))
            if revision.agent.supplied is not None:
                listed = supply([], {name: [] for name in revision.action_ids[1:]})
                context = replace(context, supplied=listed)
            moment, allowed = revision.moment(context), [True] * len(revision.actions)
            for rule in revision.guardrails:
                assert {i for bar in rule.bars(moment) for i in bar.actions} <= set(rule.actions)
            for ranking in revision.rankings:
                barred_ = {i for bar in ranking.bars_among(moment, allowed) for i in bar.actions}
                assert barred_ <= set(ranking.actions)
                assert 0 not in ranking.actions


PLANNED = {
    "channels": """
  email: {windows: {fri: {from: "18:00", to: "19:00", days: [fri]},
                    sat: {from: "02:00", to: "04:00", days: [sat, tue]}}}
  sms: {quiet_hours: {from: "21:00", to: "08:00", on_hit: queue}}""",
    "guardrails": """{
  cap: {rule: frequency_cap, max: 2, per: 3d},
  day: {rule: frequency_cap, max: 1, per: day, window: calendar, scope: channel},
  rest: {rule: cooldown, scope: all, times: 2, within: 1d, pause: 4d},
  apart: {rule: exclusive, agents: [helper, seller], for: 2d}}""",
}


@settings(max_examples=60)
@given(
    steps=st.lists(st.tuples(st.integers(0, 60), st.booleans(), st.integers(0, 99)), max_size=25)
)
def test_no_order_of_planned_contacts_of_two_agents_breaks_what_binds_both(
    build: Build, send: Do, barred: Ask, noon: datetime, steps: list[tuple[int, bool, int]]
) -> None:
    agents = [build(PLANNED, agent=name) for name in ("helper", "seller")]
    memory, now = Memory(), noon
    for hours, second, pick in steps:
        now += hours * HOUR
        revision = agents[second]
        shut = barred(memory, revision, now)
        free = [name for name in revision.action_ids[1:] if name not in shut]
        if free:
            send(memory, revision, free[pick % len(free)], now)
    sent = [c for c in memory.recall(agents[0], "ann", noon, ZONE).contacts if c.at >= noon]
    at = [contact.at for contact in sent]
    assert all(sum(first <= each < first + 3 * DAY for each in at) <= 2 for first in at)
    days = [(c.at.astimezone(BERLIN).date(), c.channel) for c in sent]
    assert len(set(days)) == len(days)
    ends = [each for each in at if sum(each - DAY < other <= each for other in at) >= 2]
    assert not any(end < each < end + 4 * DAY for end in ends for each in at)
    assert all(
        one.agent == other.agent or abs(one.at - other.at) >= 2 * DAY
        for one in sent
        for other in sent
    )
