"""What is used of an organisation's budgets while whole populations are decided on."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from agents.context import Contact
from agents.counters import Charge, Reading
from agents.decisions import OutcomeEvent
from agents.revision import Revision
from agents.tabular.batch import Batch
from agents.tabular.columns import microseconds
from agents.tabular.steady import is_steady


class Budgets:
    """Amounts by counter and bucket, as `agents.memory.Memory` counts them.

    Args:
        revision: whose counters are kept.
    """

    def __init__(self, revision: Revision) -> None:
        self._revision = revision
        self._used: dict[str, dict[int, float]] = defaultdict(dict)

    @property
    def kept(self) -> bool:
        """Whether there is anything to count."""
        return bool(self._revision.counters)

    def show(self, rows: Batch) -> frozenset[Reading]:
        """Set a batch's usage to what is used now; return the readings that it is made of."""
        if not self.kept:
            return frozenset()
        _, first = np.unique(rows.zone.codes, return_index=True)
        found = frozenset(
            reading
            for row in first.tolist()
            for reading in self._revision.readings(rows.context(row))
        )
        rows.usage = {reading.key: self._amount(reading) for reading in found}
        return found

    def _amount(self, reading: Reading) -> float:
        buckets = self._used.get(reading.counter, {})
        if reading.first == reading.last:
            return buckets.get(reading.first, 0.0)
        inside = (n for at, n in buckets.items() if reading.first <= at <= reading.last)
        return sum(inside, 0.0)

    def steady(self, rows: Batch, readings: frozenset[Reading], allowed: NDArray[np.bool_]) -> bool:
        """Say whether all may be decided from one reading; a customer alone always may."""
        if not self.kept or rows.count == 1:
            return True
        return is_steady(rows, allowed, readings, lambda a, zone: self._charges(rows, a, zone))

    def _charges(self, rows: Batch, action: int, zone: int) -> tuple[Charge, ...]:
        send_at = _send_at(rows, self._revision, action, zone)
        return () if send_at is None else self._revision.charges(action, send_at)

    def charge(self, rows: Batch, actions: NDArray[np.intp]) -> None:
        """Add what the drawn actions use, one customer after another."""
        if self.kept:
            zones = rows.zone.codes.tolist()
            for action, zone in zip(actions.tolist(), zones, strict=True):
                self._add(self._charges(rows, action, zone))

    def hear(self, event: OutcomeEvent, contact: Contact, before: list[str], news: bool) -> None:
        """Add what an event uses that followed a contact; as `Revision.event_charges`."""
        charges = self._revision.event_charges(event, contact, before=before, counted=news)
        self._add(charges)

    def _add(self, charges: tuple[Charge, ...]) -> None:
        for counter, bucket, amount in charges:
            buckets = self._used[counter]
            buckets[bucket] = buckets.get(bucket, 0.0) + amount


def _send_at(rows: Batch, revision: Revision, action: int, zone: int) -> datetime | None:
    one = revision.actions[action]
    return None if one.is_none else rows.sends_by_zone[zone][one.channel, one.window]


def sending_times(rows: Batch) -> NDArray[np.int64]:
    """Return when each action would reach each zone's customers, (zones, A) microseconds.

    Where nothing is sent, or nobody knows when, it is the instant of the batch.
    """
    actions = range(len(rows.revision.actions))
    found = np.full((len(rows.sends_by_zone), len(actions)), rows.now, dtype=np.int64)
    for zone in range(len(found)):
        for action in actions:
            send_at = _send_at(rows, rows.revision, action, zone)
            if send_at is not None:
                found[zone, action] = microseconds(send_at)
    return found
