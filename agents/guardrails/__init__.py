"""Guardrails: hard rules that bar actions, one rule a file.

A new rule is one module here, its document in `agents/spec.py`, and one line in `_RULES`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agents.guardrails.base import Bar, Guardrail, Moment, Rulebook
from agents.guardrails.consent import Consent
from agents.guardrails.cooldown import Cooldown
from agents.guardrails.eligibility import Eligibility
from agents.guardrails.frequency import FrequencyCap
from agents.guardrails.quiet_hours import QuietHours
from agents.spec import CooldownSpec, EligibilitySpec, FrequencyCapSpec

__all__ = ["Bar", "Guardrail", "Moment", "Rulebook", "compile_guardrails"]

_RULES: dict[type[Any], Callable[[str, Any, Rulebook], Guardrail]] = {
    CooldownSpec: Cooldown.compile,
    EligibilitySpec: Eligibility.compile,
    FrequencyCapSpec: FrequencyCap.compile,
}


def compile_guardrails(book: Rulebook) -> tuple[Guardrail, ...]:
    """Compile every guardrail that binds an agent, in the order in which reasons are given.

    First what offers, audience and channels imply, then the workspace's rules, then the agent's.

    Raises:
        ValueError: an expression does not compile against the customer schema.
    """
    rules: list[Guardrail] = [*Eligibility.implied(book), Consent(book), QuietHours(book)]
    for named in (book.workspace.guardrails, book.agent.guardrails):
        rules += [_RULES[type(spec)](name, spec, book) for name, spec in named.items()]
    return tuple(rules)
