"""Reports: the words by which an agent hears of outcomes, and what one such report is worth."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from agents.spec import Agent, Amount, Outcome


@dataclass(frozen=True, slots=True)
class Report:
    """What a world reports under one word.

    Args:
        window: how long after a decision a report still counts for all outcomes of the word.
        value: currency, weights included; what one report adds to the reward of its decision.
        properties: the amounts that come with it.
    """

    window: timedelta
    value: float
    properties: Mapping[str, float] = field(default_factory=dict)


def reports_of(agent: Agent) -> dict[str, Report]:
    """List the words that an agent's outcomes are reported by, in the order of the outcomes.

    An amount is reported as its typical one, so that a report's value is known exactly: the sum of
    `Outcome.worth` over the outcomes of the word. Where two of them read one property, the first
    one's typical amount is taken for both, inside the range that both accept.

    Example:
        >>> outcome = Outcome(event="paid", window="7d", weight=0.5,
        ...     value=Amount(property="amount", min=0.0, max=90.0, typical=20.0))
        >>> found = reports_of(Agent.model_construct(outcomes={"sale": outcome}))["paid"]
        >>> found.value, dict(found.properties)
        (10.0, {'amount': 20.0})
    """
    words: dict[str, list[Outcome]] = defaultdict(list)
    for name, outcome in agent.outcomes.items():
        words[outcome.event or name].append(outcome)
    return {word: _report(outcomes) for word, outcomes in words.items()}


def _report(outcomes: list[Outcome]) -> Report:
    amounts: dict[str, list[Amount]] = defaultdict(list)
    for outcome in outcomes:
        if isinstance(outcome.value, Amount):
            amounts[outcome.value.property].append(outcome.value)
    properties = {
        name: min(max(same[0].typical, *(a.min for a in same)), *(a.max for a in same))
        for name, same in amounts.items()
    }
    value = sum(
        outcome.weight
        * (
            properties[outcome.value.property]
            if isinstance(outcome.value, Amount)
            else outcome.value
        )
        for outcome in outcomes
    )
    return Report(min(outcome.window for outcome in outcomes), value, properties)
