"""Diagnostics: whether a log can answer a question, and what it needs if it cannot."""

from experiments.diagnostics.audit import Audit, audit
from experiments.diagnostics.drift import Shift, ValueDrift
from experiments.diagnostics.limits import LIMITS, Limits
from experiments.diagnostics.mean_weight import MeanWeight
from experiments.diagnostics.overlap import Diagnostics, Health, diagnose
from experiments.diagnostics.verdict import Check, Verdict, judge, more_conversions

__all__ = [
    "LIMITS", "Audit", "Check", "Diagnostics", "Health", "Limits", "MeanWeight", "Shift",
    "ValueDrift", "Verdict", "audit", "diagnose", "judge", "more_conversions",
]  # fmt: skip
