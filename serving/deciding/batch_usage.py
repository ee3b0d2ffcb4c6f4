"""What of the organisation's budgets is used before, during and after a batch of decisions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import numpy as np

from agents.counters import Charge, Reading
from agents.tabular.batch import Batch
from serving.ledger import Ledger


class BatchUsage:
    """What is used of the budgets, before and after each decision of a batch.

    Args:
        ledger: read once; nothing is charged here.
        rows: whose usage is set to what is used now.
    """

    def __init__(self, ledger: Ledger, rows: Batch) -> None:
        self._rows, self._revision = rows, rows.revision
        self._by_zone: dict[int, tuple[Reading, ...]] = {}
        self._cache: dict[tuple[int, int], tuple[Charge, ...]] = {}
        self._charged: dict[tuple[str, int], float] = {}
        if self._revision.counters:
            zones, first = np.unique(rows.zone.codes, return_index=True)
            for zone, row in zip(zones.tolist(), first.tolist(), strict=True):
                self._by_zone[zone] = self._revision.readings(rows.context(row))
        self.readings = frozenset(r for found in self._by_zone.values() for r in found)
        rows.usage = {reading.key: ledger.used(reading) for reading in self.readings}
        self._now = dict(rows.usage)
        self._keys = {zone: [r.key for r in found] for zone, found in self._by_zone.items()}
        self._moved: dict[tuple[str, int], list[str]] = {}

    def charges(self, action: int, zone: int) -> tuple[Charge, ...]:
        """Return what an action adds, sent to a customer of a zone of the batch."""
        key = action, zone
        if key not in self._cache:
            send_at = self.send_at(action, zone)
            self._cache[key] = () if send_at is None else self._revision.charges(action, send_at)
        return self._cache[key]

    def send_at(self, action: int, zone: int) -> datetime | None:
        """Return when an action reaches a customer of a zone of the batch; None for `none`."""
        one = self._revision.actions[action]
        return (
            None if one.is_none else self._rows.sends_by_zone[zone].get((one.channel, one.window))
        )

    def before(self, zone: int) -> dict[str, float]:
        """Return what a customer of a zone is decided with, after all that was charged so far."""
        return {key: self._now[key] for key in self._keys.get(zone, ())}

    def charge(self, action: int, zone: int) -> None:
        """Add what a drawn action uses."""
        for counter, bucket, amount in self.charges(action, zone):
            place = counter, bucket
            if place not in self._charged:
                self._charged[place], self._moved[place] = 0.0, self._that_count(counter, bucket)
            self._charged[place] += amount
            for key in self._moved[place]:
                self._now[key] += amount

    def _that_count(self, counter: str, bucket: int) -> list[str]:
        """Return the keys of the readings that a bucket is part of."""
        return [
            reading.key
            for reading in self.readings
            if reading.counter == counter and reading.first <= bucket <= reading.last
        ]

    def charged(self) -> Iterator[Charge]:
        """Yield all that was charged, each bucket once."""
        return (Charge(*place, amount) for place, amount in self._charged.items())
