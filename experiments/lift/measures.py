"""Measures: what groups are compared by, as words such as `conversion@30:renewed`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from agents.errors import UnknownNameError, did_you_mean
from experiments.lift.histories import DAY, Events, Histories
from experiments.lift.views import Floats, Mask, Survival, Totals, View

AGES = (30, 90, 365)
"""Days at which churn, retention and lifetime value are told unless others are named."""

_WORD = re.compile(r"(?P<kind>[a-z_]+)(@(?P<days>[0-9]{1,4}))?(:(?P<outcome>.+))?")


@dataclass(frozen=True)
class Kind:
    """One kind of measure.

    Args:
        unit: what the mean is in.
        scale: what the mean is multiplied by when it is shown.
        about: in words.
        by_event: whether an outcome must be named.
        ages: days that it is told at if none are named; empty for the whole log.
    """

    unit: str
    scale: float
    about: str
    by_event: bool = False
    ages: tuple[int, ...] = ()


_THOUSAND = 1_000.0
_MONEY = "currency per 1,000 customers"
_SHARE = "of 1,000 customers"

KINDS: Mapping[str, Kind] = {
    "reward": Kind(_MONEY, _THOUSAND, "outcome values less the costs of contacts"),
    "revenue": Kind(_MONEY, _THOUSAND, "values of outcomes that are worth something"),
    "conversion": Kind(_SHARE, _THOUSAND, "customers with at least one such outcome"),
    "orders": Kind("per 1,000 customers", _THOUSAND, "outcomes that are worth something"),
    "order_value": Kind("currency per order", 1.0, "revenue over orders"),
    "gap": Kind("days", 1.0, "mean time between one order and the next"),
    "churn": Kind(_SHARE, _THOUSAND, "customers to whom the event happened", True, AGES),
    "retention": Kind(_SHARE, _THOUSAND, "customers to whom it did not, Kaplan-Meier", True, AGES),
    "lifetime": Kind(_MONEY, _THOUSAND, "all outcome values since the first decision", ages=AGES),
}


@dataclass(frozen=True)
class Measure:
    """What groups are compared by.

    Args:
        kind: one of `KINDS`.
        days: counted from each customer's first decision; customers who have not been observed
            for so long are left out. None for the whole log, in which all count as far as they go.
        outcome: the only one that counts; None for all.
    """

    kind: str
    days: int | None = None
    outcome: str | None = None

    def __str__(self) -> str:
        days = "" if self.days is None else f"@{self.days}"
        return f"{self.kind}{days}" + ("" if self.outcome is None else f":{self.outcome}")

    @property
    def scale(self) -> float:
        """What a mean is multiplied by when it is shown."""
        return KINDS[self.kind].scale

    def unit(self, currency: str = "currency") -> str:
        """Say what it is in."""
        return KINDS[self.kind].unit.replace("currency", currency)

    def at(self, found: Histories, until: np.datetime64) -> View:
        """Return the figure of every customer as it was known at an instant.

        Raises:
            UnknownNameError: the log has no such outcome.
        """
        return _VIEWS[self.kind](self, found, until)


def parse_measure(text: str) -> tuple[Measure, ...]:
    """Read `KIND[@DAYS][:OUTCOME]`; a kind that is told at several ages gives one for each.

    Raises:
        UnknownNameError: there is no such kind.
        ValueError: the text has another form, or lacks the outcome it needs.

    Example:
        >>> [str(measure) for measure in parse_measure("conversion@30:renewed")]
        ['conversion@30:renewed']
        >>> [str(measure) for measure in parse_measure("churn:cancelled")]
        ['churn@30:cancelled', 'churn@90:cancelled', 'churn@365:cancelled']
    """
    match = _WORD.fullmatch(text)
    if match is None or (match["days"] is not None and int(match["days"]) == 0):
        raise ValueError(
            "--metric: expected KIND, KIND@DAYS or KIND@DAYS:OUTCOME, such as"
            f" conversion@30:renewed; got {text!r}"
        )
    kind, outcome = match["kind"], match["outcome"]
    if kind not in KINDS:
        raise UnknownNameError(f"--metric: got {kind!r}; {did_you_mean(kind, KINDS)}")
    if KINDS[kind].by_event and outcome is None:
        raise ValueError(
            f"--metric: expected the outcome that ends a customer, as in {kind}:cancelled; got"
            f" {text!r}"
        )
    if kind == "reward" and text != kind:
        raise ValueError(
            f"--metric: expected plain 'reward', which is that of whole decisions; got {text!r};"
            " lifetime@30 counts outcomes by days, before costs"
        )
    days = (int(match["days"]),) if match["days"] else KINDS[kind].ages or (None,)
    return tuple(Measure(kind, each, outcome) for each in days)


def parse_measures(texts: Sequence[str]) -> tuple[Measure, ...]:
    """Read several, each once; see `parse_measure`."""
    return tuple(dict.fromkeys(each for text in texts for each in parse_measure(text)))


@dataclass(frozen=True)
class _Frame:
    """The customers and events that count for a measure at an instant."""

    come: Mask
    present: Mask
    seen: Floats
    events: Events


def _frame(measure: Measure, found: Histories, until: np.datetime64) -> _Frame:
    events = found.named(measure.outcome).until(until)
    come = np.asarray(found.first <= until, dtype=np.bool_)  # (C,)
    if measure.days is None:
        seen = _count(found.decided.until(until).customer, len(found))
        return _Frame(come, come, np.maximum(seen, come), events)
    ends = found.first + measure.days * DAY  # (C,)
    present = np.asarray(ends <= until, dtype=np.bool_)
    inside = present[events.customer] & (events.at <= ends[events.customer])  # (E,)
    return _Frame(come, present, present.astype(np.float64), events.where(inside))


def _count(customer: NDArray[np.int64], size: int, values: Floats | None = None) -> Floats:
    return np.bincount(customer, values, minlength=size).astype(np.float64)


def _plain(frame: _Frame, over: Floats, outcome: Floats | None = None) -> Totals:
    counted = over if outcome is None else outcome
    return Totals(frame.present, frame.come, over, counted, frame.seen)


def _reward(_measure: Measure, found: Histories, until: np.datetime64) -> View:
    rows = found.decided.until(until)
    seen, reward, value = (
        _count(rows.customer, len(found), each) for each in (None, rows.reward, rows.value)
    )
    come = np.asarray(found.first <= until, dtype=np.bool_)  # (C,)
    return Totals(seen > 0.0, come, reward, value, seen)


def _good(events: Events) -> Events:
    return events.where(events.value > 0.0)


def _revenue(measure: Measure, found: Histories, until: np.datetime64) -> View:
    frame = _frame(measure, found, until)
    good = _good(frame.events)
    return _plain(frame, _count(good.customer, len(found), good.value))


def _lifetime(measure: Measure, found: Histories, until: np.datetime64) -> View:
    frame = _frame(measure, found, until)
    return _plain(frame, _count(frame.events.customer, len(found), frame.events.value))


def _orders(measure: Measure, found: Histories, until: np.datetime64) -> View:
    frame = _frame(measure, found, until)
    return _plain(frame, _count(_orders_of(measure, frame.events).customer, len(found)))


def _conversion(measure: Measure, found: Histories, until: np.datetime64) -> View:
    frame = _frame(measure, found, until)
    orders = _orders_of(measure, frame.events)
    return _plain(frame, (_count(orders.customer, len(found)) > 0.0).astype(np.float64))


def _orders_of(measure: Measure, events: Events) -> Events:
    """Return the events that are named, or those worth something if none is."""
    return events if measure.outcome is not None else _good(events)


def _order_value(measure: Measure, found: Histories, until: np.datetime64) -> View:
    frame = _frame(measure, found, until)
    good = _good(frame.events)
    revenue, orders = (_count(good.customer, len(found), x) for x in (good.value, None))
    return replace(_plain(frame, revenue), under=orders)


def _gap(measure: Measure, found: Histories, until: np.datetime64) -> View:
    frame = _frame(measure, found, until)
    orders = _orders_of(measure, frame.events)  # in the order of time
    size = len(found)
    count = _count(orders.customer, size)  # (C,)
    day = (orders.at - found.first[orders.customer]) / DAY  # (E,)
    first, last = np.full(size, np.inf), np.full(size, -np.inf)
    np.minimum.at(first, orders.customer, day)
    np.maximum.at(last, orders.customer, day)
    gaps = np.maximum(count - 1.0, 0.0)
    over = np.where(gaps > 0.0, last - first, 0.0)
    return replace(_plain(frame, over, gaps), under=gaps)


def _spent(measure: Measure, found: Histories, until: np.datetime64) -> Survival:
    if measure.outcome is None or measure.days is None:
        raise ValueError(f"{measure}: expected days and an outcome, such as churn@30:cancelled")
    events = found.named(measure.outcome).until(until)
    come = np.asarray(found.first <= until, dtype=np.bool_)
    observed = np.minimum((until - found.first) / DAY, float(measure.days))  # (C,)
    day = (events.at - found.first[events.customer]) / DAY  # (E,)
    ended = np.full(len(found), np.inf)
    np.minimum.at(ended, events.customer, np.maximum(day, 0.0))
    happened = ended <= observed
    return Survival(come, np.where(happened, ended, observed), happened, float(measure.days))


_VIEWS: Mapping[str, Callable[[Measure, Histories, np.datetime64], View]] = {
    "reward": _reward,
    "revenue": _revenue,
    "conversion": _conversion,
    "orders": _orders,
    "order_value": _order_value,
    "gap": _gap,
    "churn": _conversion,
    "retention": _spent,
    "lifetime": _lifetime,
}
