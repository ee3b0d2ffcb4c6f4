"""Inventory: how much is left, counted at night, so that the order within a day is of no matter."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta

import numpy as np

from simulators.market.chance import Floats
from simulators.market.spec import Inventory

_DAY = timedelta(days=1)


class Stocks:
    """What has been taken of each offer's stock, by day.

    Args:
        inventories: at most one for each offer.
    """

    def __init__(self, inventories: Sequence[Inventory]) -> None:
        self._inventories = {each.offer: each for each in inventories}
        self._taken: dict[str, dict[int, int]] = {
            each.offer: defaultdict(int) for each in inventories
        }

    def take(self, day: int, offer: str, outcome: str, count: int = 1) -> None:
        """Take some away if this outcome of the offer does so."""
        inventory = self._inventories.get(offer)
        if inventory is not None and inventory.outcome == outcome:
            self._taken[offer][day] += count

    def left(self, day: int, offer: str) -> int | None:
        """Return what is left in the morning of a day; None if there is no end to it."""
        inventory = self._inventories.get(offer)
        if inventory is None:
            return None
        first = 0
        if inventory.every is not None:
            days = max(1, inventory.every // _DAY)
            first = day // days * days
        taken = sum(n for when, n in self._taken[offer].items() if first <= when < day)
        return max(0, inventory.stock - taken)

    def disappointment(self, day: int, offers: Sequence[str]) -> Floats:
        """Return the log-odds of harm that messages of sold-out offers add; NaN if not sold out."""
        return np.array(
            [
                self._inventories[offer].disappointed if self.left(day, offer) == 0 else np.nan
                for offer in offers
            ]
        )
