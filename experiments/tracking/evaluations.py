"""Evaluations as runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from experiments.diagnostics import Diagnostics
from experiments.evaluate import Evaluation
from experiments.tracking.store import record_run
from experiments.trust import reasons

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

EXPERIMENT = "evaluations"


def record(
    client: MlflowClient,
    evaluation: Evaluation,
    *,
    fingerprint: str,
    artifacts: Mapping[str, bytes] | None = None,
) -> str:
    """Record an evaluation as one finished run and return the run's id.

    Metrics are named `ESTIMATOR.value`, `.stderr`, `.low`, `.high`, and after the diagnostics.

    Args:
        client: from `open_tracking`.
        evaluation: of one target.
        fingerprint: SHA-256 of the log, so that equal data can be told apart from other data.
        artifacts: files to keep with the run, by name, such as `html.evaluation_files` makes.
    """
    against = reasons(evaluation)
    tags = {
        "warnings": "; ".join(evaluation.warnings),
        "verdict": "not supported" if against else "supported",
        "reasons": "; ".join(check.words for check in against),
    }
    return record_run(
        client, EXPERIMENT, evaluation.target,
        metrics=_metrics(evaluation),
        params=_params(evaluation, fingerprint),
        tags=tags,
        artifacts=artifacts,
    )  # fmt: skip


def _metrics(evaluation: Evaluation) -> dict[str, float]:
    metrics = {
        f"{row.estimator}.{name}".replace("=", "_"): value
        for row in evaluation.shown
        for name, value in (
            ("value", row.value), ("stderr", row.stderr), ("low", row.low), ("high", row.high),
        )
    }  # fmt: skip
    return metrics | diagnostic_figures(evaluation.diagnostics)


def diagnostic_figures(found: Diagnostics) -> dict[str, float]:
    """Return what diagnostics say of a target, as metrics have it."""
    return {
        "ess": found.ess,
        "effective_conversions": found.effective_conversions,
        "max_weight": found.max_weight,
        "top_share": found.top_share,
        "unsupported": found.unsupported,
        "audit.mean_weight": found.audit.mean_weight,
        "audit.p_mean": found.audit.p_mean,
        "audit.p_draws": found.audit.p_draws,
        "audit.p_rare": found.audit.p_rare,
    }


def _params(evaluation: Evaluation, fingerprint: str) -> dict[str, str]:
    return {
        "target": evaluation.target,
        "decisions": str(evaluation.diagnostics.n),
        "level": str(evaluation.level),
        "log_sha256": fingerprint,
    }
