"""What guardrails and learners ask about the past of a whole population: `Memory` as arrays."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import numpy as np
import pyarrow as pa

from agents.context import Contact, PastEvent
from agents.revision import Revision
from agents.tabular.columns import EPOCH, instant_of, microseconds, span_of
from agents.tabular.history import P, Past
from simulators.offline.chains import Chains, Found, Ints
from simulators.world import World

_FOREVER = np.iinfo(np.int64).max


class TableMemory:
    """Contacts and events of all customers of a world, as `agents.memory.Memory` recalls them.

    What is older than the revision looks back is forgotten, so its size does not grow with time.

    Args:
        world: bound to the revision that decides alone.
        words: of all that is ever heard of.

    Example:
        >>> from simulators.examples import example_revision
        >>> from simulators.worlds.telecom import Telecom
        >>> world = Telecom(example_revision(), customers=3, rounds=1)
        >>> memory, who = TableMemory(world, world.words), np.array([2])
        >>> memory.keep(who, np.array([0]), np.array([4]), np.array([microseconds(world.start)]))
        >>> memory.contacts(np.array([1, 2]), world.start).row.tolist()
        [1]
    """

    def __init__(self, world: World, words: tuple[str, ...]) -> None:
        revision = world.revision
        self._world = world
        self._back = span_of(revision.lookback), span_of(revision.event_lookback)
        self._heard = np.array([word in revision.hears for word in words], dtype=np.bool_)
        self._actions = len(revision.actions)
        self._sent = _contacts_of(revision)
        self._events = _events_of(revision, words, self._sent)
        self._contact_chains = Chains(world.customers)
        self._event_chains = Chains(world.customers)

    def keep(self, customers: Ints, rounds: Ints, actions: Ints, sent: Ints) -> None:
        """Remember contacts that are made, (n,) each; none of them for `none`.

        Args:
            customers: positions.
            rounds: which of their decisions.
            actions: positions of what was drawn.
            sent: microseconds since 1970; may be ahead.
        """
        self._contact_chains.add(
            customers, at=sent, what=actions, decision=self._numbers(customers, rounds)
        )

    def hear(self, customers: Ints, rounds: Ints, actions: Ints, words: Ints, at: Ints) -> None:
        """Remember events, (n,) each, as the company hears of them, each of them once.

        Args:
            customers: positions.
            rounds: which of their decisions the events followed.
            actions: positions of what was drawn then.
            words: positions.
            at: when they happened, microseconds since 1970.
        """
        kept = self._heard[words]
        self._event_chains.add(
            customers[kept],
            at=at[kept],
            what=words[kept] * self._actions + actions[kept],
            decision=self._numbers(customers[kept], rounds[kept]),
        )

    def contacts(self, customers: Ints, at: datetime) -> Past[Contact]:
        """Return the contacts of some customers that the revision looks back to, planned ones too.

        Args:
            customers: (n,) different ones; `row` is a position among them.
            at: now (UTC), no earlier than ever before.
        """
        since = microseconds(at) - self._back[0]
        self._contact_chains.forget(since)
        found = self._contact_chains.of(customers, since=since, until=_FOREVER)
        return self._past(found, self._sent)

    def events(self, customers: Ints, at: datetime) -> Past[PastEvent]:
        """Return what happened to some customers until now, as far as the revision looks back."""
        since = microseconds(at) - self._back[1]
        self._event_chains.forget(since)
        found = self._event_chains.of(customers, since=since, until=microseconds(at))
        return self._past(found, self._events)

    def _numbers(self, customers: Ints, rounds: Ints) -> Ints:
        return customers * self._world.rounds + rounds

    def _past(self, found: Found, alike: tuple[P, ...]) -> Past[P]:
        # Decisions go by number, and by name only where one customer's past is looked at.
        numbers = pa.array(found.decision)
        return Past(found.row, found.at, found.what, alike, numbers, self._made)

    def _made(self, like: P, at: int, decision: str) -> P:
        customer, round_index = divmod(int(decision), self._world.rounds)
        name = self._world.decision_key(customer, round_index)
        return replace(like, at=instant_of(at), decision_id=name)


def _contacts_of(revision: Revision) -> tuple[Contact, ...]:
    """Return the contact of every action but for its time; that of `none` is never made."""
    agent = revision.agent.agent
    return tuple(
        Contact(EPOCH, agent, a.offer, a.kind, a.channel, a.id, a.includes)
        for a in revision.actions
    )


def _events_of(
    revision: Revision, words: tuple[str, ...], sent: tuple[Contact, ...]
) -> tuple[PastEvent, ...]:
    """Return what every word is remembered as after every action, but for its time."""
    after = [
        PastEvent(EPOCH, "", "", c.agent, c.offer, c.kind, c.channel, c.action, c.includes)
        for c in sent
    ]
    after[0] = PastEvent(EPOCH, "", "", revision.agent.agent)
    return tuple(replace(like, event=word) for word in words for like in after)
