"""Budgets: at most, and at least, so much in a period over all customers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from agents.calendar import elapsed_share
from agents.counters import Counter
from agents.guardrails.base import Bar, Indices, Moment, Plain, Rulebook
from agents.guardrails.usage import Limit, owned, usage_counter, used, when
from agents.spec import BudgetSpec, Period


class Budget(Limit):
    """Bars what would take the contacts or the cost of a period above their maximum."""

    @classmethod
    def compile(cls, name: str, spec: BudgetSpec, book: Rulebook) -> Budget | None:
        """Compile a declared budget; None if it has no maximum."""
        if spec.max is None:
            return None
        return cls(name, f"budget of {name}", _counter(name, spec, book), spec.max, book)


class Pace(Plain):
    """While a period is behind its minimum, a customer who may get its actions gets no other.

    It is behind while used < min x share of the period that has gone by, so the minimum is spread
    evenly over the period.

    Args:
        name: the name that reasons begin with.
        counter: the contacts so far; the actions that it counts are those that are pushed.
        least: contacts.
        per: calendar period.
        book: where the other actions are found.
    """

    def __init__(
        self, name: str, counter: Counter, least: int, per: Period, book: Rulebook
    ) -> None:
        self.name, self.counters = name, (counter,)
        self.actions = book.every() if counter.actions else ()
        self._counter, self._min, self._per = counter, least, per
        self._pushed = counter.actions
        self._others: Indices = tuple(i for i in self.actions if i not in set(counter.actions))

    @classmethod
    def compile(cls, name: str, spec: BudgetSpec, book: Rulebook) -> Pace | None:
        """Compile a declared budget; None if it has no minimum."""
        if spec.min is None or spec.per is None:
            return None
        return cls(name, _counter(name, spec, book), spec.min, spec.per, book)

    def bars_among(self, moment: Moment, allowed: Sequence[bool]) -> Iterator[Bar]:
        """Bar all others while the period is behind and one of its actions is allowed."""
        if not self._others or not any(allowed[index] for index in self._pushed):
            return
        now = moment.context.at
        reason = self._behind(used(moment, self._counter, now), now)
        if reason is not None:
            yield Bar(self._others, reason)

    def _behind(self, gone: float | None, now: datetime) -> str | None:
        if gone is None:
            return f"the pace of {self.name}{when(self._counter, now)} is unknown"
        due = self._min * elapsed_share(self._per, now, self._counter.zone)
        if gone >= due:
            return None
        state = f"{gone:g} contacts, {due:.1f} due by now"
        return f"{self.name} is behind{when(self._counter, now)}: {state}"


def _counter(name: str, spec: BudgetSpec, book: Rulebook) -> Counter:
    actions = book.chosen(spec)
    return usage_counter(f"budget:{owned(name, book)}", book, actions, spec.per, spec.measure)
