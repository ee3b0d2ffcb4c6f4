"""Customers of any workspace: every declared field drawn as its type allows."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from agents.context import FeatureValue
from agents.spec import CustomerField, Workspace
from simulators.streams import Purpose, stream

Floats = NDArray[np.float64]

ZONES = (
    "Europe/Berlin", "Europe/London", "America/New_York", "America/St_Johns", "Asia/Kolkata",
    "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Auckland",
)  # fmt: skip
"""Zones with and without clock changes, some of them half or a quarter of an hour off."""

_NORMAL = NormalDist()
_MISSING = 0.04  # share of an optional field's values that nobody knows
_CONSENT, _OPT_OUT, _TRUE, _MEMBER = 0.85, 0.03, 0.25, 0.35  # probabilities
_SPAN = 100.0  # from the least to the greatest number, where a field does not say
_PAST_DAYS, _AHEAD_DAYS = 365.0, 30.0
_RECENT_DAYS = 60.0


def name_uniform(*names: str) -> float:
    """Return a number in (0, 1) that depends on the names alone: SHA-256, the same everywhere.

    Example:
        >>> name_uniform("a", "b") == name_uniform("a", "b") != name_uniform("ab")
        True
    """
    return (int.from_bytes(_digest(names)[:8], "big") + 0.5) / 2.0**64


def name_key(*names: str) -> int:
    """Return a whole number from 0 to 2^32 - 1 that depends on the names alone, for a stream's key.

    Example:
        >>> name_key("opened") == name_key("opened") != name_key("bounced")
        True
    """
    return int.from_bytes(_digest(names)[:4], "big")


def _digest(names: tuple[str, ...]) -> bytes:
    return hashlib.sha256("\0".join(names).encode()).digest()


class SchemaPopulation:
    """N customers whose features are drawn field by field; nothing about them changes.

    Numbers lie between `min` and `max`, more of them low than high; where an end is not declared,
    100 from the other, or from 0. Consent is given by 85%, an opt-out by 3%, another boolean is
    true for 25%; a set holds each value with 35%; instants lie from a year before the start to a
    month after it, most of them recent. 4% of the values of optional fields are unknown.

    A field's draws depend on the seed and its name alone, so other fields may come and go.

    Args:
        workspace: declares the fields, and which of them are consent.
        seed: of the world.
        customers: N, above 0.
        start: beginning of the world (UTC).

    Attributes:
        rows: N mappings of what is known; unknown fields are left out.
        hidden: (N,) standard normal, which shows in no field.
    """

    def __init__(self, workspace: Workspace, *, seed: int, customers: int, start: datetime) -> None:
        self._workspace, self._seed, self._customers = workspace, seed, customers
        self._start = start
        channels = workspace.channels.values()
        self._consents = {channel.consent for channel in channels}
        self._opt_outs = {channel.opt_out for channel in channels} | {workspace.opt_out}
        self.hidden = np.array([_NORMAL.inv_cdf(u or 0.5) for u in self._uniforms("", "hidden")])
        columns = {name: self._column(name, f) for name, f in workspace.customer.items()}
        self.rows: list[dict[str, FeatureValue]] = [
            {name: value for name, column in columns.items() if (value := column[n]) is not None}
            for n in range(customers)
        ]

    def _uniforms(self, *names: str) -> list[float]:
        """Draw one number in [0, 1) for each customer; other names, other numbers."""
        key = name_key(*names)
        values: list[float] = (
            stream(self._seed, Purpose.CUSTOMERS, key, 0).random(self._customers).tolist()
        )
        return values

    def _column(self, name: str, field: CustomerField) -> list[FeatureValue | None]:
        if field.type == "set":
            held = [self._uniforms(name, value) for value in field.values]
            drawn: list[FeatureValue | None] = [
                tuple(v for v, share in zip(field.values, row, strict=True) if share < _MEMBER)
                for row in zip(*held, strict=True)
            ]
        else:
            drawn = [self._value(name, field, u) for u in self._uniforms(name)]
        if field.required:
            return drawn
        known = self._uniforms(name, "known")
        return [v if share >= _MISSING else None for v, share in zip(drawn, known, strict=True)]

    def _value(self, name: str, field: CustomerField, u: float) -> FeatureValue:
        match field.type:
            case "integer" | "number":
                return _number(field, u)
            case "boolean":
                return u < self._share(name)
            case "instant":
                days = _AHEAD_DAYS - (_AHEAD_DAYS + _PAST_DAYS) * u * u
                return self._start + timedelta(seconds=round(days * 86_400.0))
            case _:
                words = self._words(name, field)
                return words[int(u * len(words))]

    def _words(self, name: str, field: CustomerField) -> tuple[str, ...]:
        locales = self._workspace.locales
        if field.type == "zone":
            return ZONES
        if field.type == "text":
            return (locales.default if locales and locales.field == name else "Robin",)
        return field.values

    def _share(self, name: str) -> float:
        if name in self._consents:
            return _CONSENT
        return _OPT_OUT if name in self._opt_outs else _TRUE


def _ends(field: CustomerField) -> tuple[float, float]:
    if field.min is None:
        high = _SPAN if field.max is None else field.max
        return min(0.0, high - _SPAN), high
    return field.min, field.min + _SPAN if field.max is None else field.max


def _number(field: CustomerField, u: float) -> int | float:
    low, high = _ends(field)
    if field.type == "number":
        return low + (high - low) * u * u
    first, last = math.ceil(low), math.floor(high)
    return min(first + int((last - first + 1) * u * u), last)


def trait_names(workspace: Workspace) -> tuple[str, ...]:
    """Name what a customer's behaviour may depend on: the columns of `traits`, F of them."""
    names: list[str] = []
    for name, field in workspace.customer.items():
        if field.learnable:
            names += [f"{name}={value}" for value in field.values] or [name]
    return tuple(names)


def traits(workspace: Workspace, features: Mapping[str, FeatureValue], at: datetime) -> Floats:
    """Return a customer's features on one scale, (F,) from -1 to 1; 0 where unknown.

    Numbers by their range; booleans -1 or 1; each value of a category or a set 1 if it is held;
    instants from 1 (now) down to -1 (long ago, or far ahead), by half in about 40 days.
    """
    row: list[float] = []
    for name, field in workspace.customer.items():
        if field.learnable:
            row += _scaled(field, features.get(name), at)
    return np.array(row)  # (F,)


def _scaled(field: CustomerField, value: FeatureValue | None, at: datetime) -> list[float]:
    if field.values:
        held = value if isinstance(value, tuple) else (value,)
        return [float(each in held) for each in field.values]
    match value:
        case None:
            return [0.0]
        case bool():
            return [1.0 if value else -1.0]
        case int() | float():
            low, high = _ends(field)
            return [2.0 * (value - low) / (high - low) - 1.0 if high > low else 0.0]
        case datetime():
            days = abs(at - value) / timedelta(days=1)
            return [2.0 * math.exp(-days / _RECENT_DAYS) - 1.0]
        case _:
            return [0.0]
