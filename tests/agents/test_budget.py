from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from agents.decisions import Decision
from agents.memory import Memory
from agents.revision import Revision

Build = Callable[..., Revision]
Draw = Callable[..., Decision]
Instants = Callable[..., Iterator[datetime]]
Period = Callable[[str, datetime], str]
ZONE = "Europe/Berlin"
CHANNELS = """
  email:
    cost: 0.25
    windows: {night: {from: "01:30", to: "03:30"}, noon: {from: "12:00", to: "13:00"}}
  sms: {cost: 0.1}"""
OFFERS = """
  help: {kind: service, variants: {a: {text: x}}, channels: [email, sms]}
  sale: {kind: promotion, cost: 1.3, variants: {a: {text: x}}, channels: [email, sms]}
  tip: {kind: education, variants: {a: {text: x}}, channels: [sms]}"""
HELP, SALE, TIP = "help/a@sms", "sale/a@sms", "tip/a@sms"


def limited(build: Build, rule: str, **more: str) -> Revision:
    workspace = {"channels": CHANNELS, "guardrails": f"{{spend: {{rule: budget, {rule}}}}}"}
    return build(workspace=workspace, offers=OFFERS, **more)


def reasons(
    revision: Revision, at: datetime, used: float | None, shift: timedelta = timedelta(0)
) -> dict[str, str | None]:
    """Return the reasons where so much is used in the period of now, or of a shift from it."""
    context = revision.context("ann", at, {"time_zone": ZONE})
    if used is not None:
        (counter,) = revision.counters
        usage = {reading.key: 0.0 for reading in revision.readings(context)}
        usage[counter.reading(at + shift).key] = used
        context = replace(context, usage=usage)
    return dict(zip(revision.action_ids, revision.mask(context).reasons, strict=True))


@pytest.mark.parametrize(
    ("used", "reason"),
    [
        (9.0, None),
        (10.0, "spend: budget of spend on 2026-01-14: 10 of 10 contacts used, 1 more is too much"),
    ],
)
def test_a_budget_of_contacts_may_be_reached_and_not_exceeded(
    build: Build, noon: datetime, used: float, reason: str | None
) -> None:
    revision = limited(build, "max: 10, per: day, on: {kinds: [promotion]}")
    found = reasons(revision, noon, used)
    assert found[SALE] == reason
    assert found[HELP] is None
    assert found["none"] is None


@pytest.mark.parametrize(
    ("used", "sms", "sale"),
    [
        (8.6, True, True),  # 8.6 + 1.4 is 10
        (8.6 + 1e-10, True, True),  # sums of money are not exact
        (8.6001, True, False),
        (9.9, True, False),
        (9.901, False, False),
        (float("nan"), False, False),
    ],
)
def test_a_budget_of_cost_bars_what_no_longer_fits(
    build: Build, noon: datetime, used: float, sms: bool, sale: bool
) -> None:
    found = reasons(limited(build, "measure: cost, max: 10, per: month"), noon, used)
    assert (found[HELP] is None, found[SALE] is None) == (sms, sale)


def test_the_reason_of_a_budget_of_cost(build: Build, noon: datetime) -> None:
    found = reasons(limited(build, "measure: cost, max: 10, per: week"), noon, 9.0)
    assert found[SALE] == (
        "spend: budget of spend in the week of 2026-01-12: 9 of 10 EUR used, 1.4 more is too much"
    )


def test_what_is_not_known_bars(build: Build, noon: datetime) -> None:
    found = reasons(limited(build, "max: 10, per: day, on: {channels: [sms]}"), noon, None)
    assert found[SALE] == found[TIP] == "spend: budget of spend on 2026-01-14 is unknown"
    revision = limited(build, "max: 10, on: {channels: [email]}")
    context = revision.context("ann", noon, {})
    assert revision.guardrails[-1].name == "spend"
    (bar,) = list(revision.guardrails[-1].bars(revision.moment(context)))[:1]
    assert bar.reason == "the sending instant is unknown"


