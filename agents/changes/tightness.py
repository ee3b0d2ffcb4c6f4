"""Whether a changed guardrail bars more than before, or less."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum

from agents.actions import Action
from agents.guardrails.base import spoken_of
from agents.spec import BudgetSpec, GuardrailSpec, Rule


class Verdict(StrEnum):
    """What a change does to a guardrail."""

    TIGHTENED = "tightened"
    LOOSENED = "loosened"
    CHANGED = "changed"


# Which way each field bars more: +1 if it grows, -1 if it shrinks. Others only change.
_TIGHTER = {
    ("budget", "max"): -1,
    ("budget", "min"): +1,
    ("cooldown", "after"): +1,
    ("cooldown", "pause"): +1,
    ("cooldown", "times"): -1,
    ("cooldown", "within"): +1,
    ("escalation", "unless"): +1,
    ("escalation", "wait"): +1,
    ("escalation", "within"): -1,
    ("event_suppression", "after"): +1,
    ("event_suppression", "for_"): +1,
    ("exclusion_list", "customers"): +1,
    ("exclusive", "agents"): +1,
    ("exclusive", "for_"): +1,
    ("frequency_cap", "max"): -1,
    ("frequency_cap", "per"): +1,
    ("precedence", "after"): +1,
    ("precedence", "within"): +1,
    ("sequence", "restart"): +1,
    ("sequence", "until"): +1,
    ("sequence", "within"): -1,
}
_SELECTION = ("on", "except_")
_DAY = 86_400.0
_PERIODS = {
    "hour": 3_600.0, "day": _DAY, "week": 7 * _DAY, "month": 30 * _DAY, "quarter": 91 * _DAY,
    "year": 365 * _DAY,
}  # fmt: skip


def verdict(old: GuardrailSpec, new: GuardrailSpec, actions: Sequence[Action]) -> Verdict:
    """Say what a change does, given the actions that the guardrail may speak of.

    A rule whose fields move both ways, or of which one has no direction, has just changed.

    Example:
        >>> from datetime import timedelta
        >>> from agents.spec import CooldownSpec
        >>> short = CooldownSpec(rule="cooldown", pause=timedelta(days=7))
        >>> verdict(short, short.model_copy(update={"pause": timedelta(days=9)}), ()).value
        'tightened'
    """
    if old.rule != new.rule:
        return Verdict.CHANGED
    verdicts = {
        _way(old.rule, field, getattr(old, field), getattr(new, field))
        for field in type(old).model_fields
        if field not in _SELECTION and getattr(old, field) != getattr(new, field)
    }
    if (old.on, old.except_) != (new.on, new.except_):
        paced = isinstance(old, BudgetSpec) and old.min is not None  # it bars the others
        more = _grown(_spoken(old, actions), _spoken(new, actions), 1)
        verdicts.add(Verdict.CHANGED if paced else more)
    return verdicts.pop() if len(verdicts) == 1 else Verdict.CHANGED


def _way(rule: str, field: str, old: object, new: object) -> Verdict:
    """Judge one field by whether its value grew."""
    sign = _TIGHTER.get((rule, field), 0)
    if isinstance(old, tuple) and isinstance(new, tuple) and sign:
        if rule == "precedence" and not (old and new):
            return Verdict.LOOSENED if new else Verdict.TIGHTENED  # a condition, or none any more
        return _grown(frozenset(old), frozenset(new), sign)
    if rule == "budget" and field in ("max", "min") and (old is None or new is None):
        return Verdict.TIGHTENED if old is None else Verdict.LOOSENED
    before, after = _number(old), _number(new)
    if not sign or before is None or after is None:
        return Verdict.CHANGED
    return Verdict.TIGHTENED if (before < after) == (sign > 0) else Verdict.LOOSENED


def _number(value: object) -> float | None:
    """Return a number to compare by: a span in seconds, a calendar period about as long."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, str) and value in _PERIODS:
        return _PERIODS[value]
    return float(value) if isinstance(value, (int, float)) else None


def _grown(old: frozenset[object], new: frozenset[object], sign: int) -> Verdict:
    if old < new or new < old:
        return Verdict.TIGHTENED if (old < new) == (sign > 0) else Verdict.LOOSENED
    return Verdict.CHANGED


def _spoken(rule: Rule, actions: Sequence[Action]) -> frozenset[object]:
    return frozenset(actions[i] for i in spoken_of(rule, actions))
