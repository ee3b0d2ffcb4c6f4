"""Fallback: offers for customers for whom nothing else is left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agents.guardrails.base import Bar, Indices, Moment, Plain, Rulebook


class Fallback(Plain):
    """Bars fallback offers while any other action but `none` is allowed."""

    name = "fallback"

    def __init__(self, book: Rulebook) -> None:
        every = book.every()
        self.actions: Indices = tuple(i for i in every if book.actions[i].fallback)
        self._others: Indices = tuple(i for i in every if not book.actions[i].fallback)

    def bars_among(self, _moment: Moment, allowed: Sequence[bool]) -> Iterator[Bar]:
        """Bar all of them, or none."""
        if any(allowed[index] for index in self._others):
            yield Bar(self.actions, "an action of another offer is allowed")
