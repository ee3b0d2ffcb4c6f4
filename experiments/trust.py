"""Trust: what speaks for and against believing an evaluation, for reports and runs."""

from __future__ import annotations

from experiments.diagnostics import Check
from experiments.evaluate import Evaluation

NOT_SUPPORTED = 3
"""Exit code of a command whose answer the data do not support, where it was not forced."""


def checks(evaluation: Evaluation) -> tuple[Check, ...]:
    """Say in words what speaks for and against believing an evaluation, one check a diagnostic."""
    return evaluation.verdict.checks


def reasons(evaluation: Evaluation) -> tuple[Check, ...]:
    """Return the checks that failed: why the answer is `not supported`, empty if it is."""
    return evaluation.verdict.reasons
