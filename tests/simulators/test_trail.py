from __future__ import annotations

from datetime import timedelta

import numpy as np

from agents.context import Contact
from agents.memory import Memory
from agents.revision import Revision
from agents.tabular.columns import instant_of, microseconds
from simulators.trail import Trail, contacts_of, events_of
from simulators.world import START

CUSTOMERS = 12


def test_contacts_are_recalled_as_a_memory_recalls_them(revision: Revision) -> None:
    generator, trail, memory = np.random.default_rng(1), Trail(), Memory()
    kinds, start = contacts_of(revision), microseconds(START)
    for batch in range(20):  # of contacts that are planned ahead, so they come out of order
        rows = np.sort(generator.choice(CUSTOMERS, 5, replace=False))
        days = generator.integers(batch, batch + 4, 5)
        actions = generator.integers(1, len(kinds), 5)
        at = start + days * 86_400_000_000
        trail.add(rows, at, actions, np.full(5, batch), np.full(5, start))
        for row, when, action in zip(rows.tolist(), at.tolist(), actions.tolist(), strict=True):
            like = kinds[action]
            memory.meet(
                f"c{row}",
                Contact(
                    instant_of(when), like.agent, like.offer, like.kind, like.channel,
                    like.action, like.includes, str(batch),
                ),
            )  # fmt: skip
    now = START + timedelta(days=36)
    past = trail.past(kinds, microseconds(now - revision.lookback), microseconds(now))
    features: dict[str, object] = {}
    for row in range(CUSTOMERS):
        assert past.of(row) == memory.recall(revision, f"c{row}", now, features).contacts


def test_what_is_not_known_yet_and_what_is_forgotten_are_not_seen(revision: Revision) -> None:
    trail = Trail()
    rows, at, known = np.array([0, 0, 1]), np.array([10, 20, 30]), np.array([10, 90, 30])
    trail.add(rows, at, np.zeros(3, dtype=np.int64), rows, known)
    kinds = events_of(revision, ("renewed",))
    assert trail.past(kinds, since=0, now=50).at.tolist() == [10, 30]
    assert trail.past(kinds, since=10, now=90).at.tolist() == [20, 30]
    trail.forget(20)
    assert trail.past(kinds, since=0, now=90).at.tolist() == [30]
    assert trail.counts(0, 30, customers=3).tolist() == [0, 1, 0]


def test_an_event_after_none_names_no_offer(revision: Revision) -> None:
    after_none, after_first, *_ = events_of(revision, ("renewed",))
    assert (after_none.offer, after_none.agent) == ("", "retention")
    assert after_first.action == revision.actions[1].id
