"""The numbers of a customer that outcomes depend on, as one matrix."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.tabular.columns import Word
from simulators.market.chance import Floats, Ints
from simulators.market.people import People
from simulators.market.spec import ONE, SignalSpec, WorldSpec

_KEPT = 4  # matrices of as many periods


def signal_names(spec: WorldSpec) -> tuple[str, ...]:
    """Name the columns of the matrix: `one`, traits, signals; K of them."""
    return (ONE, *spec.traits, *spec.signals)


class Signals:
    """The constant, the traits, and the signals of the day's fields.

    What changes only when a field is drawn anew is kept; what changes by the day, or has been
    changed by an outcome, is worked out for those who are asked about.

    Args:
        spec: of the world.
        people: its customers.
    """

    def __init__(self, spec: WorldSpec, people: People) -> None:
        self._spec, self._people = spec, people
        self._place = {name: place for place, name in enumerate(signal_names(spec))}
        self._fields: dict[str, frozenset[str]] = {}  # of each signal, directly or not
        for name, signal in spec.signals.items():
            sources = (*signal.product, signal.absolute, signal.wave and signal.wave[0])
            through = (self._fields.get(source or "", frozenset()) for source in sources)
            own = frozenset((signal.field,)) if signal.field else frozenset[str]()
            self._fields[name] = own.union(*through)
        self._used = tuple(frozenset[str]().union(*self._fields.values()))
        self._daily = frozenset(name for name in self._used if people.fields[name].daily)
        self._matrix = lru_cache(maxsize=_KEPT)(self._of_periods)

    def rows(
        self, rows: Ints, day: int, changed: Mapping[str, NDArray[Any]] | None = None
    ) -> Floats:
        """Return the signals of some customers on a day, (n, K); a copy.

        Args:
            rows: (n,) customers.
            day: of the world.
            changed: fields that have other values than as drawn, (n,) each.
        """
        fields = self._people.fields
        z = self._matrix(tuple(fields[name].period(day) for name in self._used))[rows]
        moved = self._daily if not changed else self._daily.union(changed)
        values: dict[str, NDArray[Any]] = dict(changed or {})
        for name, sources in self._fields.items():
            if not moved.isdisjoint(sources):
                for field in sources - values.keys():
                    values[field] = fields[field].values(day, rows)
                z[:, self._place[name]] = self._signal(self._spec.signals[name], z, values)
        return z

    def _of_periods(self, periods: tuple[int, ...]) -> Floats:
        """Return (N, K) as drawn in these periods; of no meaning where it changes by the day."""
        people = self._people
        z = np.ones((people.count, len(self._place)))
        for name, trait in people.traits.items():
            z[:, self._place[name]] = trait
        drawn = zip(self._used, periods, strict=True)
        values = {name: people.fields[name].drawn(period) for name, period in drawn}
        for name in self._fields:
            z[:, self._place[name]] = self._signal(self._spec.signals[name], z, values)
        return z

    def _signal(self, signal: SignalSpec, z: Floats, values: Mapping[str, NDArray[Any]]) -> Floats:
        if signal.product:
            parts = [z[:, self._place[name]] for name in signal.product]
            return np.asarray(np.prod(parts, axis=0))
        if signal.absolute is not None:
            return np.abs(z[:, self._place[signal.absolute]])
        if signal.wave is not None:
            name, turns = signal.wave
            return np.sin(np.pi * turns * z[:, self._place[name]])
        assert signal.field is not None
        found = values[signal.field]
        if signal.equals is not None:
            words = self._people.fields[signal.field].words
            held = np.array([float(_is(word, signal.equals)) for word in words])
            return np.asarray(held[found])
        scaled = (found - signal.low) / (signal.high - signal.low)
        return np.asarray(np.clip(scaled, 0.0, signal.top))


def _is(word: Word, wanted: str) -> bool:
    return wanted in word if isinstance(word, tuple) else word == wanted
