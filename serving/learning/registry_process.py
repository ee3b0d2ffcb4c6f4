"""Reads models from an MLflow registry, in a process of its own: MLflow takes seconds to import.

Run by the server as `python -m serving.learning.registry_process` with a question as JSON on its
standard input, and answered as JSON on its standard output. Files are read as bytes, and checked
by who asked; nothing is unpickled.
"""

from __future__ import annotations

import base64
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from policies.registered import MODEL_FILE, SHA256_TAG, model_name

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

_LARGEST = 512 * 1024 * 1024  # bytes of a model's file
_SQLITE = "sqlite:///"
_ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # no such model, no such alias


def fetch(registry: str, alias: str, agents: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the models that an alias points to, by agent; agents without one are left out.

    Args:
        registry: URI of the MLflow tracking store.
        alias: such as `champion`.
        agents: names.

    Raises:
        MlflowException: the registry cannot be reached, or holds no such file.
        OSError: the file cannot be read, or the registry's own is not there.
        ValueError: the file is larger than any model.
    """
    client, found = _open(registry), {}
    for agent in agents:
        model = _one(client, alias, agent)
        if model is not None:
            found[agent] = model
    return found


def _open(registry: str) -> MlflowClient:
    path = registry.removeprefix(_SQLITE)
    if path != registry and not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {path}")  # MLflow would make an empty one
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["DO_NOT_TRACK"] = "true"
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "1"  # a registry that is away is soon known
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own dependencies' deprecations concern no user
        from mlflow.tracking import MlflowClient as Client

        return Client(tracking_uri=registry, registry_uri=registry)


def _one(client: MlflowClient, alias: str, agent: str) -> dict[str, Any] | None:
    from mlflow.exceptions import MlflowException

    try:
        version = client.get_model_version_by_alias(model_name(agent), alias)
    except MlflowException as error:
        if error.error_code in _ABSENT:
            return None
        raise
    if version.run_id is None:
        raise ValueError(f"expected version {version.version} of {agent} to have a run, got none")
    with tempfile.TemporaryDirectory(prefix="nextbest-") as folder:
        path = Path(client.download_artifacts(version.run_id, MODEL_FILE, folder))
        if path.stat().st_size > _LARGEST:
            raise ValueError(f"expected a model of at most {_LARGEST:,} bytes, got a larger file")
        data = path.read_bytes()
    return {
        "version": int(version.version),
        "sha256": version.tags.get(SHA256_TAG, ""),
        "data": base64.b64encode(data).decode(),
    }


def main() -> int:
    """Answer the question on standard input; an error is one line on standard error."""
    logging.disable(logging.WARNING)
    asked = orjson.loads(sys.stdin.buffer.read())
    try:
        found = fetch(asked["registry"], asked["alias"], asked["agents"])
    except Exception as error:  # noqa: BLE001 - of many libraries, all told in one line
        first = (str(error).splitlines() or [""])[0]
        sys.stderr.write(f"{type(error).__name__}: {first}\n")
        return 1
    sys.stdout.buffer.write(orjson.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