def test_the_period_is_that_of_the_sending_instant(build: Build, noon: datetime) -> None:
    evening = noon.replace(hour=18)  # email goes out tomorrow, sms now
    revision = limited(build, "max: 1, per: day")
    full_now = reasons(revision, evening, 1.0)
    assert full_now["help/a@email#noon"] is None
    assert full_now[HELP] is not None
    full_then = reasons(revision, evening, 1.0, timedelta(days=1))
    assert full_then["help/a@email#noon"] is not None
    assert full_then[HELP] is None


def test_whose_counter_it_is(build: Build) -> None:
    shared = limited(build, "max: 1, per: day")
    own = build(guardrails="{spend: {rule: budget, measure: cost, max: 1}}")
    assert [counter.name for counter in shared.counters] == ["budget:spend per day"]
    assert [counter.name for counter in own.counters] == ["budget:helper/spend cost"]
    assert [(c.measure, c.per, c.zone) for c in own.counters] == [("cost", None, ZONE)]
    both = limited(build, "min: 1, max: 2, per: day")
    assert [counter.name for counter in both.counters] == ["budget:spend per day"]
    nothing = limited(build, "max: 1, on: {kinds: [retention]}")
    assert nothing.counters == ()


@pytest.mark.parametrize("per", ["hour", "day", "week", "month", "quarter", "year"])
def test_no_period_ever_holds_more_than_its_budget_and_some_hold_all_of_it(
    build: Build, per: str, start: datetime, draw: Draw, instants: Instants, period: Period
) -> None:
    most = 4 if per == "hour" else 25
    revision = limited(build, f"max: {most}, per: {per}, except: {{kinds: [education]}}")
    rng, memory = np.random.default_rng(7), Memory()
    spent: dict[str, int] = defaultdict(int)
    for number, at in enumerate(instants(rng, start, 300)):
        decision = draw(memory, revision, f"c{number}", at, rng)
        if decision.send_at is not None and decision.action_id != TIP:
            spent[period(per, decision.send_at)] += 1
    assert max(spent.values()) == most


@pytest.mark.parametrize("per", ["hour", "day", "month"])
def test_no_period_ever_costs_more_than_its_budget(
    build: Build, per: str, start: datetime, draw: Draw, instants: Instants, period: Period
) -> None:
    most = 2.05 if per == "hour" else 17.3
    revision = limited(build, f"measure: cost, max: {most}, per: {per}")
    rng, memory = np.random.default_rng(8), Memory()
    spent: dict[str, float] = defaultdict(float)
    for number, at in enumerate(instants(rng, start, 300)):
        decision = draw(memory, revision, f"c{number}", at, rng)
        if decision.send_at is not None:
            spent[period(per, decision.send_at)] += revision.actions[decision.action].cost
    assert max(spent.values()) <= most + 1e-9
    assert max(spent.values()) > most - 0.1  # less is left than the cheapest contact costs


def test_a_budget_without_a_period_holds_for_good(
    build: Build, draw: Draw, instants: Instants, turning_days: tuple[datetime, ...]
) -> None:
    revision = limited(build, "max: 30")
    rng, memory = np.random.default_rng(9), Memory()
    drawn = [
        draw(memory, revision, f"c{k}-{n}", at, rng).action
        for k, start in enumerate(turning_days)
        for n, at in enumerate(instants(rng, start, 20))
    ]
    assert sum(action != 0 for action in drawn) == 30
    assert all(drawn[:30])


def test_agents_share_the_budget_of_the_workspace_and_not_their_own(
    build: Build, draw: Draw, instants: Instants
) -> None:
    own = {"guardrails": "{mine: {rule: budget, max: 12, per: month}}"}
    agents = [
        limited(build, "max: 20, per: month", **own),
        limited(build, "max: 20, per: month", agent="other", **own),
    ]
    rng, memory = np.random.default_rng(10), Memory()
    sent: dict[str, int] = defaultdict(int)
    for number, at in enumerate(instants(rng, datetime(2026, 6, 3, tzinfo=UTC), 60)):
        decision = draw(memory, agents[int(rng.integers(2))], f"c{number}", at, rng)
        sent[decision.agent] += decision.action != 0
    assert sum(sent.values()) == 20
    assert max(sent.values()) <= 12


