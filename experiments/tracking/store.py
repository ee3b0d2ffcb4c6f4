"""The store: MLflow in a folder of this machine, with no telemetry, and runs written into it."""

from __future__ import annotations

import fcntl
import logging
import os
import re
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
_RETRIES_ENV = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
_SQLITE = "sqlite:///"
_SERVER = ("http://", "https://")
_PASSWORD = re.compile(r"//\S*@")  # user and password of an address
_ADDRESS = re.compile(r"[a-z][a-z0-9+]*:/", re.IGNORECASE)
_EXPECTED = "expected sqlite:///FILE or the http(s) address of an MLflow server"
_AT_ONCE = 500  # metrics that a store takes in one go, with room for parameters and tags


def open_tracking(folder: Path) -> MlflowClient:
    """Open the MLflow store of a folder, making it if missing.

    `mlflow ui --backend-store-uri sqlite:///FOLDER/mlflow.db` shows what is in it. MLflow is
    imported here and not before, since it takes seconds; its telemetry is switched off first.

    Raises:
        StateError: it is an address and no folder, or the folder cannot be made or written.
    """
    if _ADDRESS.match(str(folder)):
        raise StateError(
            "expected a folder, got an address; the address of a store goes into the environment"
            " variable MLFLOW_TRACKING_URI"
        )
    return _open_file(folder / DATABASE)


def open_store(uri: str) -> MlflowClient:
    """Open a store by its MLflow address: a server's, or that of a SQLite file, made if missing.

    Raises:
        StateError: it is none, it cannot be reached or written, or the folder of its file is
            missing; a password in the address is not told.
    """
    if uri.startswith(_SQLITE):
        file = Path(uri.removeprefix(_SQLITE))
        if not file.parent.is_dir():  # a mistyped path is no wish for a new folder
            raise StateError(
                f"runs cannot be recorded in {uri}: there is no folder {file.parent}; make it,"
                f" or mend the address: {_EXPECTED}"
            )
        return _open_file(file)
    if "://" not in uri or uri.startswith("file:"):  # a folder, which MLflow itself gives up
        raise StateError(f"runs cannot be recorded in {uri}: {_EXPECTED}")
    os.environ.setdefault(_RETRIES_ENV, "2")  # of a server that is not there is told soon
    with _quiet(), _told(uri, "" if uri.startswith(_SERVER) else f"; {_EXPECTED}"):
        from mlflow.tracking import MlflowClient as Client

        client = Client(uri)
        client.get_experiment_by_name(_FIRST)
        return client


def told_address(uri: str) -> str:
    """Return an address as it may be told: without user, password and query.

    Example:
        >>> told_address("https://me:secret@host:5000/x?token=y"), told_address("sqlite:///a@b.db")
        ('https://host:5000/x', 'sqlite:///a@b.db')
    """
    return uri if uri.startswith(_SQLITE) else _PASSWORD.sub("//", uri).partition("?")[0]


def _open_file(database: Path) -> MlflowClient:
    folder = database.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        database.touch()
    except OSError as error:
        raise StateError(f"runs cannot be recorded in {folder}: {error.strerror}") from error
    with _quiet(), _alone(folder), _artifacts_in(folder), _told(f"{_SQLITE}{database}"):
        from mlflow.tracking import MlflowClient as Client

        client = Client(f"{_SQLITE}{database.resolve()}")
        client.get_experiment_by_name(_FIRST)  # opens the database, and makes its tables
        return client


@contextmanager
def _quiet() -> Iterator[None]:
    """Switch telemetry off before MLflow is imported, and let it not chat."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["DO_NOT_TRACK"] = "true"
    for name in ("mlflow.store.db.utils", "alembic.runtime.migration"):
        logging.getLogger(name).setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own dependencies' deprecations concern no user
        yield


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process at a time make the tables: two at once would stumble over each other."""
    with (folder / _LOCK).open("ab") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)  # given back as the file is closed
        yield


@contextmanager
def _told(address: str, advice: str = "") -> Iterator[None]:
    """Say in one line that a store is none, cannot be written, or is of another MLflow."""
    store = told_address(address)
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        first = (str(error).splitlines() or [""])[0]
        first = _PASSWORD.sub("//", first.replace(address, store))
        raise StateError(f"runs cannot be recorded in {store}: {first}{advice}") from None


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

    Raises:
        StateError: the store cannot be reached or written any more.
    """
    from mlflow.entities import Param, RunTag

    tags = {f"env.{key}": value for key, value in environment().items()} | dict(tags)
    with _told(str(client.tracking_uri)):
        run = client.create_run(_place(client, experiment), run_name=name)
        points = _points(metrics, curves or {}, run.info.start_time)
        for start in range(_AT_ONCE, len(points), _AT_ONCE):
            client.log_batch(run.info.run_id, metrics=points[start : start + _AT_ONCE])
        client.log_batch(
            run.info.run_id,
            metrics=points[:_AT_ONCE],
            params=[Param(key, value) for key, value in params.items()],
            tags=[RunTag(key, value) for key, value in tags.items()],
        )
        keep_artifacts(client, run.info.run_id, artifacts or {})
        client.set_terminated(run.info.run_id)
    return str(run.info.run_id)


def _place(client: MlflowClient, experiment: str) -> str:
    """Return the id of an experiment, making it if missing; its files lie beside a SQLite file."""
    known = client.get_experiment_by_name(experiment)
    if known is not None:
        return str(known.experiment_id)
    address = str(client.tracking_uri)
    if not address.startswith(_SQLITE):
        return str(client.create_experiment(experiment))  # a server knows where its files lie
    folder = Path(address.removeprefix(_SQLITE)).parent
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
