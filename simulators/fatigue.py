"""Fatigue: how tired of messages a customer is, and how that passes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Fatigue:
    """Saturating fatigue that recovers with a half-life.

    After contacts at t_1, ..., t_n the level is 1 - prod_i (1 - step * 2^(-(t - t_i) / h)). It
    rises with every contact, never reaches 1, and does not depend on the order in which contacts
    were recorded; one planned for later does not count yet.

    Args:
        step: level right after a first contact, from 0 to below 1.
        half_life_days: h, days after which half of one contact's effect is gone, above 0.

    Raises:
        ValueError: a number outside its range.

    Example:
        >>> from datetime import UTC
        >>> monday = datetime(2026, 3, 2, tzinfo=UTC)
        >>> fatigue = Fatigue(step=0.4, half_life_days=7.0)
        >>> levels = [fatigue.level([monday], monday + timedelta(days=n)) for n in (0, 7, 14)]
        >>> [round(level, 3) for level in levels]
        [0.4, 0.2, 0.1]
    """

    step: float = 0.35
    half_life_days: float = 6.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.step < 1.0:
            raise ValueError(f"step: expected a number from 0 to below 1, got {self.step!r}")
        if not self.half_life_days > 0.0:
            raise ValueError(
                f"half_life_days: expected a number above 0, got {self.half_life_days!r}"
            )

    def level(self, contacts: Iterable[datetime], at: datetime) -> float:
        """Return the fatigue at an instant, from 0 (rested) to below 1.

        Args:
            contacts: instants at which messages are sent (UTC), in any order.
            at: UTC.
        """
        rested = 1.0
        for contact in contacts:
            days = (at - contact) / _DAY
            if days >= 0.0:
                rested *= 1.0 - self.step * 2.0 ** (-days / self.half_life_days)
        return 1.0 - rested
