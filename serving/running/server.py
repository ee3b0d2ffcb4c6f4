"""The server process: Ray, the deployment and the learner, from start to a clean end."""

from __future__ import annotations

import contextlib
import logging
import socket
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from agents.errors import StateError
from agents.load import load_workspace
from policies.registry import check_policy
from serving.clock import make_clock
from serving.learning.learner_process import LearnerSupervisor
from serving.ledger import open_ledger
from serving.running.environment import haproxy_wanted, set_ray_environment, short_place
from serving.running.plain import plain_server
from serving.running.tenants import tenants
from serving.security.hosts import check_access
from serving.settings import Settings, base_url, load_keys, prepare_data
from serving.stopping import Stop

logger = logging.getLogger("nextbest")


def check_start(settings: Settings) -> None:
    """Find out in a second, before Ray starts, whether the server can run at all.

    Raises:
        DocumentError: the workspace is wrong, an agent's learner and its settings included.
        StateError: the data folder is not writable, another server uses it, its ledger is ahead of
            the machine's clock, the port is taken, or anybody could get in from anywhere.
    """
    check_access(settings)
    _check_engine(settings)
    for tenant in tenants(settings):
        _check_workspace(tenant)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise StateError(
                f"cannot listen on {settings.host}:{settings.port} ({error.strerror});"
                " stop what uses it, or choose another with --port"
            ) from error


def _check_workspace(settings: Settings) -> None:
    loaded = load_workspace(settings.workspace)
    for name, revision in loaded.revisions.items():
        check_policy(revision, loaded.sources[name])
    prepare_data(settings.data)
    load_keys(settings.data)
    with contextlib.closing(open_ledger(settings, wait_s=0.0)) as ledger:
        make_clock(settings.clock, ledger)


def _check_engine(settings: Settings) -> None:
    most = max(settings.replicas, settings.max_replicas)
    if most > 1 and not settings.ledger_url:
        raise StateError(
            "expected --ledger postgresql://... for more than one replica: the embedded ledger"
            " has one writer"
        )
    if most > 1 and settings.engine == "uvicorn":
        raise StateError("expected --engine ray for more than one replica; uvicorn runs one")


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers.

    Args:
        url: where.
        front: what takes the requests in, for people.
        alive: whether it can still answer; Ray ends this process if it cannot.
    """

    url: str
    front: str
    alive: Callable[[], bool] = lambda: True


@contextlib.contextmanager
def serving(settings: Settings, stop: Stop | None = None) -> Iterator[Running]:
    """Run the server inside the context; yields once it is ready.

    Args:
        settings: of the server.
        stop: hears of signals, which break the start of Ray off; None to leave them alone, as far
            as Ray does.

    Raises:
        DocumentError, StateError: as `check_start`.
        KeyboardInterrupt: a signal has broken the start off; nothing of it is left.
    """
    check_start(settings)
    with _ENGINES[settings.engine](settings, stop) as running, _learning(settings):
        yield running


@contextlib.contextmanager
def _on_ray(settings: Settings, stop: Stop | None) -> Iterator[Running]:
    place = short_place(tempfile.gettempdir())
    with tempfile.TemporaryDirectory("", "nextbest-", place, ignore_cleanup_errors=True) as name:
        set_ray_environment(Path(name), settings)
        from serving.cluster.local import cluster  # Ray reads its variables when it is imported

        front = "HAProxy" if haproxy_wanted() else "Ray Serve's own proxy (no HAProxy here)"
        with cluster(settings, Path(name), stop) as url:
            yield Running(url, front)


@contextlib.contextmanager
def _on_uvicorn(settings: Settings, stop: Stop | None) -> Iterator[Running]:
    if stop is not None:
        stop.on()  # its start takes no longer than its end would
    with plain_server(settings) as thread:
        yield Running(base_url(settings), "uvicorn, without Ray", thread.is_alive)


_ENGINES = {"ray": _on_ray, "uvicorn": _on_uvicorn}


@contextlib.contextmanager
def _learning(settings: Settings) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for tenant in tenants(settings):
            stack.enter_context(contextlib.closing(LearnerSupervisor(tenant)))
        yield


def serve_until_stopped(settings: Settings, say: Callable[[str], None]) -> None:
    """Run the server until SIGINT or SIGTERM, telling each step.

    Raises:
        DocumentError, StateError: as `check_start`.
    """
    every = ", ".join(map(str, (settings.workspace, *settings.more)))
    say(f"starting: workspace {every}, data {settings.data}")
    stop = Stop()
    stop.break_off_on()
    try:
        with serving(settings, stop) as running:
            say(
                f"ready: {running.url} behind {running.front}; interactive API at"
                f" {running.url}/docs; stop with Ctrl-C"
            )
            while not stop.wait(1.0):
                if not running.alive():
                    raise StateError("the server has stopped; its log says why")
            say("stopping: finishing what is under way, publishing what was learned")
    except (KeyboardInterrupt, SystemExit):  # by the latter Ray ends its start by itself
        say("stopping: the start was broken off")
    say("stopped")
