"""What an encoder makes of a revision's customers: which columns, and from what each is read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo

from agents.context import FeatureValue
from agents.revision import Revision
from agents.spec import CustomerField
from agents.units import zone_info

Row = tuple[float, ...]

_DAY = 24 * 60  # minutes
_DERIVED = 0.3  # faith in columns that nobody has declared
_CALENDAR = ("hour sin", "hour cos", "weekday sin", "weekday cos")
_SINCE = "days since contact"  # no name of a field holds a space, so none of these is taken
_COUNTS, _UNANSWERED = ("contacts 7d", "contacts 30d"), "contacts unanswered"


def _turn(step: int, steps: int) -> tuple[float, float]:
    angle = 2.0 * math.pi * step / steps
    return math.sin(angle), math.cos(angle)


_HOURS = tuple(_turn(minute, _DAY) for minute in range(_DAY))
_WEEKDAYS = tuple(_turn(day, 7) for day in range(7))


@dataclass(frozen=True, slots=True)
class Table:
    """A category or boolean: the columns of one field, by its value.

    Args:
        field: its name.
        rows: (W,) numbers for each declared value.
        missing: (W,) numbers for any other value, and for none.
    """

    field: str
    rows: Mapping[FeatureValue | None, Row]
    missing: Row

    def row(self, value: FeatureValue | None) -> Row:
        """Return the numbers of one value."""
        return self.rows.get(value, self.missing)


@dataclass(frozen=True, slots=True)
class Members:
    """A set: one column for each declared value, and one for what is missing or not declared.

    Args:
        field: its name.
        places: of each declared value.
    """

    field: str
    places: Mapping[str, int]

    def row(self, held: FeatureValue | None) -> Row:
        """Return the numbers of one set."""
        last = len(self.places)
        row = [0.0] * (last + 1)
        if isinstance(held, tuple):
            for member in held:
                row[self.places.get(member, last)] = 1.0
        else:
            row[last] = 1.0
        return tuple(row)


class Columns:
    """The columns of a revision, in the order in which they are written.

    Attributes:
        amounts, instants: fields that are standardised, each with an indicator that it is missing.
        counted: numbers of the history that are standardised and never missing.
        tables, sets: fields with one column for each value, and one for missing.
        answers: words of the events that answer a contact.
        names: all D columns.
        faith: (D,) prior sd of a column's weight, in units of that of a declared field: what is
            derived, from the history or the calendar, is believed to matter a third as much.
        norm: expected squared length of x times faith, one for each declared source of columns; a
            set is expected to hold half of its values.
    """

    def __init__(self, revision: Revision) -> None:
        fields = {n: f for n, f in revision.workspace.customer.items() if f.learnable}
        self.amounts = tuple(n for n, f in fields.items() if f.type in ("integer", "number"))
        self.instants = tuple(n for n, f in fields.items() if f.type == "instant")
        self.answers = frozenset(w for w, means in revision.signals.items() if means == "response")
        self.counted = (*_COUNTS, _UNANSWERED) if self.answers else _COUNTS
        valued = {n: f for n, f in fields.items() if f.type in ("boolean", "category")}
        multiple = {n: f for n, f in fields.items() if f.type == "set"}
        self.tables = tuple(_table(name, field) for name, field in valued.items())
        self.sets = tuple(
            Members(name, {value: i for i, value in enumerate(field.values)})
            for name, field in multiple.items()
        )
        self.names = (
            *(column for pair in self._gapped for column in pair),
            *self.counted,
            *(name for field in (valued | multiple).items() for name in _names(*field)),
            *_CALENDAR,
        )
        derived = {_SINCE, f"{_SINCE}?", *self.counted, *_CALENDAR}
        self.faith = tuple(_DERIVED if name in derived else 1.0 for name in self.names)
        declared = len(self.amounts) + len(self.instants) + len(valued)
        declared_sets = sum(len(field.values) for field in multiple.values()) / 2.0
        others = 1 + len(self.counted) + 2  # hour and weekday are on unit circles
        self.norm = declared + declared_sets + others * _DERIVED**2
        self._zone_field, self._home = revision.zone_field, zone_info(revision.workspace.zone)

    @property
    def _gapped(self) -> tuple[tuple[str, str], ...]:
        """The numbers that may be missing, each with the indicator that it is."""
        amounts = ((name, f"{name}?") for name in self.amounts)
        instants = ((f"{name} days", f"{name}?") for name in self.instants)
        return (*amounts, *instants, (_SINCE, f"{_SINCE}?"))

    @property
    def numbers(self) -> tuple[str, ...]:
        """The columns that are standardised: those that may be missing, then `counted`."""
        return (*(number for number, _ in self._gapped), *self.counted)

    def zone(self, features: Mapping[str, FeatureValue]) -> FeatureValue | None:
        """Return what is said of a customer's time zone."""
        return features.get(self._zone_field) if self._zone_field else None

    def calendar(self, at: datetime, zone: FeatureValue | None) -> Row:
        """Return hour of day and weekday as points on circles, by the customer's clock.

        Where the zone is not known, the workspace's is taken.

        Returns:
            Sine and cosine of the hour, to the minute, and of the weekday, from Monday.
        """
        local = at.astimezone(self._rules(zone))
        minute = local.hour * 60 + local.minute
        return _HOURS[minute] + _WEEKDAYS[local.weekday()]

    def _rules(self, zone: FeatureValue | None) -> tzinfo:
        if isinstance(zone, str):
            try:
                return zone_info(zone)
            except ValueError:  # a zone that this machine does not know
                pass
        return self._home


def _names(name: str, field: CustomerField) -> tuple[str, ...]:
    values = field.values or ("true",)
    return (*(f"{name}={value}" for value in values), f"{name}?")


def _table(name: str, field: CustomerField) -> Table:
    if field.type == "boolean":
        return Table(name, {True: (1.0, 0.0), False: (-1.0, 0.0)}, (0.0, 1.0))
    size = len(field.values)
    units = [tuple(float(i == j) for j in range(size + 1)) for i in range(size + 1)]
    return Table(name, dict(zip(field.values, units, strict=False)), units[size])
