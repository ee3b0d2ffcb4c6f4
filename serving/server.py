"""The server process: Ray, the deployment and the learner, from start to a clean end."""

from __future__ import annotations

import contextlib
import logging
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from agents.errors import StateError
from agents.load import load_workspace
from policies.registry import check_policy
from serving.clock import make_clock
from serving.environment import haproxy_available, set_ray_environment
from serving.learner_process import LearnerSupervisor
from serving.ledger import SqliteLedger
from serving.settings import Settings, load_keys, prepare_data

logger = logging.getLogger("nextbest")


def check_start(settings: Settings) -> None:
    """Find out in a second, before Ray starts, whether the server can run at all.

    Raises:
        DocumentError: the workspace is wrong, an agent's learner and its settings included.
        StateError: the data folder is not writable, another server uses it, its ledger is ahead of
            the machine's clock, or the port is taken.
    """
    loaded = load_workspace(settings.workspace)
    for name, revision in loaded.revisions.items():
        check_policy(revision, loaded.sources[name])
    prepare_data(settings.data)
    load_keys(settings.data)
    with contextlib.closing(SqliteLedger.open(settings.ledger, wait_s=0.0)) as ledger:
        make_clock(settings.clock, ledger.last_instant())
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise StateError(
                f"cannot listen on {settings.host}:{settings.port} ({error.strerror});"
                " stop what uses it, or choose another with --port"
            ) from error


@contextlib.contextmanager
def serving(settings: Settings) -> Iterator[str]:
    """Run the server inside the context; yields its base URL once it is ready.

    Raises:
        DocumentError, StateError: as `check_start`.
    """
    check_start(settings)
    private = Path(tempfile.mkdtemp(prefix="nextbest-"))
    try:
        set_ray_environment(private)
        from serving.cluster.local import cluster  # Ray reads its variables when it is imported

        with cluster(settings, private) as url, _learning(settings):
            yield url
    finally:
        shutil.rmtree(private, ignore_errors=True)


@contextlib.contextmanager
def _learning(settings: Settings) -> Iterator[None]:
    learner = LearnerSupervisor(settings)
    try:
        yield
    finally:
        learner.close()


def serve_until_stopped(settings: Settings, say: Callable[[str], None]) -> None:
    """Run the server until SIGINT or SIGTERM, telling each step.

    Raises:
        DocumentError, StateError: as `check_start`.
    """
    say(f"starting: workspace {settings.workspace}, data {settings.data}")
    with serving(settings) as url:
        stop = _stop_signal()  # only now: Ray takes the signals for itself when it starts
        ingress = "HAProxy" if haproxy_available() else "Ray Serve's own proxy (no HAProxy here)"
        say(f"ready: {url} behind {ingress}; interactive API at {url}/docs; stop with Ctrl-C")
        stop.wait()
        say("stopping: finishing what is under way, publishing what was learned")
    say("stopped")


def _stop_signal() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop
