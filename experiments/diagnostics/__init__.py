"""Diagnostics: whether a log can answer a question, and what it needs if it cannot."""

from experiments.diagnostics.audit import Audit, audit
from experiments.diagnostics.drift import Shift
from experiments.diagnostics.halves import STEADY, GapDrift, ValueDrift, ValueSums
from experiments.diagnostics.limits import LIMITS, Limits
from experiments.diagnostics.mean_weight import MeanWeight
from experiments.diagnostics.overlap import Diagnostics, Health, diagnose
from experiments.diagnostics.verdict import Check, Verdict, judge, more_conversions, needs

__all__ = [
    "LIMITS", "STEADY", "Audit", "Check", "Diagnostics", "GapDrift", "Health", "Limits",
    "MeanWeight", "Shift", "ValueDrift", "ValueSums", "Verdict", "audit", "diagnose", "judge",
    "more_conversions", "needs",
]  # fmt: skip
