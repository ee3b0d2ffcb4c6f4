from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pytest

from agents.context import Contact
from agents.decisions import OutcomeEvent
from agents.memory import past_event
from agents.revision import Revision
from agents.tabular.columns import instant_of, microseconds
from simulators.offline.chains import Chains
from simulators.offline.memory import TableMemory
from simulators.worlds.telecom import Telecom

HOUR = 3_600_000_000


def test_entries_come_back_by_customer_and_time_as_they_were_told() -> None:
    rng, chains = np.random.default_rng(1), Chains(20)
    kept: list[tuple[int, int, int, int]] = []
    for first in range(0, 4_000, 40):
        customers, at = rng.integers(0, 20, 40), rng.integers(first, first + 60, 40)
        numbers = np.arange(first, first + 40)
        chains.add(customers, at=at, what=numbers % 7, decision=numbers)
        columns = (customers, at, numbers % 7, numbers)
        kept += zip(*(column.tolist() for column in columns), strict=True)
        since, until = first - 500, first + 50
        chains.forget(since)
        asked = rng.permutation(20)[:8]
        found = chains.of(asked, since=since, until=until)
        expected = [
            (row, at, what, number)
            for row, customer in enumerate(asked.tolist())
            for at, number, what in sorted(
                (a, n, w) for c, a, w, n in kept if c == customer and since < a <= until
            )
        ]
        assert list(zip(*(part.tolist() for part in found), strict=True)) == expected
    assert len(chains) < 2_100  # 560 are ever asked for


def test_nothing_is_found_where_nothing_was_told() -> None:
    found = Chains(3).of(np.array([2, 0]), since=-10, until=10)
    assert [part.size for part in found] == [0, 0, 0, 0]


@pytest.fixture
def world(revision: Revision) -> Telecom:
    return Telecom(revision, customers=4, rounds=3)


def test_contacts_are_recalled_as_far_back_as_the_revision_looks(world: Telecom) -> None:
    revision, memory = world.revision, TableMemory(world, world.words)
    now = world.start + timedelta(days=60)
    ages = [revision.lookback, revision.lookback - timedelta(seconds=1), timedelta(days=-1)]
    sent = np.array([microseconds(now - age) for age in ages])
    memory.keep(np.array([3, 3, 1]), np.array([0, 1, 2]), np.array([4, 5, 6]), sent)
    found = memory.contacts(np.array([1, 3]), now)

    def contact(action: int, at: datetime, decision: str) -> Contact:
        one = revision.actions[action]
        return Contact(
            at, "retention", one.offer, one.kind, one.channel, one.id, one.includes, decision
        )

    assert found.of(0) == (contact(6, now + timedelta(days=1), "telecom-1-1-2"),)
    assert found.of(1) == (contact(5, now - ages[1], "telecom-1-3-1"),)


def test_events_are_recalled_as_the_plain_memory_has_them(world: Telecom) -> None:
    revision, memory = world.revision, TableMemory(world, world.words)
    now = microseconds(world.start + timedelta(days=50))
    words = np.array([world.words.index(word) for word in ("renewed", "complained", "upgraded")])
    at = np.array([now, now, now + 1])
    memory.hear(np.array([2, 2, 2]), np.array([0, 0, 1]), np.array([7, 7, 0]), words, at)
    found = memory.events(np.array([2]), instant_of(now)).of(0)
    one = revision.actions[7]
    contact = Contact(instant_of(now - HOUR), "retention", one.offer, one.kind, one.channel, one.id)
    event = OutcomeEvent("", "telecom-1-2-0", "renewed", instant_of(now))
    assert found == (past_event(event, contact),)  # of complaints no rule hears
    later = memory.events(np.array([2]), instant_of(now + HOUR)).of(0)
    silent = OutcomeEvent("", "telecom-1-2-1", "upgraded", instant_of(now + 1))
    assert later == (found[0], past_event(silent, None, "retention"))
