"""Entries of many customers in the order in which they came: found again customer by customer."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from policies.jit import compiled

Ints = NDArray[np.int64]

_NONE = -1
FIRST_SIZE = 1_024


class Found(NamedTuple):
    """Entries of some customers, by row and then by time.

    Args:
        row: (E,) positions among the customers that were asked for, ascending.
        at: (E,) microseconds since 1970; of one instant, what was told first comes first.
        what: (E,) as it was added.
        decision: (E,) likewise.
    """

    row: Ints
    at: Ints
    what: Ints
    decision: Ints


class Chains:
    """What happened to N customers; of what is long past it forgets as much as it likes.

    Args:
        customers: N.

    Example:
        >>> chains = Chains(3)
        >>> one = np.array([1])
        >>> chains.add(one, at=np.array([50]), what=np.array([7]), decision=np.array([0]))
        >>> chains.of(np.array([2, 1]), since=40, until=50).row.tolist()
        [1]
    """

    def __init__(self, customers: int) -> None:
        self._last = np.full(customers, _NONE, dtype=np.int64)  # each one's latest entry
        self._count = 0
        self._parts = np.empty((4, FIRST_SIZE), dtype=np.int64)  # before, at, what, decision
        self._seen = np.iinfo(np.int64).min  # nothing up to here is ever asked for again

    def __len__(self) -> int:
        """Return how many entries are held."""
        return self._count

    def add(self, customers: Ints, *, at: Ints, what: Ints, decision: Ints) -> None:
        """Add entries, (n,) each; one customer may be there more than once."""
        if self._count + customers.size > self._parts.shape[1]:
            self._make_room(customers.size)
        first = self._count
        self._count += customers.size
        self._parts[1:, first : self._count] = at, what, decision
        _chain(self._last, self._parts[0], customers, first)

    def of(self, customers: Ints, *, since: int, until: int) -> Found:
        """Return the entries of some customers in (since, until].

        Args:
            customers: (n,) different ones.
            since: microseconds since 1970; nobody is ever asked for what is up to it again once
                `forget` has said so.
            until: likewise.
        """
        row, entry = _walk(self._last, self._parts, customers, since, until)
        return Found(row, *self._parts[1:, entry])

    def forget(self, until: int) -> None:
        """Say that what happened up to an instant will not be asked for again."""
        self._seen = max(self._seen, until)

    def _make_room(self, more: int) -> None:
        """Drop what is long past; grow if that is not half of it."""
        owners = _owners(self._last, self._parts[0], self._count)
        (kept,) = np.nonzero(self._parts[1, : self._count] > self._seen)
        size = max(self._parts.shape[1], 2 * (kept.size + more))
        parts = np.empty((4, size), dtype=np.int64)
        parts[1:, : kept.size] = self._parts[1:, kept]
        self._parts, self._count = parts, kept.size
        self._last[:] = _NONE
        _chain(self._last, parts[0], owners[kept], 0)


@compiled
def _chain(last: Ints, before: Ints, customers: Ints, first: int) -> None:
    """Hang new entries onto their customers, the latest first."""
    for row in range(customers.size):
        before[first + row] = last[customers[row]]
        last[customers[row]] = first + row


@compiled
def _owners(last: Ints, before: Ints, count: int) -> Ints:
    owners = np.empty(count, dtype=np.int64)
    for customer in range(last.size):
        entry = last[customer]
        while entry >= 0:
            owners[entry] = customer
            entry = before[entry]
    return owners


@compiled
def _walk(last: Ints, parts: Ints, customers: Ints, since: int, until: int) -> tuple[Ints, Ints]:
    """Return row and position of each entry, each row's in the order of time."""
    count = 0
    for row in range(customers.size):
        entry = last[customers[row]]
        while entry >= 0:
            count += since < parts[1, entry] <= until
            entry = parts[0, entry]
    rows, found = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.int64)
    end = 0
    for row in range(customers.size):
        first = end
        entry = last[customers[row]]
        while entry >= 0:
            at = parts[1, entry]
            if since < at <= until:
                place = end  # entries come latest first: of one instant, put before
                while place > first and parts[1, found[place - 1]] >= at:
                    found[place] = found[place - 1]
                    place -= 1
                rows[end], found[place] = row, entry
                end += 1
            entry = parts[0, entry]
    return rows, found
