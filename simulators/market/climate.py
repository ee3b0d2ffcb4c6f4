"""What the day does to everybody: weekdays, seasons, shocks, drift, and offers that come and go."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

import numpy as np

from agents.revision import Revision
from simulators.market.chance import Floats, Ints
from simulators.market.effects import effects_of
from simulators.market.spec import WorldSpec

_DAY = timedelta(days=1)
_YEAR = 365.25
_DAYS = 400  # that are kept


@dataclass(frozen=True, slots=True)
class Climate:
    """A day.

    Args:
        odds: (O,) log-odds added to every outcome.
        response: multiplies what messages do.
        effects: (A, K, O) weights of each action's effect on each outcome.
        terms: (A, up to K) the names that have any weight, by position, then -1.
    """

    odds: Floats
    response: float
    effects: Floats
    terms: Ints


class Climates:
    """The days of a world.

    Args:
        spec: of the world.
        revision: whose actions there are.
        start: beginning of the world (UTC).
    """

    def __init__(self, spec: WorldSpec, revision: Revision, start: datetime) -> None:
        self._spec, self._start = spec, start
        self._effects = effects_of(spec, revision)
        self.on = lru_cache(maxsize=_DAYS)(self._on)
        """The climate of a day, from 0."""

    def _on(self, day: int) -> Climate:
        spec, date = self._spec, self._start + day * _DAY
        words = tuple(spec.outcomes)
        harm = np.array([each.harm for each in spec.outcomes.values()])
        odds = np.where(harm, 0.0, spec.weekly[date.weekday()])  # (O,)
        response = 1.0
        for season in spec.seasons:
            amount = season.amount * _bump(date, season.peak, season.width)
            odds = odds + np.array([amount * (word in season.outcomes) for word in words])
        for shock in spec.shocks:
            if 0 <= day - shock.day < shock.lasts / _DAY:
                odds = odds + np.array([shock.on.get(word, 0.0) for word in words])
                response *= shock.response
        for drift in spec.drift:
            if drift.decay is not None and day >= drift.day:
                response *= 2.0 ** (-(day - drift.day) / drift.decay)
        return Climate(odds, response, *self._effects.of(self._counts_as(day)))

    def _counts_as(self, day: int) -> tuple[tuple[str, str], ...]:
        """Return what each offer counts as on a day: itself, another one, or nothing."""
        found = {offer: offer for offer in self._effects.offers}
        for drift in self._spec.drift:
            if day >= drift.day:
                for one, other in drift.swap:
                    found[one], found[other] = found.get(other, other), found.get(one, one)
        for life in self._spec.lives:
            if day < life.launched or (life.retired is not None and day >= life.retired):
                found[life.offer] = ""
        return tuple(found.items())


def _bump(date: datetime, peak: str, width: timedelta) -> float:
    month, day = map(int, peak.split("-"))
    away = abs((date - date.replace(month=month, day=day)) / _DAY)
    away = min(away, _YEAR - away)
    return float(np.exp(-0.5 * (away / (width / _DAY)) ** 2))
