"""What has become of each customer: outcomes that happened, fields they changed, who has gone."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from policies.jit import compiled
from simulators.market.chance import Floats, Ints

FOREVER = np.iinfo(np.int64).max
_NOBODY = -1
_FIRST_SIZE = 64


class Changed(NamedTuple):
    """Which fields of some customers are not as they were drawn, (n, F) each.

    Args:
        since: when the change in force happened, microseconds since 1970; `FOREVER` if there is
            none.
        value: the other value: a number, a truth or a code; of no meaning where there is none.
    """

    since: Ints
    value: Floats


class Standing:
    """N customers, as they stand.

    Args:
        customers: N.
        outcomes: O.
        fields: names of those that may change; F of them.

    Attributes:
        done: (N, O) whether it has happened; of use for what happens once.
        gone: (N,) who is to leave: nothing more will happen to them.
        left: (N,) when they do, microseconds since 1970; `FOREVER` for who stays.
        touched: (N,) whose fields have changed.
    """

    def __init__(self, customers: int, outcomes: int, fields: tuple[str, ...]) -> None:
        self.fields = fields
        self.done = np.zeros((customers, outcomes), dtype=np.bool_)
        self.gone = np.zeros(customers, dtype=np.bool_)
        self.left = np.full(customers, FOREVER, dtype=np.int64)
        self.touched = np.zeros(customers, dtype=np.bool_)
        self._last = np.full(customers, _NOBODY, dtype=np.int64)  # each one's latest entry
        self._count = 0
        self._whole = np.empty((4, _FIRST_SIZE), dtype=np.int64)  # before, field, since, until
        self._value = np.empty(_FIRST_SIZE)

    def leave(self, customers: Ints, at: Ints) -> None:
        """Let customers go, at instants in microseconds; (n,) each."""
        self.gone[customers] = True
        np.minimum.at(self.left, customers, at)

    def change(self, customers: Ints, field: Ints, value: Floats, since: Ints, until: Ints) -> None:
        """Let fields have other values from one instant until another; (n,) each.

        Args:
            customers: positions; the same one may be there more than once.
            field: positions among the fields.
            value: a number, a truth or a code.
            since: microseconds since 1970.
            until: the same, exclusive.
        """
        while self._count + customers.size > self._value.size:
            self._whole = np.concatenate([self._whole, np.empty_like(self._whole)], axis=1)
            self._value = np.concatenate([self._value, np.empty_like(self._value)])
        first = self._count
        self._count += customers.size
        added = slice(first, self._count)
        self._whole[1:, added] = field, since, until
        self._value[added] = value
        self.touched[customers] = True
        _chain(self._last, self._whole[0], customers, first)

    def at(self, customers: Ints, instants: Ints) -> Changed:
        """Return which fields are not as they were drawn.

        Of several changes the one that happened last is in force; of those of one instant, the one
        that was told last.

        Args:
            customers: (n,) positions.
            instants: (n,) microseconds since 1970.
        """
        shape = customers.size, len(self.fields)
        found = Changed(np.full(shape, FOREVER, dtype=np.int64), np.zeros(shape))
        _active(self._last, self._whole, self._value, customers, instants, found.since, found.value)
        return found


@compiled
def _chain(last: Ints, before: Ints, customers: Ints, first: int) -> None:
    """Hang new entries onto their customers, the latest first."""
    for row in range(customers.size):
        before[first + row] = last[customers[row]]
        last[customers[row]] = first + row


@compiled
def _active(
    last: Ints,
    whole: Ints,
    values: Floats,
    customers: Ints,
    instants: Ints,
    since: Ints,
    value: Floats,
) -> None:
    for row in range(customers.size):
        entry = last[customers[row]]
        while entry != _NOBODY:
            field = whole[1, entry]
            begins = whole[2, entry]
            if begins <= instants[row] < whole[3, entry] and (
                since[row, field] == FOREVER or begins > since[row, field]
            ):
                since[row, field], value[row, field] = begins, values[entry]
            entry = whole[0, entry]
