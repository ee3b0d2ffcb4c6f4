"""A local Ray with the deployment on it; import only after `set_ray_environment`."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator
from pathlib import Path

import ray
from ray import serve

from agents.errors import StateError
from serving.cluster.deployment import NAME, build
from serving.settings import Settings

_OBJECT_STORE_BYTES = 80 * 2**20  # the least that Ray accepts; nothing large passes through it


@contextlib.contextmanager
def cluster(settings: Settings, private: Path) -> Iterator[str]:
    """Run Ray and the deployment inside the context; yields the base URL once it is ready.

    Args:
        settings: of the server.
        private: a short path for Ray's own files.

    Raises:
        StateError: the replica does not start.
    """
    logging.getLogger("ray.serve").setLevel(logging.ERROR)
    ray.init(
        num_cpus=4,  # logical; the replica asks for none
        include_dashboard=False,
        object_store_memory=_OBJECT_STORE_BYTES,
        _temp_dir=str(private / "ray"),
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    try:
        serve.start(
            http_options={"host": settings.host, "port": settings.port},
            logging_config={"enable_access_log": False, "log_level": "WARNING"},
        )
        _deploy(settings)
        yield f"http://{settings.host}:{settings.port}"
    finally:
        # Serve's controller dies while answering its own shutdown, which Ray prints as a failure.
        with contextlib.redirect_stdout(io.StringIO()):
            serve.shutdown()
            ray.shutdown()


def _deploy(settings: Settings) -> None:
    try:
        serve.run(build(settings), name=NAME, route_prefix="/")
    except RuntimeError as error:
        raise StateError(f"Ray Serve could not start the replica: {error}") from error
