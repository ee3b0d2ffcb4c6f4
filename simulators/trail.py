"""What customers were sent and did, as columns that grow: the memory of a whole population."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from agents.context import Contact, PastEvent
from agents.revision import Revision
from agents.tabular.columns import EPOCH, instant_of
from agents.tabular.history import P, Past
from policies.jit import compiled
from simulators.market.chance import Ints

_ROW, _AT, _WHAT, _DECISION, _KNOWN = range(5)


class Trail:
    """Contacts or events of N customers, each customer's oldest first.

    It recalls what `agents.memory.Memory` does, item by item and in the same order, without
    anything done customer by customer.

    Example:
        >>> trail = Trail()
        >>> ones = np.ones(2, dtype=np.int64)
        >>> trail.add(np.array([1, 0]), 5 * ones, ones, ones, ones)
        >>> trail.add(np.array([1]), np.array([3]), np.array([0]), np.array([2]), np.array([3]))
        >>> trail.counts(0, 9, customers=2).tolist()
        [1, 2]
    """

    def __init__(self) -> None:
        self._items: Ints = np.empty((5, 0), dtype=np.int64)

    def add(self, row: Ints, at: Ints, what: Ints, decision: Ints, known: Ints) -> None:
        """Remember M things.

        Args:
            row: (M,) customers.
            at: (M,) when they happen, microseconds since 1970.
            what: (M,) positions among the things that can happen.
            decision: (M,) numbers of the decisions that they follow.
            known: (M,) when they become known, microseconds since 1970.
        """
        new = np.stack([row, at, what, decision, known]).astype(np.int64, copy=False)
        if _disorder(new):
            new = new[:, np.lexsort((known, at, row))]
        self._items = _merge(self._items, np.ascontiguousarray(new))

    def forget(self, until: int) -> None:
        """Forget what happened at or before an instant, in microseconds since 1970."""
        kept = self._items[_AT] > until
        if not kept.all():
            self._items = self._items[:, kept]

    def counts(self, after: int, until: int, customers: int) -> Ints:
        """Return how many things happened to each customer in (after, until]; (N,)."""
        row, at = self._items[_ROW], self._items[_AT]
        return np.bincount(row[(at > after) & (at <= until)], minlength=customers)

    def past(self, things: tuple[P, ...], since: int, now: int) -> Past[P]:
        """Return what happened after an instant and is known at another one.

        Args:
            things: what can happen; `what` of each item is a position among them.
            since: microseconds since 1970.
            now: likewise.
        """
        items = self._items
        seen = (items[_AT] > since) & (items[_KNOWN] <= now)
        if not seen.all():
            items = items[:, seen]
        return Past(
            items[_ROW], items[_AT], items[_WHAT], things, pa.array(items[_DECISION]), _made
        )


def contacts_of(revision: Revision) -> tuple[Contact, ...]:
    """Return the contact that each action makes, but for its time and decision."""
    agent = revision.agent.agent
    return tuple(
        Contact(EPOCH, agent, a.offer, a.kind, a.channel, a.id, a.includes)
        for a in revision.actions
    )


def events_of(revision: Revision, words: Sequence[str]) -> tuple[PastEvent, ...]:
    """Return the event of each word after each action, action by action within a word."""
    return tuple(
        PastEvent(EPOCH, word, "", c.agent)
        if action.is_none
        else PastEvent(EPOCH, word, "", c.agent, c.offer, c.kind, c.channel, c.action, c.includes)
        for word in words
        for action, c in zip(revision.actions, contacts_of(revision), strict=True)
    )


def _made(like: P, at: int, decision: object) -> P:
    return replace(like, at=instant_of(at), decision_id=str(decision))


def _disorder(items: Ints) -> bool:
    row, at = items[_ROW], items[_AT]
    steps = np.diff(row)
    found: NDArray[np.bool_] = (steps < 0) | ((steps == 0) & (np.diff(at) < 0))
    return bool(found.any())


@compiled
def _merge(old: Ints, new: Ints) -> Ints:
    """Merge by customer and time, (5, C) and (5, M); of one instant, the old come first."""
    merged = np.empty((5, old.shape[1] + new.shape[1]), dtype=np.int64)
    i = 0
    j = 0
    for place in range(merged.shape[1]):
        first = i < old.shape[1] and (
            j >= new.shape[1]
            or old[0, i] < new[0, j]
            or (old[0, i] == new[0, j] and old[1, i] <= new[1, j])
        )
        for part in range(5):
            merged[part, place] = old[part, i] if first else new[part, j]
        if first:
            i += 1
        else:
            j += 1
    return merged
