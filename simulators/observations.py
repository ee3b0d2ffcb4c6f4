"""Observations: a customer's fields as points of Gymnasium spaces, and all of it as one vector."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from agents.context import FeatureValue
from agents.errors import StateError
from agents.revision import Revision
from agents.spec import CustomerField
from agents.tabular.columns import Column, microseconds

Numbers = NDArray[np.float64]

SPANS = {"contacts_7d": timedelta(days=7), "contacts_30d": timedelta(days=30)}
"""Counts of contacts that are observed, and how far back each goes."""

_FAR = 1e15  # the widest number that a customer field accepts
_MOST_DAYS = 3_650.0  # ten years, either way
_DAY_US = 86_400_000_000.0
_WIDEST = 35.0  # log(1 + 1e15), rounded up


def field_space(field: CustomerField) -> spaces.Space[Any]:
    """Return the space of one customer field that learners may see."""
    match field.type:
        case "integer" | "number" | "instant":
            low, high = _range(field)
            return spaces.Box(low, high, (1,), np.float64)
        case "set":
            return spaces.MultiBinary(len(field.values))
        case _:
            return spaces.Discrete(len(field.values) if field.type == "category" else 2)


def _range(field: CustomerField) -> tuple[float, float]:
    if field.type == "instant":
        return -_MOST_DAYS, _MOST_DAYS
    low = -_FAR if field.min is None else field.min
    return low, _FAR if field.max is None else field.max


def observe(
    field: CustomerField, value: FeatureValue | None, at: datetime
) -> NDArray[np.float64] | NDArray[np.int8] | np.int64:
    """Return a point of the field's space; None is shown as the lowest number, or as 0.

    Args:
        field: as the workspace declares it.
        value: of the field, None if unknown.
        at: the instant of the decision (UTC), which instants are told from in days.
    """
    match field.type, value:
        case (("integer" | "number"), _):
            number = value if isinstance(value, (int, float)) else _range(field)[0]
            return np.array([number], dtype=np.float64)
        case "instant", _:
            days = (at - value) / timedelta(days=1) if isinstance(value, datetime) else 0.0
            return np.array([min(max(days, -_MOST_DAYS), _MOST_DAYS)])
        case "set", _:
            members = value if isinstance(value, tuple) else ()
            return np.array([int(each in members) for each in field.values], dtype=np.int8)
        case "category", str():
            return np.int64(field.values.index(value))
        case _:
            return np.int64(value is True)


def learnable(revision: Revision) -> dict[str, CustomerField]:
    """Return the customer fields that learners may see, by name in alphabetical order.

    Raises:
        ValueError: there is none, so there is nothing to observe.
    """
    fields = revision.workspace.customer
    found = {name: fields[name] for name in sorted(fields) if fields[name].learnable}
    if not found:
        raise ValueError("expected a customer field that learners may see, got none to observe")
    return found


def observed(field: CustomerField, column: Column, at: datetime) -> Numbers:
    """Return one field of n customers as `observe` shows those who are known; (n,) or (n, V)."""
    match field.type:
        case "instant":
            days = (microseconds(at) - column.data.astype(np.float64)) / _DAY_US
            return np.clip(days, -_MOST_DAYS, _MOST_DAYS)
        case "category":
            return _coded(field, column)
        case "set":
            held = [[float(v in word) for v in field.values] for word in column.words]
            return np.array(held).reshape(-1, len(field.values))[column.data.astype(np.int64)]
        case _:
            return column.data.astype(np.float64)


def _coded(field: CustomerField, column: Column) -> Numbers:
    if column.words == field.values:
        return column.data.astype(np.float64)
    place = {value: float(number) for number, value in enumerate(field.values)}
    codes = np.array([place.get(str(word), 0.0) for word in column.words])
    return codes[column.data.astype(np.int64)]


class Seen(NamedTuple):
    """What is observed of n customers.

    Args:
        values: by field, (n,) numbers, or (n, V) of a set.
        known: by field, (n,) whether it is known.
        contacts: (n, 2) counts, as of `SPANS`.
        hour: since midnight (UTC).
        round_index: decisions made so far.
    """

    values: Mapping[str, Numbers]
    known: Mapping[str, NDArray[np.bool_]]
    contacts: NDArray[np.int64]
    hour: float
    round_index: int


class Layout:
    """One vector for all that is observed of a customer, scaled for learners; D entries.

    By field, in alphabetical order: a number with declared bounds is scaled to [0, 1], one without
    is sign(v) log(1 + |v|); an instant is years since then; a category has one entry for each
    value, a set likewise, a boolean one. All of them are 0 where the field is not known. Then
    whether each field is known, the counts of contacts, hour / 24, and round / rounds.

    Args:
        revision: whose fields are observed.
        rounds: decisions an episode.

    Attributes:
        names: of the entries, such as `plan=basic`.
        space: of one customer.
    """

    def __init__(self, revision: Revision, rounds: int) -> None:
        self._fields = learnable(revision)
        self._rounds = rounds
        names, low, high = [], [], []
        for name, field in self._fields.items():
            many = field.type in ("category", "set")
            entries = [f"{name}={value}" for value in field.values] if many else [name]
            least, most = _scaled_range(field)
            names += entries
            low += [least] * len(entries)
            high += [most] * len(entries)
        known = [f"{name} is known" for name in self._fields]
        rest = [*known, *SPANS, "hour", "round"]
        self.names = (*names, *rest)
        most_of_rest = [1.0] * len(known) + [float(rounds)] * len(SPANS) + [1.0, 1.0]
        self.space = spaces.Box(
            np.array([*low, *[0.0] * len(rest)], dtype=np.float32),
            np.array([*high, *most_of_rest], dtype=np.float32),
        )

    def matrix(self, seen: Seen) -> NDArray[np.float32]:
        """Return the vectors of n customers, (n, D)."""
        count = len(seen.contacts)
        found = np.zeros((len(self.names), count), dtype=np.float32)  # written entry by entry
        place = 0
        for name, field in self._fields.items():
            known = seen.known[name]
            for values in _scaled(field, seen.values[name]):
                np.multiply(values, known, out=found[place], casting="unsafe")
                place += 1
        for name in self._fields:
            found[place] = seen.known[name]
            place += 1
        found[place : place + len(SPANS)] = seen.contacts.T
        found[-2] = seen.hour / 24.0
        found[-1] = seen.round_index / self._rounds
        return np.ascontiguousarray(found.T)

    def vector(self, observation: Mapping[str, Any]) -> NDArray[np.float32]:
        """Return one customer's observation, as of `CustomerEnv`, as a vector; (D,)."""
        customer, known = observation["customer"], observation["known"]
        names = tuple(self._fields)
        seen = Seen(
            {
                name: np.asarray(customer[name], dtype=np.float64).reshape(
                    (1, -1) if field.type == "set" else (1,)
                )
                for name, field in self._fields.items()
            },
            {name: np.array([bool(known[place])]) for place, name in enumerate(names)},
            np.array([[int(observation[name]) for name in SPANS]]),
            float(observation["hour"][0]),
            int(observation["round"]),
        )
        return np.asarray(self.matrix(seen)[0])


def _scaled_range(field: CustomerField) -> tuple[float, float]:
    match field.type:
        case "instant":
            return -10.0, 10.0
        case "integer" | "number" if field.min is None or field.max is None:
            return -_WIDEST, _WIDEST
        case _:
            return 0.0, 1.0


def _scaled(field: CustomerField, values: Numbers) -> list[NDArray[Any]]:
    """Return the entries of one field, (n,) each."""
    match field.type:
        case "instant":
            return [values / 365.0]
        case "integer" | "number" if field.min is None or field.max is None:
            return [np.sign(values) * np.log1p(np.abs(values))]
        case "integer" | "number":
            assert field.min is not None
            assert field.max is not None
            return [(values - field.min) / max(field.max - field.min, 1e-300)]
        case "category":
            return [values == code for code in range(len(field.values))]
        case "set":
            return list(values.T)
        case _:
            return [values]


def require_truth(info: Mapping[str, Any]) -> Numbers:
    """Return the exact expected rewards that an environment shows, (A,) or (N, A).

    Raises:
        StateError: it does not show them.
    """
    if "expected_rewards" not in info:
        raise StateError(
            "expected info['expected_rewards'], got none; make the environment with truth=True"
        )
    return np.asarray(info["expected_rewards"])
