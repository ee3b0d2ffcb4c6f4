"""What messages leave behind: pressure that fades with a half-life, for customers as arrays."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from policies.jit import compiled
from simulators.market.chance import Floats, Ints

Bytes = NDArray[np.int8]

_NEVER = np.iinfo(np.int64).max
_WAITING = 4  # messages of one place that may wait at once


class Pressure:
    """Saturating pressure: level = 1 - exp(-P), P = sum over messages of -ln(1 - step) 2^(-t/h).

    One message lifts a rested place to `step`; the level never reaches 1. A message that waits to
    be sent does not press yet. Time goes on: nothing is asked of an instant before the last
    message was decided on.

    Args:
        places: P of them, such as customers, or customers x offers.
        step: level right after a first message, from 0 to below 1.
        half_life_s: h in seconds, above 0.

    Example:
        >>> pressure = Pressure(2, step=0.5, half_life_s=60.0)
        >>> pressure.press(np.array([1]), np.array([0]), now=0)
        >>> [pressure.level(np.array([0, 1]), at).round(3).tolist() for at in (0, 60_000_000)]
        [[0.0, 0.5], [0.0, 0.293]]
    """

    def __init__(self, places: int, step: float, half_life_s: float) -> None:
        self._fade = math.log(2.0) / (half_life_s * 1e6)  # per microsecond
        self._push = -math.log1p(-step)
        self._places = places
        self.reset()

    def reset(self) -> None:
        """Let everybody rest."""
        self._sent = np.zeros(self._places)  # messages sent until `since`, 1 each when sent
        self._since = np.zeros(self._places, dtype=np.int64)  # microseconds
        self._waiting = np.zeros(self._places, dtype=np.int8)  # how many are
        self._until = np.full((self._places, _WAITING), _NEVER, dtype=np.int64)

    def level(self, places: Ints, at: int) -> Floats:
        """Return levels in [0, 1) at an instant (microseconds since 1970), (n,)."""
        state = self._sent, self._since, self._waiting, self._until
        return _levels(*state, places, at, self._fade, self._push)

    def press(self, places: Ints, sent: Ints, now: int) -> None:
        """Send one message to each of some places.

        Args:
            places: (n,) positions.
            sent: (n,) microseconds since 1970; of more than four that wait at a place, the earliest
                counts at once.
            now: when that is decided.
        """
        state = self._sent, self._since, self._waiting, self._until
        _press(*state, places, sent, now, self._fade)


@compiled
def _levels(
    sent: Floats,
    since: Ints,
    waiting: Bytes,
    until: Ints,
    places: Ints,
    at: int,
    fade: float,
    push: float,
) -> Floats:
    found = np.zeros(places.size)
    for row in range(places.size):
        place = places[row]
        total = 0.0
        if sent[place] > 0.0 and since[place] <= at:
            total = sent[place] * np.exp(-fade * (at - since[place]))
        if waiting[place] > 0:
            for slot in range(until.shape[1]):
                if until[place, slot] <= at:
                    total += np.exp(-fade * (at - until[place, slot]))
        if total > 0.0:
            found[row] = -np.expm1(-push * total)
    return found


@compiled
def _press(
    sent: Floats,
    since: Ints,
    waiting: Bytes,
    until: Ints,
    places: Ints,
    instants: Ints,
    now: int,
    fade: float,
) -> None:
    for row in range(places.size):
        place = places[row]
        total = 0.0
        if sent[place] > 0.0:
            total = sent[place] * np.exp(-fade * (now - since[place]))
        if waiting[place] > 0:
            for slot in range(until.shape[1]):
                if until[place, slot] <= now:
                    total += np.exp(-fade * (now - until[place, slot]))
                    until[place, slot] = _NEVER
                    waiting[place] -= 1
        if instants[row] <= now:
            total += np.exp(-fade * (now - instants[row]))
        elif waiting[place] < until.shape[1]:
            waiting[place] += 1
            until[place, np.argmax(until[place])] = instants[row]
        else:
            total += 1.0
            first = np.argmin(until[place])
            until[place, first] = max(instants[row], until[place, first])
        sent[place], since[place] = total, now
