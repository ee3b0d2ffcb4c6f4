"""Eligibility and suppression: expressions over the customer that must be true, or false."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from agents.guardrails.base import Bar, Indices, Moment, Plain, Rulebook
from agents.spec import EligibilitySpec, Offer, SuppressionSpec

Part = tuple[str, Indices, str]
"""An expression, the actions that need it, and the included offer it is asked for, if one."""

_ASKED: tuple[tuple[str, Callable[[Offer], str | None]], ...] = (
    ("eligible", lambda offer: offer.eligible),
    ("applicable", lambda offer: offer.applicable),
    ("suitable", lambda offer: offer.suitable),
)


class Eligibility(Plain):
    """Bars actions unless their expression is exactly true; unknown is not true.

    An expression that several offers share is evaluated once.

    Attributes:
        wanted: what an expression must be.

    Args:
        name: the name that reasons begin with.
        parts: in the order in which reasons take precedence.
        book: what the expressions are compiled by.

    Raises:
        ValueError: an expression does not compile against the customer schema.
    """

    wanted: bool = True

    def __init__(self, name: str, parts: Iterable[Part], book: Rulebook) -> None:
        kept = [part for part in parts if part[1]]
        sources = list(dict.fromkeys(source for source, _, _ in kept))
        self.name = name
        self.actions: Indices = tuple(sorted({i for _, indices, _ in kept for i in indices}))
        self.conditions = tuple(book.language.compile(source) for source in sources)
        self.parts = tuple(
            (sources.index(source), indices, f"{offer}: " if offer else "")
            for source, indices, offer in kept
        )

    @classmethod
    def compile(
        cls, name: str, spec: EligibilitySpec | SuppressionSpec, book: Rulebook
    ) -> Eligibility:
        """Compile a rule that an agent or the workspace declares."""
        return cls(name, [(spec.when, book.chosen(spec), "")], book)

    @classmethod
    def implied(cls, book: Rulebook, *, offers: bool) -> Iterator[Eligibility]:
        """Compile what the audience implies, and `offers`; a bundle needs what its offers need."""
        if book.agent.audience is not None:
            yield cls("audience", [(book.agent.audience, book.every(), "")], book)
        for name, asked in _ASKED if offers else ():
            yield cls(name, _offered(book, asked), book)

    def bars(self, moment: Moment) -> Iterator[Bar]:
        """Bar the actions of every expression that does not hold."""
        found = [condition.value(moment.bound) for condition in self.conditions]
        for position, indices, offer in self.parts:
            if found[position] is not self.wanted:
                yield Bar(indices, f"{offer}{self.conditions[position].told(found[position])}")


class Suppression(Eligibility):
    """Bars actions unless its expression is exactly false; unknown is not false."""

    wanted = False


def _offered(book: Rulebook, asked: Callable[[Offer], str | None]) -> Iterator[Part]:
    """List what each offer asks of the customer, then what the offers that it includes ask."""
    for name, indices in book.group("offer").items():
        offer = book.agent.offers[name]
        own = asked(offer)
        if own is not None:
            yield own, indices, ""
        for included in offer.includes:
            source = asked(book.agent.offers[included])
            if source is not None:
                yield source, indices, included
