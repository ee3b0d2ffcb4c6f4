from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import permutations

import pytest

from agents.actions import NONE
from agents.decisions import OutcomeEvent
from agents.revision import Revision
from agents.rewards import closes_at, counted, reward

DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)


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
    assert counted(build().agent, noon, events) == (events if counts else [])


def test_each_outcome_has_its_own_window(build: Callable[..., Revision], noon: datetime) -> None:
    events = [event("complained", noon + 3 * DAY), event("bought", noon + 3 * DAY)]
    assert [e.outcome for e in counted(build().agent, noon, events)] == ["bought"]
    assert closes_at(build().agent, noon) == noon + 7 * DAY


def test_once_counts_the_first_and_each_counts_all(
    build: Callable[..., Revision], noon: datetime
) -> None:
    first, second = event("bought", noon + DAY), event("bought", noon + 2 * DAY)
    angry = [event("complained", noon + TICK), event("complained", noon + DAY)]
    for order in permutations([first, second, *angry]):
        assert counted(build().agent, noon, order) == [angry[0], angry[1], first] or (
            counted(build().agent, noon, order) == [angry[0], first, angry[1]]
        )
    assert reward(build().agent, NONE, noon, [first, second, *angry]) == 10 - 4 - 4


def test_the_first_inside_the_window_counts_and_not_one_before_it(
    build: Callable[..., Revision], noon: datetime
) -> None:
    early, first = event("bought", noon - DAY), event("bought", noon + DAY)
    assert counted(build().agent, noon, [early, first]) == [first]


def test_an_event_sent_twice_under_one_id_counts_once(
    build: Callable[..., Revision], noon: datetime
) -> None:
    twice = [event("complained", noon + DAY, "x"), event("complained", noon + DAY, "x")]
    assert counted(build().agent, noon, twice) == twice[:1]
    other = event("complained", noon + DAY, "y")
    assert counted(build().agent, noon, [*twice, other]) == [twice[0], other]


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
