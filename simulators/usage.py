"""What a population uses of the organisation's budgets, and who comes too late for them."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from agents.counters import Charge, Reading
from agents.decisions import OutcomeEvent, contact_of
from agents.revision import Revision
from agents.tabular.batch import Batch
from agents.tabular.columns import instant_of
from agents.tabular.masks import Codes, Reasons, reason_codes
from agents.tabular.steady import is_steady
from simulators.market.chance import Ints


class Usage:
    """The counters of a revision, over all customers.

    Args:
        revision: whose counters they are; without any, nothing here does anything.
        words: all that can be heard, by position.
        counts: the words that count towards the reward.
    """

    def __init__(self, revision: Revision, words: tuple[str, ...], counts: frozenset[str]) -> None:
        self._revision, self._words, self._counts = revision, words, counts
        self._buckets: dict[str, dict[int, float]] = defaultdict(lambda: defaultdict(float))
        self._coming: list[tuple[int, int, int, int, int, int]] = []  # known first
        self._before: dict[int, list[str]] = defaultdict(list)  # words by decision

    def of(self, batch: Batch) -> dict[str, float]:
        """Return the amounts that the rules ask for, by the key of each reading."""
        found = {}
        for reading in self.readings(batch):
            buckets = self._buckets[reading.counter].items()
            inside = (amount for at, amount in buckets if reading.first <= at <= reading.last)
            found[reading.key] = sum(inside, 0.0)
        return found

    def readings(self, batch: Batch) -> list[Reading]:
        """List what has to be read for some customers."""
        if not self._revision.counters:
            return []
        rows = batch.zone.classes()[0].tolist()
        readings = (self._revision.readings(batch.context(row)) for row in rows)
        return list(dict.fromkeys(reading for some in readings for reading in some))

    def charge(self, batch: Batch, actions: Ints) -> None:
        """Charge what messages use, (n,) positions of actions."""
        pairs, counts = np.unique(np.stack([actions, batch.zone.codes]), axis=1, return_counts=True)
        for action, zone, count in zip(*pairs.tolist(), counts.tolist(), strict=True):
            for counter, bucket, amount in self.charges(batch, action, zone):
                self._buckets[counter][bucket] += amount * count

    def charges(self, batch: Batch, action: int, zone: int) -> tuple[Charge, ...]:
        """List what one message uses, in the time zone of a code of the batch."""
        chosen = self._revision.actions[action]
        if chosen.is_none:
            return ()
        sent = batch.sends_by_zone[zone][chosen.channel, chosen.window]
        return () if sent is None else self._revision.charges(action, sent)

    def tell(
        self, words: Ints, actions: Ints, at: Ints, sent: Ints, decisions: Ints, known: Ints
    ) -> None:
        """Take in what follows messages, (H,) each; it counts once it is known."""
        if self._revision.counters:
            columns = (known, decisions, words, actions, at, sent)
            for item in zip(*(column.tolist() for column in columns), strict=True):
                if item[3]:
                    heapq.heappush(self._coming, item)

    def hear(self, now: int) -> None:
        """Let what is known by now count."""
        revision = self._revision
        while self._coming and self._coming[0][0] <= now:
            _, decision, place, action, at, sent = heapq.heappop(self._coming)
            word, before = self._words[place], self._before[decision]
            contact = contact_of(
                "", revision.agent.agent, revision.actions[action], instant_of(sent)
            )
            assert contact is not None
            event = OutcomeEvent("", "", word, instant_of(at))
            for counter, bucket, amount in revision.event_charges(
                event, contact, before=before, counted=word in self._counts
            ):
                self._buckets[counter][bucket] += amount
            before.append(word)


def settle(batch: Batch, actions: Ints, usage: Usage, reasons: Reasons) -> Codes:
    """Charge one action for each customer, in their order; say who came too late for a budget.

    Where none of them can use up what another one needs they are charged all at once, else one
    half after the other.

    Args:
        batch: n customers.
        actions: (n,) positions.
        usage: takes in what is used.
        reasons: takes in what is new.

    Returns:
        (n,) numbers of the reasons why an action is barred when its turn comes, 0 where it is not.
    """
    rows = _with_usage(batch, usage.of(batch))
    barred = reason_codes(rows, reasons)[np.arange(actions.size), actions]
    done = np.where(barred == 0, actions, 0)
    wanted = np.zeros((actions.size, len(batch.revision.actions)), dtype=np.bool_)
    wanted[np.arange(actions.size), done] = True
    if actions.size == 1 or is_steady(
        rows, wanted, usage.readings(rows), lambda action, zone: usage.charges(rows, action, zone)
    ):
        usage.charge(rows, done)
        return barred
    half = actions.size // 2
    parts = ((0, half), (half, actions.size - half))
    found = [settle(_part(batch, a, n), actions[a : a + n], usage, reasons) for a, n in parts]
    return np.concatenate(found)


def _with_usage(batch: Batch, usage: Mapping[str, float]) -> Batch:
    return Batch(
        batch.revision,
        batch.at,
        batch.customers,
        batch.columns,
        batch.contacts,
        batch.events,
        usage,
        placement=batch.placement,
    )


def _part(batch: Batch, first: int, count: int) -> Batch:
    """Return some consecutive customers of a batch."""
    inside = slice(first, first + count)
    columns = {name: column.part(inside) for name, column in batch.columns.items()}
    asked = batch.placement
    return Batch(
        batch.revision, batch.at, batch.customers[inside], columns,
        batch.contacts.batch(first, count), batch.events.batch(first, count), {},
        placement=asked if isinstance(asked, str) else asked.part(inside),
    )  # fmt: skip
