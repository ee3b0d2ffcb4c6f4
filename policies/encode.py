"""From a context to numbers: standardised as customers come by, nothing refused for missing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Self

import numpy as np
from numpy.typing import NDArray

from agents.context import Context, FeatureValue
from agents.revision import Revision
from agents.spec import CustomerField
from policies.moments import Moments

_DAY = timedelta(days=1)
_MOST_DAYS = 3_650.0  # ten years, either way
_SPANS = {"contacts 7d": timedelta(days=7), "contacts 30d": timedelta(days=30)}


def _recent(context: Context) -> dict[str, float]:
    """Count contacts after `at` less each span; planned ones, later than `at`, count too."""
    if not context.contacts:
        return dict.fromkeys(_SPANS, 0.0)
    return {
        name: float(sum(context.at - contact.at < span for contact in context.contacts))
        for name, span in _SPANS.items()
    }


def _amount(value: FeatureValue | None) -> float | None:
    """Return a number as it is; None if missing, or text from before the field became a number."""
    return value if isinstance(value, (int, float)) else None


def _log_days(value: FeatureValue | None, at: datetime) -> float | None:
    """Return sign(d) log(1 + |d|) of the days d since an instant, negative if it is still to come.

    Yesterday and today differ by as much as ten days and three weeks.
    """
    if not isinstance(value, datetime):
        return None
    days = min(max((at - value) / _DAY, -_MOST_DAYS), _MOST_DAYS)
    return math.copysign(math.log1p(abs(days)), days)


class _Number:
    """One standardised column: where it stands, how it is read, and its moments."""

    __slots__ = ("column", "instant", "moments", "name", "place")

    def __init__(self, name: str, column: str, place: int, instant: bool) -> None:
        self.name, self.column, self.place, self.instant = name, column, place, instant
        self.moments = Moments()

    def read(self, features: Mapping[str, FeatureValue], at: datetime) -> float | None:
        value = features.get(self.name)
        return _log_days(value, at) if self.instant else _amount(value)


def _columns(name: str, field: CustomerField) -> list[str]:
    """Name the columns of a field, but for the one that says that it is missing."""
    match field.type:
        case "integer" | "number":
            return [name]
        case "instant":
            return [f"{name} days"]
        case "boolean":
            return [f"{name}=true"]
        case _:
            return [f"{name}={value}" for value in field.values]


class Encoder:
    """Turns a context into x, float64 of shape (D,), bounded by 5 in absolute value.

    Columns, by declared customer field that is a feature (a zone or free text never is):

    - number `f`: `f` standardised with what has been observed, and `f?` = 1 if missing;
    - category `f`: `f=value` = 1 for its value, and `f?` = 1 if missing or not declared;
    - boolean `f`: `f=true` = 1 or -1, and `f?` = 1 if missing;
    - set `f`: `f=value` = 1 for each value that is in it, and `f?` = 1 if missing;
    - instant `f`: `f days`, the logarithm of the days since then, standardised like a number, and
      `f?` = 1 if missing;
    - `contacts 7d` and `contacts 30d`: contacts made in the days before, or planned, standardised;
      the context holds no contact older than the revision's lookback.

    What is missing is 0 in all its other columns. `observe` is the only mutator.

    Attributes:
        names: the D columns.
        norm: expected squared length of x, one for each source of columns; a set is expected to
            hold half of its values.
    """

    def __init__(self, revision: Revision) -> None:
        names: list[str] = []
        self._numbers: list[_Number] = []
        self._tables: list[tuple[str, int, dict[FeatureValue | None, tuple[int, float]]]] = []
        self._sets: list[tuple[str, int, dict[str, int]]] = []
        for name, field in revision.workspace.customer.items():
            if field.learnable:
                self._add(name, field, len(names))
                names += [*_columns(name, field), f"{name}?"]
        self._counts = [(name, len(names) + i, Moments()) for i, name in enumerate(_SPANS)]
        self.names = (*names, *_SPANS)
        sources = len(self._numbers) + len(self._tables) + len(self._counts)
        self.norm = sources + sum(len(members) for _, _, members in self._sets) / 2.0

    def _add(self, name: str, field: CustomerField, first: int) -> None:
        """Take in one field, whose columns begin at a position."""
        places = {value: first + i for i, value in enumerate(field.values)}
        match field.type:
            case "integer" | "number" | "instant":
                (column,) = _columns(name, field)
                self._numbers.append(_Number(name, column, first, field.type == "instant"))
            case "boolean":
                self._tables.append((name, first + 1, {True: (first, 1.0), False: (first, -1.0)}))
            case "set":
                self._sets.append((name, first + len(places), places))
            case _:
                table: dict[FeatureValue | None, tuple[int, float]] = {
                    value: (place, 1.0) for value, place in places.items()
                }
                self._tables.append((name, first + len(places), table))

    @classmethod
    def restored(
        cls, revision: Revision, names: Sequence[str], moments: NDArray[np.float64]
    ) -> Self:
        """Rebuild from `numbers` and `moments()`, by name: new numbers start unobserved.

        Args:
            revision: declares the columns; numbers that it no longer declares are dropped.
            names: N numbers.
            moments: (N, 3) count, mean, sum of squared deviations.
        """
        encoder = cls(revision)
        known = dict(zip(names, moments.tolist(), strict=True))
        for number in encoder._numbers:
            number.moments = Moments(*known.get(number.column, ()))
        encoder._counts[:] = [
            (name, place, Moments(*known.get(name, ()))) for name, place, _ in encoder._counts
        ]
        return encoder

    @property
    def numbers(self) -> tuple[str, ...]:
        """The N columns that are standardised."""
        return (*(number.column for number in self._numbers), *_SPANS)

    def moments(self) -> NDArray[np.float64]:
        """Return the state, (N, 3): count, mean, sum of squared deviations of each number."""
        every = [number.moments for number in self._numbers] + [m for _, _, m in self._counts]
        return np.array([(m.count, m.mean, m.squares) for m in every])  # (N, 3)

    def encode(self, context: Context) -> NDArray[np.float64]:
        """Return x, (D,); it changes nothing."""
        # Plain floats: for so few numbers they are several times faster than arrays.
        x = [0.0] * len(self.names)
        features = context.features
        for number in self._numbers:
            value = number.read(features, context.at)
            if value is None:
                x[number.place + 1] = 1.0
            else:
                x[number.place] = number.moments.standardise(value)
        for name, missing, members in self._sets:
            held = features.get(name)
            for member in held if isinstance(held, tuple) else ():
                x[members.get(member, missing)] = 1.0
            if not isinstance(held, tuple):
                x[missing] = 1.0
        for name, missing, table in self._tables:
            found = table.get(features.get(name))
            if found is None:
                x[missing] = 1.0
            else:
                x[found[0]] = found[1]
        recent = _recent(context)
        for name, column, moments in self._counts:
            x[column] = moments.standardise(recent[name])
        return np.array(x)  # (D,)

    def observe(self, context: Context) -> None:
        """Learn the scale of each number from one more context."""
        for number in self._numbers:
            value = number.read(context.features, context.at)
            if value is not None:
                number.moments.add(value)
        recent = _recent(context)
        for name, _, moments in self._counts:
            moments.add(recent[name])
