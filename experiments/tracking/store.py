"""The store: MLflow in a folder of this machine, with no telemetry, and runs written into it."""

from __future__ import annotations

import fcntl
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from agents.errors import StateError
from experiments.tracking.environment import environment

if TYPE_CHECKING:
    from mlflow.entities import Metric
    from mlflow.tracking import MlflowClient

DATABASE = "mlflow.db"

_ARTIFACTS = "artifacts"
_LOCK = ".mlflow.lock"
_FIRST = "Default"  # MLflow's own experiment
_ROOT_ENV = "_MLFLOW_SERVER_ARTIFACT_ROOT"


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

        for name in ("mlflow.store.db.utils", "alembic.runtime.migration"):
            logging.getLogger(name).setLevel(logging.WARNING)
        with _alone(folder), _artifacts_in(folder), _told(folder):
            client = Client(f"sqlite:///{(folder / DATABASE).resolve()}")
            client.get_experiment_by_name(_FIRST)  # opens the database, and makes its tables
            return client


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process at a time make the tables: two at once would stumble over each other."""
    with (folder / _LOCK).open("ab") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)  # given back as the file is closed
        yield


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """Say in one line that a database is none, cannot be written, or is of another MLflow."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError) as error:
        first = (str(error).splitlines() or [""])[0]
        raise StateError(f"runs cannot be recorded in {folder / DATABASE}: {first}") from error


@contextmanager
def _artifacts_in(folder: Path) -> Iterator[None]:
    """Let MLflow's own empty experiment not name the folder that the command was run in."""
    before = os.environ.get(_ROOT_ENV)
    os.environ[_ROOT_ENV] = (folder / _ARTIFACTS).resolve().as_uri()
    try:
        yield
    finally:
        os.environ.pop(_ROOT_ENV)
        os.environ.update({} if before is None else {_ROOT_ENV: before})


def record_run(
    client: MlflowClient,
    experiment: str,
    name: str,
    *,
    metrics: Mapping[str, float],
    params: Mapping[str, str],
    tags: Mapping[str, str],
    curves: Mapping[str, Mapping[int, float]] | None = None,
    artifacts: Mapping[str, bytes] | None = None,
) -> str:
    """Record one finished run under an experiment, which is made if missing; return its id.

    Every run tells its environment in tags `env.NAME`; neither the user nor the machine is told.

    Args:
        client: from `open_tracking`.
        experiment: in which runs are compared.
        name: of the run.
        metrics: by name.
        params: by name; what fixes the run.
        tags: by name.
        curves: further metrics, by name and step.
        artifacts: contents of files, by name.
    """
    from mlflow.entities import Param, RunTag

    tags = {f"env.{key}": value for key, value in environment().items()} | dict(tags)
    run = client.create_run(_place(client, experiment), run_name=name)
    client.log_batch(
        run.info.run_id,
        metrics=_points(metrics, curves or {}, run.info.start_time),
        params=[Param(key, value) for key, value in params.items()],
        tags=[RunTag(key, value) for key, value in tags.items()],
    )
    keep_artifacts(client, run.info.run_id, artifacts or {})
    client.set_terminated(run.info.run_id)
    return str(run.info.run_id)


def _place(client: MlflowClient, experiment: str) -> str:
    """Return the id of an experiment whose files lie beside the database, making it if missing."""
    known = client.get_experiment_by_name(experiment)
    if known is not None:
        return str(known.experiment_id)
    folder = Path(str(client.tracking_uri).removeprefix("sqlite:///")).parent
    return str(
        client.create_experiment(experiment, artifact_location=(folder / _ARTIFACTS).as_uri())
    )


def _points(
    metrics: Mapping[str, float], curves: Mapping[str, Mapping[int, float]], at: int
) -> list[Metric]:
    from mlflow.entities import Metric

    points = [Metric(key, value, at, 0) for key, value in metrics.items()]
    for key, curve in curves.items():
        points += [Metric(key, value, at, step) for step, value in curve.items()]
    return points


def keep_artifacts(client: MlflowClient, run_id: str, artifacts: Mapping[str, bytes]) -> None:
    """Keep files beside a run.

    Args:
        client: from `open_tracking`.
        run_id: of the run.
        artifacts: contents by name; a name may have folders, as `plots/value.svg`.
    """
    with tempfile.TemporaryDirectory(prefix="nextbest-") as folder:
        for name, content in artifacts.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        if artifacts:
            client.log_artifacts(run_id, folder)
