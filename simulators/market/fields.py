"""Customer fields as columns: how one field of a world is made, period by period."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtri

from agents.spec import CustomerField
from agents.tabular.columns import Kind, Word, span_of
from simulators.market.chance import Floats, Ints, Luck, uniforms
from simulators.market.spec import ONE, FieldSpec, Instant, Number, Weights
from simulators.schema import name_key

_DAY = timedelta(days=1)
_DAY_US, _SECOND_US = 86_400_000_000, 1_000_000
_FAR = 20_000.0  # days; so that every instant is in a year that a context takes
_OPEN = 2.0**-54  # so that no quantile is infinite
_PERIODS = 4  # of each field that are kept
_TYPES = {
    "number": ("integer", "number"), "chance": ("boolean",), "choice": ("category",),
    "held": ("set",), "zone": ("zone",), "instant": ("instant",),
}  # fmt: skip


class Draws:
    """Luck and traits of N customers, of which fields are made.

    Args:
        seed: of the world.
        customers: N.
        met: (N,) microseconds since 1970 at which they are met first; 0 if not said.
    """

    def __init__(self, seed: int, customers: int, met: Ints | None = None) -> None:
        self._seed, self.count = seed, customers
        self.met = np.zeros(customers, dtype=np.int64) if met is None else met
        self._who = np.arange(customers, dtype=np.int64)
        self.traits: dict[str, Floats] = {}

    def uniform(self, purpose: Luck, name: str, period: int = 0, part: str = "") -> Floats:
        """Return (N,) in [0, 1); other names, periods or parts give other numbers."""
        which = name_key(name, part)
        return uniforms(self._seed, purpose, which, self._who, period, 1)[:, 0]

    def normal(self, purpose: Luck, name: str, period: int = 0) -> Floats:
        """Return (N,), standard normal, by inversion."""
        return np.asarray(ndtri(self.uniform(purpose, name, period) + _OPEN))

    def gumbel(self, purpose: Luck, name: str, period: int = 0, part: str = "") -> Floats:
        """Return (N,): the greatest of log-odds + gumbel is a draw of a multinomial logit."""
        luck = np.clip(self.uniform(purpose, name, period, part), 1e-12, 1.0 - 1e-12)
        return np.asarray(-np.log(-np.log(luck)))

    def weighted(self, weights: Weights) -> Floats:
        """Return the weighted sum of traits and the constant, (N,)."""
        total = np.full(self.count, weights.get(ONE, 0.0))
        for name, weight in weights.items():
            if name != ONE:
                total = total + weight * self.traits[name]
        return total


class Field:
    """One field of N customers: its true values, whether the company knows them or not.

    Args:
        name: of the field.
        spec: how it is made.
        declared: by the workspace; None if it shows to nobody.
        draws: of the customers.

    Attributes:
        kind: how values are held, as of `agents.tabular.columns.Column`.
        words: what codes stand for; empty for numbers and truths.
        daily: whether it changes by the day.

    Raises:
        ValueError: the workspace declares another type, or other values.
    """

    def __init__(
        self, name: str, spec: FieldSpec, declared: CustomerField | None, draws: Draws
    ) -> None:
        self._name, self._spec, self._draws = name, spec, draws
        if declared is not None:
            _require_type(name, spec, declared)
        whole = declared is not None and declared.type == "integer"
        self.kind: Kind = "word"
        if spec.number is not None:
            self.kind = "int" if whole else "double"
        elif spec.chance is not None:
            self.kind = "bool"
        elif spec.instant is not None:
            self.kind = "time"
        self.words = _words(spec, declared)
        makers = (spec.number, spec.chance, spec.choice, spec.instant)
        self._every = next((maker.every for maker in makers if maker), None)
        self.daily = spec.number is not None and spec.number.daily != 0.0
        low, high = (declared.min, declared.max) if declared else (None, None)
        self._low = -np.inf if low is None else low
        self._high = np.inf if high is None else high
        self.drawn = lru_cache(maxsize=_PERIODS)(self._drawn)
        """Values of all customers in a period, (N,); before the growth by the day."""

    def period(self, day: int) -> int:
        """Return the number of the draw that holds on a day, from 0."""
        return 0 if self._every is None else max(0, day * _DAY // self._every)

    def values(self, day: int, rows: Ints) -> NDArray[Any]:
        """Return numbers, truths or codes of some customers on a day; (n,), a copy."""
        found = self.drawn(self.period(day))[rows]
        return self.grown(found, day) if self.daily else found

    def grown(self, values: Floats, days: int | Ints) -> NDArray[Any]:
        """Return numbers after some days of growth, inside the declared bounds and rounded."""
        assert self._spec.number is not None
        values = np.clip(values + self._spec.number.daily * days, self._low, self._high)
        if self.kind == "int":
            return np.floor(values).astype(np.int64)
        return np.asarray(np.round(values, self._spec.number.digits))

    def code(self, value: float | str) -> float:
        """Return how a value is held: a word by its code."""
        return float(self.words.index(value) if isinstance(value, str) else value)

    def _drawn(self, period: int) -> NDArray[Any]:
        spec, draws, name = self._spec, self._draws, self._name
        if spec.number is not None:
            values = self._number(spec.number, period)
            return values if self.daily else self.grown(values, 0)
        if spec.chance is not None:
            share = expit(spec.chance.constant + draws.weighted(spec.chance.of))
            return np.asarray(draws.uniform(Luck.FIELD, name, period) < share)
        if spec.choice is not None:
            options = spec.choice.choice
            lean = [
                draws.weighted(w) + draws.gumbel(Luck.FIELD, name, period, v)
                for v, w in options.items()
            ]
            codes = np.array([self.words.index(value) for value in options], dtype=np.int64)
            return np.asarray(codes[np.argmax(lean, axis=0)])
        if spec.held is not None:
            return self._held(spec.held.held)
        if spec.instant is not None:
            return self._instant(spec.instant, period)
        assert spec.zone is not None
        edges = np.cumsum(list(spec.zone.zones.values()))
        luck = draws.uniform(Luck.FIELD, name) * edges[-1]
        place = np.searchsorted(edges, luck, side="right").astype(np.int64)
        return np.asarray(np.minimum(place, len(edges) - 1))

    def _number(self, spec: Number, period: int) -> Floats:
        draws, name = self._draws, self._name
        value = spec.constant + draws.weighted(spec.of)
        if spec.noise:
            value = value + spec.noise * draws.normal(Luck.FIELD, name, period)
        if spec.link == "exp":
            value = np.exp(value)
        elif spec.link == "share":
            value = expit(value)
        value = spec.scale * value
        if spec.zero:
            value = np.where(
                draws.uniform(Luck.FIELD, name, period, "zero") < spec.zero, 0.0, value
            )
        return value

    def _instant(self, spec: Instant, period: int) -> Ints:
        draws = self._draws
        noise = spec.noise * draws.normal(Luck.FIELD, self._name, period)
        days = np.exp(spec.constant + draws.weighted(spec.of) + noise)
        seconds = np.rint(np.minimum(days, _FAR) * (_DAY_US // _SECOND_US)).astype(np.int64)
        away = seconds * (_SECOND_US if spec.ahead else -_SECOND_US)
        later = 0 if spec.every is None else period * span_of(spec.every)
        return np.asarray(draws.met + later + away)

    def _held(self, held: Mapping[str, Weights]) -> Ints:
        code = np.zeros(self._draws.count, dtype=np.int64)
        for place, (value, weights) in enumerate(held.items()):
            luck = self._draws.uniform(Luck.FIELD, self._name, 0, value)
            code += (luck < expit(self._draws.weighted(weights))).astype(np.int64) << place
        return code


def _words(spec: FieldSpec, declared: CustomerField | None) -> tuple[Word, ...]:
    if spec.choice is not None:
        return declared.values if declared is not None else tuple(spec.choice.choice)
    if spec.held is not None:
        values = tuple(spec.held.held)
        return tuple(
            tuple(value for place, value in enumerate(values) if code >> place & 1)
            for code in range(2 ** len(values))
        )
    return tuple(spec.zone.zones) if spec.zone is not None else ()


def _require_type(name: str, spec: FieldSpec, declared: CustomerField) -> None:
    maker = next(word for word in _TYPES if getattr(spec, word) is not None)
    if declared.type not in _TYPES[maker]:
        raise ValueError(
            f"customer field {name!r}: expected type {' or '.join(_TYPES[maker])},"
            f" got {declared.type}"
        )
    made = spec.choice.choice if spec.choice else spec.held.held if spec.held else {}
    if others := [value for value in made if value not in declared.values]:
        raise ValueError(
            f"customer field {name!r}: expected the values {', '.join(made)} to be declared,"
            f" {others[0]!r} is not"
        )
