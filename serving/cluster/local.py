"""A local Ray with the deployment on it; import only after `set_ray_environment`."""

from __future__ import annotations

import contextlib
import io
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import ray
from ray import serve

from agents.errors import StateError
from serving.cluster.deployment import NAME, build
from serving.running.environment import haproxy_wanted
from serving.running.ports import check_private
from serving.settings import LEDGER_ENV, Settings, base_url
from serving.stopping import Stop

_OBJECT_STORE_BYTES = 80 * 2**20  # the least that Ray accepts; nothing large passes through it
_LOOPBACK = "127.0.0.1"


@contextlib.contextmanager
def cluster(settings: Settings, private: Path, stop: Stop | None = None) -> Iterator[str]:
    """Run Ray and the deployment inside the context; yields the base URL once it is ready.

    Args:
        settings: of the server.
        private: a short path for Ray's own files.
        stop: is given the signals back that Ray takes for itself; they break off its start, and
            neither what it serves nor its end.

    Raises:
        StateError: the replica does not start, or a port of Ray's own is open to other machines.
    """
    logging.getLogger("ray.serve").setLevel(logging.ERROR)
    if settings.ledger_url:  # to the replicas by their environment, never as an argument
        os.environ[LEDGER_ENV] = settings.ledger_url
    try:
        _begin(settings, private, stop)
        yield base_url(settings)
    finally:
        if stop is not None:
            stop.on()
        _shut_down()


def _begin(settings: Settings, private: Path, stop: Stop | None) -> None:
    heed = _leave_signals if stop is None else stop.break_off_on
    try:
        _start_ray(private)
        heed()
        serve.start(
            # HAProxy alone faces the outside; Ray and the replicas behind it stay on loopback
            http_options={
                "host": _LOOPBACK if haproxy_wanted() else settings.host,
                "port": settings.port,
            },
            logging_config={"enable_access_log": False, "log_level": "WARNING"},
        )
        heed()
        _deploy(settings)
        check_private(os.getpid(), settings.port)
    except Exception as error:
        if stop is not None and stop.is_set():  # Ray was interrupted, and made this of it
            raise KeyboardInterrupt from error
        raise
    if stop is not None:
        stop.on()


def _leave_signals() -> None:
    pass


def _start_ray(private: Path) -> None:
    ray.init(
        address="local",  # never a Ray that happens to run here already
        num_cpus=4,  # logical; the replica asks for none
        include_dashboard=False,
        object_store_memory=_OBJECT_STORE_BYTES,
        _temp_dir=str(private / "ray"),
        log_to_driver=False,
        logging_level=logging.ERROR,
    )


def _shut_down() -> None:
    """End Serve and Ray, as far as they were begun."""
    # Serve's controller dies while answering its own shutdown, which Ray prints as a failure.
    with contextlib.redirect_stdout(io.StringIO()):
        if ray.is_initialized():  # else Serve would start Ray to shut itself down
            serve.shutdown()
        ray.shutdown()


def _deploy(settings: Settings) -> None:
    try:
        ledger_env = LEDGER_ENV if settings.ledger_url else ""
        serve.run(build(settings, ledger_env), name=NAME, route_prefix="/")
    except RuntimeError as error:
        raise StateError(f"Ray Serve could not start the replica: {_reason(error)}") from error


def _reason(error: RuntimeError) -> str:
    """Find the replica's own words, which Serve keeps to itself when it gives up."""
    deployments = serve.status().applications[NAME].deployments.values()
    said = [line for found in deployments for line in found.message.splitlines() if line.strip()]
    return said[-1] if said else str(error)
