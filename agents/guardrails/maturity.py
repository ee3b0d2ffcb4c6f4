"""Maturity: a new action is open to a share of customers that grows with its successes.

Declared actions are few, and what each has earned counts for good. Those that come with requests
are ever others: of them the last 90 days count, so that the ledger may forget what is gone.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import NamedTuple

from agents.counters import Counter
from agents.groups import position
from agents.guardrails.base import Bar, Indices, Moment, Plain, Rulebook
from agents.spec import Agent

REMEMBERED = timedelta(days=90)
"""For how long a success of a supplied action counts."""


class _Ramp(NamedTuple):
    """One action: where it stands, what it is called, and by which counter its successes are."""

    action: int
    salt: str
    counter: str


class Maturity(Plain):
    """Bars an action to customers outside its share, who are drawn by hash.

    share = min(1, start + (1 - start) x positives / full_at), with the positives of that action so
    far, of a supplied one those of `REMEMBERED`. A customer is inside if their position in [0, 1),
    drawn for each action, is below it.
    """

    name = "maturity"

    def __init__(self, book: Rulebook) -> None:
        ramp, agent, zone = book.agent.maturity, book.agent.agent, book.workspace.zone
        self.actions: Indices = () if ramp is None else book.every()
        self.start = 1.0 if ramp is None else ramp.start_share
        self.full = 1 if ramp is None else ramp.full_at_positives
        words, ids = positive_words(book.agent), [action.id for action in book.actions]
        per = None if book.agent.supplied is None else REMEMBERED
        self.counters = tuple(
            Counter(f"positives:{agent}/{ids[i]}", "positives", (i,), per, words, zone)
            for i in self.actions
        )
        self.ramps = tuple(
            _Ramp(i, f"maturity\0{agent}\0{ids[i]}", counter.name)
            for i, counter in zip(self.actions, self.counters, strict=True)
        )

    def bars(self, moment: Moment) -> Iterator[Bar]:
        """Bar action by action."""
        usage, customer = moment.context.usage, moment.context.customer
        first = self.counters[0].first(moment.context.at)  # of all, as they have the same buckets
        for action, salt, counter in self.ramps:
            positives = usage.get(f"{counter}@{first}")
            if positives is None:
                yield Bar((action,), "how often it succeeded so far is unknown")
            elif not positives >= self.full:
                share = self.share(positives)
                if not share >= 1.0 and not position(salt, customer) < share:
                    state = f"{positives:g} of {self.full} successes"
                    yield Bar((action,), f"open to {share:.1%} of customers after {state}")

    def share(self, positives: float) -> float:
        """Return the share of customers who may get an action that succeeded so often."""
        return self.start + (1.0 - self.start) * positives / self.full


def positive_words(agent: Agent) -> frozenset[str]:
    """Return the words of the events that count as a success.

    Those of the primary outcomes; if none is primary, of all that are worth something.
    """
    outcomes = agent.outcomes.items()
    primary = [(name, outcome) for name, outcome in outcomes if outcome.metric == "primary"]
    good = primary or [(name, outcome) for name, outcome in outcomes if outcome.worth > 0.0]
    return frozenset(outcome.event or name for name, outcome in good)
