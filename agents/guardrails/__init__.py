"""Guardrails: hard rules that bar actions, one rule a file.

A new rule is one module here, its document in `agents/spec/rules.py`, and one line in `_RULES`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from agents.guardrails.base import Bar, Guardrail, Moment, Ranking, Rulebook
from agents.guardrails.budget import Budget, Pace
from agents.guardrails.capacity import capacities, stocks
from agents.guardrails.channels import Channels
from agents.guardrails.consent import Consent, OptOut
from agents.guardrails.content import Content
from agents.guardrails.cooldown import Cooldown
from agents.guardrails.dates import Dates
from agents.guardrails.eligibility import Eligibility, Suppression
from agents.guardrails.escalation import Escalation
from agents.guardrails.exclusion import ExclusionList
from agents.guardrails.exclusive import Exclusive
from agents.guardrails.fallback import Fallback
from agents.guardrails.frequency import FrequencyCap
from agents.guardrails.maturity import Maturity
from agents.guardrails.placement import Placement
from agents.guardrails.precedence import Precedence
from agents.guardrails.quiet_hours import QuietHours
from agents.guardrails.sequence import Sequence
from agents.guardrails.suppressed import Suppressed
from agents.spec import (
    BudgetSpec,
    CooldownSpec,
    EligibilitySpec,
    EscalationSpec,
    EventSuppressionSpec,
    ExclusionListSpec,
    ExclusiveSpec,
    FrequencyCapSpec,
    PrecedenceSpec,
    SequenceSpec,
    SuppressionSpec,
)

G = TypeVar("G", Guardrail, Ranking)

__all__ = [
    "Bar", "Guardrail", "Moment", "Ranking", "Rulebook", "compile_guardrails", "compile_rankings",
]  # fmt: skip

_RULES: dict[type[Any], Callable[[str, Any, Rulebook], Guardrail | None]] = {
    BudgetSpec: Budget.compile,
    CooldownSpec: Cooldown.compile,
    EligibilitySpec: Eligibility.compile,
    EscalationSpec: Escalation.compile,
    EventSuppressionSpec: Cooldown.ending,
    ExclusionListSpec: ExclusionList.compile,
    ExclusiveSpec: Exclusive.compile,
    FrequencyCapSpec: FrequencyCap.compile,
    SequenceSpec: Sequence.compile,
    SuppressionSpec: Suppression.compile,
}
_RANKINGS: dict[type[Any], Callable[[str, Any, Rulebook], Ranking | None]] = {
    PrecedenceSpec: Precedence.compile,
    BudgetSpec: Pace.compile,
}


def compile_guardrails(book: Rulebook) -> tuple[Guardrail, ...]:
    """Compile every guardrail that binds an agent, in the order in which reasons are given.

    First who is suppressed, then what offers, audience and channels imply, then the workspace's
    rules, then the agent's.

    Raises:
        ValueError: an expression or a template does not compile against the customer schema.
    """
    implied: list[Guardrail] = [
        Suppressed(book), *Eligibility.implied(book), OptOut(book), Consent(book), Dates(book),
        Placement(book), Channels(book), Content(book), QuietHours(book), *stocks(book),
        *capacities(book), Maturity(book),
    ]  # fmt: skip
    return (*(rule for rule in implied if rule.actions), *_declared(book, _RULES))


def compile_rankings(book: Rulebook) -> tuple[Ranking, ...]:
    """Compile the rules that depend on what the others allow, in the order they are asked.

    The workspace's, then the agent's; fallback offers last.

    Raises:
        ValueError: an expression does not compile against the customer schema.
    """
    fallback = Fallback(book)
    return (*_declared(book, _RANKINGS), *([fallback] if fallback.actions else []))


def _declared(
    book: Rulebook, kinds: dict[type[Any], Callable[[str, Any, Rulebook], G | None]]
) -> list[G]:
    rules = [
        kinds[type(spec)](name, spec, book)
        for named in (book.workspace.guardrails, book.agent.guardrails)
        for name, spec in named.items()
        if type(spec) in kinds
    ]
    return [rule for rule in rules if rule is not None and rule.actions]
