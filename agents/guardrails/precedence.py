"""Precedence: a kind of offer waits while a more important kind is allowed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from agents.counters import Counter
from agents.expressions import Condition
from agents.guardrails.base import Bar, Indices, Moment, Rulebook
from agents.spec import PrecedenceSpec


class Precedence:
    """Bars the later kinds of an order while an action of an earlier kind is allowed.

    Args:
        name: the name that reasons begin with.
        spec: the rule as written.
        book: what its expression is compiled by.

    Raises:
        ValueError: the expression does not compile against the customer schema.
    """

    reads_contacts = False
    counters: tuple[Counter, ...] = ()

    def __init__(self, name: str, spec: PrecedenceSpec, book: Rulebook) -> None:
        by_kind = book.group("kind", book.chosen(spec))
        self.name = name
        self.hears = frozenset(spec.after)
        self.lookback = spec.within or timedelta(0)
        self.ranks = tuple((kind, by_kind[kind]) for kind in spec.order if kind in by_kind)
        self.actions: Indices = tuple(i for _, indices in self.ranks for i in indices)
        self.when: Condition | None = None
        if spec.when is not None:
            self.when = book.language.compile(spec.when)

    @classmethod
    def compile(cls, name: str, spec: PrecedenceSpec, book: Rulebook) -> Precedence | None:
        """Compile a declared order; None if the agent has actions of one of its kinds at most."""
        rule = cls(name, spec, book)
        return rule if len(rule.ranks) > 1 else None

    def bars_among(self, moment: Moment, allowed: Sequence[bool]) -> Iterator[Bar]:
        """Bar all kinds after the first of which an action is allowed."""
        for rank, (kind, indices) in enumerate(self.ranks[:-1]):
            if any(allowed[index] for index in indices):
                if self._holds(moment):
                    later = tuple(i for _, group in self.ranks[rank + 1 :] for i in group)
                    yield Bar(later, f"an action of kind {kind} is allowed and comes first")
                return

    def _holds(self, moment: Moment) -> bool:
        """Say whether the rule applies: also where that is unknown."""
        if self.when is not None and self.when.denial(moment.bound) is None:
            return False
        if not self.hears:
            return True
        now = moment.context.at
        return any(
            event.event in self.hears and now - self.lookback < event.at <= now
            for event in reversed(moment.context.events)
        )
