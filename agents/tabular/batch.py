"""A batch of customers, and what several rules need of it worked out once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from agents.cel_tree import UnsupportedError, read_tree
from agents.context import Contact, Context, PastEvent
from agents.expressions import Condition
from agents.guardrails.base import Moment
from agents.revision import Revision
from agents.schedule import Slot
from agents.tabular.cel import evaluate
from agents.tabular.columns import Column, microseconds
from agents.tabular.history import Past
from agents.tabular.keys import Codes, Key, all_of, of_values, same

NEVER = np.iinfo(np.int64).min
"""Stands for a sending instant that cannot be known."""

Instants = tuple[datetime | None, ...]
"""When something is sent, by time zone."""


class Batch:
    """N customers at one moment.

    Args:
        revision: whose rules are asked.
        at: the instant of the decision (UTC).
        customers: their identifiers.
        columns: their features, by field.
        contacts: theirs, within the revision's lookback.
        events: theirs, likewise; only words that the revision hears.
        usage: what of the organisation's budgets is used, the same for all of them.
        suppressed: by customer, the channels of a context's `suppressed`; none if left out.
        placement: the slot that is to be filled, empty if none; the same for all of them, or one
            for each as a column of words.
        channels: as of a context, the same for all of them.
    """

    def __init__(
        self,
        revision: Revision,
        at: datetime,
        customers: list[str],
        columns: Mapping[str, Column],
        contacts: Past[Contact],
        events: Past[PastEvent],
        usage: Mapping[str, float],
        suppressed: Mapping[str, tuple[str, ...]] | None = None,
        *,
        placement: str | Column = "",
        channels: tuple[str, ...] = (),
    ) -> None:
        self.revision, self.at, self.now = revision, at, microseconds(at)
        self.customers, self.columns = customers, columns
        self.contacts, self.events, self.usage = contacts, events, usage
        self.suppressed = suppressed or {}
        self.placement, self.channels = placement, channels
        self.count = len(customers)
        self._moments: dict[int, Moment] = {}
        self._conditions: dict[str, Key] = {}

    def moment(self, row: int) -> Moment:
        """Return what the single path would be given for one customer."""
        if row not in self._moments:
            self._moments[row] = self.revision.moment(self.context(row))
        return self._moments[row]

    def context(self, row: int) -> Context:
        """Return one customer's context, as the single path has it."""
        values = {name: column.value(row) for name, column in self.columns.items()}
        features = {name: value for name, value in values.items() if value is not None}
        return Context(
            self.customers[row], self.at, features, self.contacts.of(row), self.events.of(row),
            self.usage, self._slot(row), self.channels,
            self.suppressed.get(self.customers[row], ()),
        )  # fmt: skip

    def _slot(self, row: int) -> str:
        asked = self.placement
        return asked if isinstance(asked, str) else str(asked.words[int(asked.data[row])])

    @cached_property
    def slots(self) -> Key:
        """Alike by the slot that is to be filled."""
        return same(self.count) if isinstance(self.placement, str) else self.placement.key()

    def field(self, name: str) -> Key:
        """Alike by the value of a field."""
        return self.columns[name].key()

    @cached_property
    def objections(self) -> Key:
        """Alike by the channels on which they are not to be contacted."""
        if not self.suppressed:
            return same(self.count)
        numbers: dict[tuple[str, ...], int] = {(): 0}
        named = (self.suppressed.get(customer, ()) for customer in self.customers)
        codes = [numbers.setdefault(channels, len(numbers)) for channels in named]
        return Key(np.array(codes, dtype=np.int64), len(numbers))

    @cached_property
    def zone(self) -> Key:
        """Alike by time zone; 0 is unknown."""
        name = self.revision.zone_field
        return self.field(name) if name else Key(np.zeros(self.count, dtype=np.int64), 1)

    @cached_property
    def sends_by_zone(self) -> list[Mapping[Slot, datetime | None]]:
        """When contacts would be sent, by channel and window, for each code of `zone`."""
        name = self.revision.zone_field
        zones = (None, *(self.columns[name].words if name else ()))
        return [
            self.revision.timetable.sends(self.at, zone if isinstance(zone, str) and zone else None)
            for zone in zones
        ]

    @cached_property
    def sends(self) -> Key:
        """Alike by the sending instants of all channels and windows."""
        numbers: dict[tuple[datetime | None, ...], int] = {}
        codes = [numbers.setdefault(tuple(s.values()), len(numbers)) for s in self.sends_by_zone]
        return Key(np.array(codes, dtype=np.int64)[self.zone.codes], len(numbers))

    def send_at(self, slot: Slot) -> Codes:
        """Return when a contact would be sent in microseconds, `NEVER` if unknown; (N,)."""
        return self.each_in_zone(self.instants(slot))

    def instants(self, slot: Slot) -> Instants:
        """Return when a contact would be sent, for each code of `zone`."""
        return tuple(sends[slot] for sends in self.sends_by_zone)

    def each_in_zone(self, instants: Instants) -> Codes:
        """Return the instant of each customer's zone in microseconds, `NEVER` if unknown; (N,)."""
        return self.by_zone(instants)[self.zone.codes]

    def by_zone(self, instants: Instants) -> Codes:
        """Return instants in microseconds, `NEVER` if unknown; one for each code of `zone`."""
        found = [NEVER if instant is None else microseconds(instant) for instant in instants]
        return np.array(found, dtype=np.int64)

    def condition(self, condition: Condition) -> Key:
        """Alike by what an expression is: true, false, or unknown for the same reason."""
        if condition.source not in self._conditions:
            self._conditions[condition.source] = self._evaluated(condition).dense()
        return self._conditions[condition.source]

    def _evaluated(self, condition: Condition) -> Key:
        tree = read_tree(condition.compiled.serialize())
        if tree.root is not None:
            try:
                return evaluate(tree.root, self.columns, self.now, self.count)
            except UnsupportedError:
                pass
        fields = (name.removeprefix("customer.") for name in sorted(tree.names))
        return all_of((self.field(name) for name in fields if name in self.columns), self.count)

    def pattern(self, flags: NDArray[np.bool_]) -> Key:
        """Alike by a row of truths; (N, K)."""
        packed = np.packbits(flags, axis=1)  # (N, ceil(K / 8))
        return all_of(self._words(packed), self.count)

    def _words(self, packed: NDArray[np.uint8]) -> Iterator[Key]:
        for first in range(0, packed.shape[1], 8):
            word = np.zeros((self.count, 8), dtype=np.uint8)
            part = packed[:, first : first + 8]
            word[:, : part.shape[1]] = part
            yield of_values(word.view(np.int64)[:, 0])