@pytest.mark.parametrize(
    ("used", "at", "behind"),
    [
        (0.0, datetime(2026, 1, 11, 23, tzinfo=UTC), False),  # the week begins: nothing is due
        (0.0, datetime(2026, 1, 11, 23, 0, 1, tzinfo=UTC), True),
        (34.0, datetime(2026, 1, 15, 11, tzinfo=UTC), True),  # half of the week: 35 of 70 are due
        (35.0, datetime(2026, 1, 15, 11, tzinfo=UTC), False),
        (70.0, datetime(2026, 1, 18, 22, 59, 59, tzinfo=UTC), False),
    ],
)
def test_a_pace_bars_the_others_while_it_is_behind(
    build: Build, used: float, at: datetime, behind: bool
) -> None:
    revision = limited(build, "min: 70, per: week, on: {kinds: [promotion], channels: [sms]}")
    found = reasons(revision, at, used)
    assert found["none"] is None
    assert found[SALE] is None
    assert (found[HELP] is not None) is (found["sale/a@email#noon"] is not None) is behind


def test_the_reasons_of_a_pace(build: Build) -> None:
    revision = limited(build, "min: 70, per: week, on: {offers: [sale], channels: [sms]}")
    half = datetime(2026, 1, 15, 11, tzinfo=UTC)
    assert reasons(revision, half, 30.0)[HELP] == (
        "spend: spend is behind in the week of 2026-01-12: 30 contacts, 35.0 due by now"
    )
    assert reasons(revision, half, None)[HELP] == (
        "spend: the pace of spend in the week of 2026-01-12 is unknown"
    )


def test_a_pace_pushes_nobody_whom_its_actions_may_not_reach(build: Build) -> None:
    never = {"guardrails": "{never: {rule: eligibility, when: 'false', on: {offers: [sale]}}}"}
    revision = limited(build, "min: 70, per: week, on: {offers: [sale]}", **never)
    found = reasons(revision, datetime(2026, 1, 15, 11, tzinfo=UTC), 0.0)
    assert found[SALE] == "never: false is false"
    assert found[HELP] is found[TIP] is None


def test_a_pace_is_kept_now_whenever_its_contacts_are_sent(build: Build, noon: datetime) -> None:
    revision = limited(build, "min: 24, per: day, on: {channels: [email]}")
    evening = noon.replace(hour=23) - timedelta(hours=1)  # every email goes out tomorrow
    context = Memory().recall(revision, "ann", evening, {"time_zone": ZONE})
    mask = revision.mask(context)
    assert mask.reasons[revision.index(HELP)] == (
        "spend: spend is behind on 2026-01-14: 0 contacts, 23.0 due by now"
    )
    assert mask.reasons[revision.index("help/a@email#noon")] is None


def test_a_pace_counts_also_for_an_agent_that_has_nothing_else(build: Build) -> None:
    revision = limited(build, "min: 70, per: week")
    assert [counter.name for counter in revision.counters] == ["budget:spend per week"]
    assert set(reasons(revision, datetime(2026, 1, 15, 11, tzinfo=UTC), 0.0).values()) == {None}
    assert limited(build, "min: 70, per: week, on: {kinds: [retention]}").rankings == ()


def test_a_pace_reaches_its_minimum_and_spreads_it(
    build: Build, start: datetime, draw: Draw
) -> None:
    # left alone, the sale by sms would be drawn for 1 in 7; on a day of 24 h it is owed 1 in 2
    revision = limited(build, "min: 24, per: day, on: {offers: [sale], channels: [sms]}")
    day = start.astimezone(ZoneInfo(ZONE)).replace(hour=0, minute=0) + timedelta(days=1)
    rng, memory = np.random.default_rng(11), Memory()
    first = day.astimezone(UTC)
    hours: list[int] = []
    for number in range(23 * 2):  # the shortest day
        at = first + timedelta(minutes=30 * number)
        if draw(memory, revision, f"c{number}", at, rng).action_id == SALE:
            hours.append(number // 2)
    assert len(hours) >= 22  # the last of the 24 is due at midnight, and a day may have 25 h
    assert all(sum(hour < h for hour in hours) >= 0.9 * h - 1 for h in range(23))
