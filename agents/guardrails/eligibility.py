"""Eligibility: an expression over the customer that must be exactly true."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from agents.expressions import Condition
from agents.guardrails.base import Bar, Indices, Moment, Rulebook
from agents.spec import EligibilitySpec


@dataclass(frozen=True, slots=True)
class Eligibility:
    """Bars its actions unless the condition is exactly true; unknown is not true."""

    name: str
    actions: Indices
    condition: Condition
    lookback: timedelta = timedelta(0)

    @classmethod
    def compile(cls, name: str, spec: EligibilitySpec, book: Rulebook) -> Eligibility:
        """Compile a rule that an agent or the workspace declares."""
        chosen = tuple(
            i for i in book.every() if not spec.kinds or book.actions[i].kind in spec.kinds
        )
        return cls(name, chosen, book.language.compile(spec.when))

    @classmethod
    def implied(cls, book: Rulebook) -> Iterator[Eligibility]:
        """Compile what the agent's audience and its offers' `eligible` imply."""
        if book.agent.audience is not None:
            condition = book.language.compile(book.agent.audience)
            yield cls("audience", book.every(), condition)
        by_offer = book.group("offer")
        for name, offer in book.agent.offers.items():
            if offer.eligible is not None:
                yield cls("eligible", by_offer[name], book.language.compile(offer.eligible))

    def bars(self, moment: Moment) -> Iterator[Bar]:
        """Bar all its actions, or none."""
        refusal = self.condition.refusal(moment.bound)
        if refusal is not None:
            yield Bar(self.actions, refusal)
