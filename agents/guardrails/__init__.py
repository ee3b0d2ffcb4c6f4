"""Guardrails: hard rules that bar actions, one rule a file.

A new rule is one module here, its document in `agents/spec/rules.py`, and one line in
`agents.guardrails.rules`.
"""

from __future__ import annotations

from agents.guardrails.base import Bar, Guardrail, Moment, Ranking, Rulebook
from agents.guardrails.rules import Rules

__all__ = ["Bar", "Guardrail", "Moment", "Ranking", "Rulebook", "Rules"]
