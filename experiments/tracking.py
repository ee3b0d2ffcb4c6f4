"""Tracking: evaluations kept as MLflow runs, in a folder of this machine, with no telemetry."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from agents.errors import StateError
from experiments.evaluate import Evaluation

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

EXPERIMENT = "evaluations"
DATABASE = "mlflow.db"


def open_tracking(folder: Path) -> MlflowClient:
    """Open the MLflow store of a folder, making it if missing.

    `mlflow ui --backend-store-uri sqlite:///FOLDER/mlflow.db` shows what is in it. MLflow is
    imported here and not before, since it takes seconds; its telemetry is switched off first.

    Raises:
        StateError: the folder cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / DATABASE).touch()
    except OSError as error:
        raise StateError(f"runs cannot be recorded in {folder}: {error.strerror}") from error
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["DO_NOT_TRACK"] = "true"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own dependencies' deprecations concern no user
        from mlflow.tracking import MlflowClient as Client

        logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
        return Client(f"sqlite:///{(folder / DATABASE).resolve()}")


def record(client: MlflowClient, evaluation: Evaluation, *, fingerprint: str) -> str:
    """Record an evaluation as one finished run and return the run's id.

    Metrics are named `ESTIMATOR.value`, `.stderr`, `.low`, `.high`, and after the diagnostics.

    Args:
        client: from `open_tracking`.
        evaluation: of one target.
        fingerprint: SHA-256 of the log, so that equal data can be told apart from other data.
    """
    return record_run(
        client, EXPERIMENT, evaluation.target,
        metrics=_metrics(evaluation),
        params=_params(evaluation, fingerprint),
        tags={"warnings": "; ".join(evaluation.warnings)},
    )  # fmt: skip


def record_run(
    client: MlflowClient,
    experiment: str,
    name: str,
    *,
    metrics: Mapping[str, float],
    params: Mapping[str, str],
    tags: Mapping[str, str],
) -> str:
    """Record one finished run under an experiment, which is made if missing; return its id."""
    from mlflow.entities import Metric, Param, RunTag

    folder = Path(str(client.tracking_uri).removeprefix("sqlite:///")).parent
    known = client.get_experiment_by_name(experiment)
    place = (
        client.create_experiment(experiment, artifact_location=(folder / "artifacts").as_uri())
        if known is None
        else known.experiment_id
    )
    run = client.create_run(place, run_name=name)
    now = run.info.start_time
    client.log_batch(
        run.info.run_id,
        metrics=[Metric(key, value, now, 0) for key, value in metrics.items()],
        params=[Param(key, value) for key, value in params.items()],
        tags=[RunTag(key, value) for key, value in tags.items()],
    )
    client.set_terminated(run.info.run_id)
    return str(run.info.run_id)


def _metrics(evaluation: Evaluation) -> dict[str, float]:
    metrics = {
        f"{row.estimator}.{name}": value
        for row in evaluation.estimates
        for name, value in (
            ("value", row.value), ("stderr", row.stderr), ("low", row.low), ("high", row.high),
        )
    }  # fmt: skip
    found = evaluation.diagnostics
    return metrics | {
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
        "level": str(evaluation.estimates[0].level),
        "log_sha256": fingerprint,
    }
