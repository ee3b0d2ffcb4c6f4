"""What outcomes leave behind: changed fields, withdrawn consent, empty stocks, who has gone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.revision import Revision
from agents.tabular.columns import Column, microseconds, span_of
from simulators.market.chance import Floats, Ints
from simulators.market.people import People
from simulators.market.spec import Change, OutcomeSpec, WorldSpec
from simulators.market.standing import FOREVER, Standing
from simulators.market.stock import Stocks

_DAY_US = 86_400_000_000
_KEPT = -1  # a channel without consent


class Aftermath:
    """N customers, and what has become of them.

    Args:
        spec: of the world.
        revision: whose actions there are.
        people: the customers as they were drawn.
        start: beginning of the world (UTC).

    Attributes:
        standing: of the customers.
        stocks: what is left of the offers.
    """

    def __init__(
        self, spec: WorldSpec, revision: Revision, people: People, start: datetime
    ) -> None:
        self._spec, self._revision, self._people = spec, revision, people
        self._start = microseconds(start)
        self._outcomes = tuple(spec.outcomes.items())
        channels = revision.workspace.channels
        consents = [
            channels[a.channel].consent if a.channel in channels else None for a in revision.actions
        ]
        changed = [change.field for _, each in self._outcomes for change in each.changes]
        self._fields = tuple(dict.fromkeys([*changed, *(c for c in consents if c is not None)]))
        place = {name: number for number, name in enumerate(self._fields)}
        self._consent = np.array([_KEPT if c is None else place[c] for c in consents])  # (A,)
        self._offer = np.array([action.offer for action in revision.actions], dtype=object)
        self._leaves = np.array([each.leaves for _, each in self._outcomes])  # (O,)
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.standing = Standing(self._people.count, len(self._outcomes), self._fields)
        self.stocks = Stocks(self._spec.inventory)

    def days(self, at: Ints) -> Ints:
        """Return the days of the world of instants in microseconds, from 0."""
        return np.maximum((at - self._start) // _DAY_US, 0)

    def follow(self, customers: Ints, actions: Ints, outcomes: Ints, at: Ints) -> None:
        """Let H outcomes change whom they happened to.

        Args:
            customers: (H,) no outcome twice for one customer.
            actions: (H,) after which one.
            outcomes: (H,) positions.
            at: (H,) microseconds since 1970.
        """
        self.standing.done[customers, outcomes] = True
        leaving = self._leaves[outcomes]
        self.standing.leave(customers[leaving], at[leaving])
        for place, (word, spec) in enumerate(self._outcomes):
            (here,) = np.nonzero(outcomes == place)
            if here.size:
                self._change(spec, customers[here], actions[here], at[here])
                self._take(word, actions[here], at[here])

    def _change(self, spec: OutcomeSpec, who: Ints, actions: Ints, at: Ints) -> None:
        for change in spec.changes:
            field = np.full(who.size, self._fields.index(change.field))
            until = np.full(who.size, FOREVER)
            if change.lasts is not None:
                until = at + span_of(change.lasts)
            self.standing.change(who, field, self._value(change, who, at), at, until)
        if spec.withdraws:
            field = self._consent[actions]
            some = field != _KEPT
            count = int(some.sum())
            self.standing.change(
                who[some], field[some], np.zeros(count), at[some], np.full(count, FOREVER)
            )

    def _take(self, word: str, actions: Ints, at: Ints) -> None:
        for inventory in self._spec.inventory:
            if inventory.outcome == word:
                taken = self.days(at[self._offer[actions] == inventory.offer])
                for day, count in zip(*np.unique(taken, return_counts=True), strict=True):
                    self.stocks.take(int(day), inventory.offer, word, int(count))

    def _value(self, change: Change, who: Ints, at: Ints) -> Floats:
        """Return the new values, (n,); numbers, truths or codes."""
        field = self._people.fields[change.field]
        if change.value != "next":
            return np.full(who.size, field.code(change.value))
        now = np.empty(who.size)
        days = self.days(at)
        for day in np.unique(days).tolist():
            of_day = days == day
            now[of_day] = field.values(day, who[of_day])
        changed, place = self.standing.at(who, at), self._fields.index(change.field)
        active = changed.since[:, place] != FOREVER
        now = np.where(active, changed.value[:, place], now)
        return np.minimum(now + 1.0, len(field.words) - 1.0)

    def changed(self, rows: Ints, at: int) -> tuple[Ints, dict[str, NDArray[Any]]]:
        """Return whose fields have changed and what the changed fields are now.

        Args:
            rows: (n,) customers.
            at: microseconds since 1970.

        Returns:
            (m,) positions among the rows; by field of the world that has changed for any of them,
            its (m,) true values.
        """
        (touched,) = np.nonzero(self.standing.touched[rows])
        if not touched.size:
            return touched, {}
        who = rows[touched]
        day = int(self.days(np.array([at]))[0])
        values = {}
        for name, active, value in self._in_force(who, at):
            if name in self._people.fields:
                values[name] = self._people.fields[name].values(day, who)
                values[name][active] = value
        return touched, values

    def show(self, columns: dict[str, Column], rows: Ints, at: int) -> None:
        """Write changed fields into columns of these customers, in place; they are known now."""
        (touched,) = np.nonzero(self.standing.touched[rows])
        if not touched.size:
            return
        for name, active, value in self._in_force(rows[touched], at):
            if name in columns:
                columns[name].data[touched[active]] = value
                columns[name].known[touched[active]] = True

    def _in_force(
        self, who: Ints, at: int
    ) -> Iterator[tuple[str, NDArray[np.bool_], NDArray[Any]]]:
        """Yield the fields that have changed for any of m customers.

        With each, whose has, (m,), and what it is now: numbers, truths or codes of those alone.
        """
        found = self.standing.at(who, np.full(who.size, at))
        day = self.days(np.array([at]))
        for place, name in enumerate(self._fields):
            active = found.since[:, place] != FOREVER
            if active.any():
                value = found.value[active, place]
                field = self._people.fields.get(name)
                if field is not None and field.kind in ("int", "double"):
                    value = field.grown(value, day - self.days(found.since[active, place]))
                yield name, active, value
