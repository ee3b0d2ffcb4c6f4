from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from itertools import permutations

import pytest

from agents.actions import NONE
from agents.decisions import OutcomeEvent
from agents.revision import Revision
from agents.rewards import closes_at, counted, reward
from agents.spec import Agent

DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)


def kept(agent: Agent, at: datetime, events: Iterable[OutcomeEvent]) -> list[OutcomeEvent]:
    return [entry.event for entry in counted(agent, at, events)]


def event(outcome: str, at: datetime, outcome_id: str = "") -> OutcomeEvent:
    return OutcomeEvent(outcome_id or f"{outcome}-{at.isoformat()}", "d1", outcome, at)


@pytest.mark.parametrize(
    ("after", "counts"),
    [
        (-TICK, False),
        (timedelta(0), True),
        (TICK, True),
        (7 * DAY - TICK, True),
        (7 * DAY, False),  # half-open: [decided, decided + window)
        (8 * DAY, False),
    ],
)
def test_a_window_is_half_open(
    build: Callable[..., Revision], noon: datetime, after: timedelta, counts: bool
) -> None:
    events = [event("bought", noon + after)]
    assert kept(build().agent, noon, events) == (events if counts else [])


def test_each_outcome_has_its_own_window(build: Callable[..., Revision], noon: datetime) -> None:
    events = [event("complained", noon + 3 * DAY), event("bought", noon + 3 * DAY)]
    assert [e.outcome for e in kept(build().agent, noon, events)] == ["bought"]
    assert closes_at(build().agent, noon) == noon + 7 * DAY
    assert build().window == 7 * DAY


def test_once_counts_the_first_and_each_counts_all(
    build: Callable[..., Revision], noon: datetime
) -> None:
    first, second = event("bought", noon + DAY), event("bought", noon + 2 * DAY)
    angry = [event("complained", noon + TICK), event("complained", noon + DAY)]
    for order in permutations([first, second, *angry]):
        assert kept(build().agent, noon, order) == [first, *angry]  # by outcome, oldest first
    assert reward(build().agent, NONE, noon, [first, second, *angry]) == 10 - 4 - 4


def test_the_first_inside_the_window_counts_and_not_one_before_it(
    build: Callable[..., Revision], noon: datetime
) -> None:
    early, first = event("bought", noon - DAY), event("bought", noon + DAY)
    assert kept(build().agent, noon, [early, first]) == [first]


def test_an_event_sent_twice_under_one_id_counts_once(
    build: Callable[..., Revision], noon: datetime
) -> None:
    twice = [event("complained", noon + DAY, "x"), event("complained", noon + DAY, "x")]
    assert kept(build().agent, noon, twice) == twice[:1]
    other = event("complained", noon + DAY, "y")
    assert kept(build().agent, noon, [*twice, other]) == [twice[0], other]


def test_undeclared_events_are_worth_nothing(
    build: Callable[..., Revision], noon: datetime
) -> None:
    assert reward(build().agent, NONE, noon, [event("waved", noon + TICK)]) == 0.0


def test_the_cost_is_paid_whether_or_not_anything_comes_of_it(
    build: Callable[..., Revision], noon: datetime
) -> None:
    revision = build()
    sale = revision.actions[revision.index("sale/plain@sms")]
    assert reward(revision.agent, sale, noon, []) == -1.5
    assert reward(revision.agent, sale, noon, [event("bought", noon + DAY)]) == 8.5
    assert reward(revision.agent, sale, noon, [event("complained", noon + DAY)]) == -5.5
    assert reward(revision.agent, NONE, noon, []) == 0.0


AMOUNT = "{property: amount, min: 0, max: 900, typical: 50}"


def paid(at: datetime, amount: float) -> OutcomeEvent:
    return OutcomeEvent(f"paid-{at.isoformat()}", "d1", "paid", at, {"amount": amount})


@pytest.mark.parametrize(
    ("rest", "total"),
    [
        ("", 100.0),
        (", count: each", 450.0),
        (", count: each, aggregate: sum", 450.0),
        (", count: each, aggregate: first", 100.0),
        (", count: each, aggregate: max", 300.0),
        (", count: each, aggregate: max, weight: 0.5", 150.0),
        (", count: each, weight: 0", 0.0),
    ],
)
def test_amounts_come_with_the_event_and_are_weighed(
    build: Callable[..., Revision], noon: datetime, rest: str, total: float
) -> None:
    agent = build(outcomes=f"\n  paid: {{value: {AMOUNT}, window: 7d{rest}}}").agent
    events = [paid(noon + n * DAY, amount) for n, amount in ((2, 300.0), (1, 100.0), (3, 50.0))]
    for order in permutations([*events, paid(noon + 7 * DAY, 900.0)]):
        assert reward(agent, NONE, noon, order) == total
        assert sum(entry.value for entry in counted(agent, noon, order)) == total


def test_one_event_may_count_for_several_outcomes_each_in_its_window(
    build: Callable[..., Revision], noon: datetime
) -> None:
    agent = build(
        outcomes=f"""
  sale: {{event: paid, value: {AMOUNT}, window: 7d, weight: 0.1}}
  quick: {{event: paid, value: 3, window: 1d}}"""
    ).agent
    early = counted(agent, noon, [paid(noon + TICK, 80.0)])
    assert [(entry.outcome, entry.value) for entry in early] == [("sale", 8.0), ("quick", 3.0)]
    assert [e.outcome for e in counted(agent, noon, [paid(noon + 2 * DAY, 80.0)])] == ["sale"]
    assert counted(agent, noon, [event("sale", noon)]) == []  # the word is `paid`
