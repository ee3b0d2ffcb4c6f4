"""Ray's settings, all of them, set before Ray starts; nobody exports variables by hand.

The HAProxy ingress with the throughput settings answers ten to twenty times more requests per
second than Serve's default proxy. A variable that is set already is left as it is.
"""

from __future__ import annotations

import os
import secrets
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from agents.errors import StateError
from serving.running.haproxy import corrections, haproxy_available, write_haproxy
from serving.settings import Settings

EVERYWHERE = {
    # nothing is reported to anybody
    "RAY_USAGE_STATS_ENABLED": "0",
    "DO_NOT_TRACK": "true",
    # who has no token gets no answer from any of Ray's own ports
    "RAY_AUTH_MODE": "token",
    # Ray runs its workers at niceness 15; decisions come first
    "RAY_worker_niceness": "0",
    # the arrays of a decision are small: threads would cost more than they bring
    "OMP_NUM_THREADS": "1",
    # user code on the replica's own loop, gRPC inside, buffered logs
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    # a dead proxy is noticed in seconds, not in half a minute
    "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "1",
    "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "1",
    # a decision takes a millisecond or so: buckets that can show it
    "RAY_SERVE_REQUEST_LATENCY_BUCKETS_MS": "0.25,0.5,1,2,5,10,25,50,100,250,1000",
    # the local accelerator probe is not needed and not quiet
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
"""What every process of every Ray of ours is told, on one machine or many."""

HAPROXY = {
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    # a Python syslog reader per request; our own metrics do without
    "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
    # a client that is silent this long, or a replica that is, has gone
    "RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S": "60",
    "RAY_SERVE_HAPROXY_TIMEOUT_SERVER_S": "60",
    # a replica that has gone is noticed at once
    "RAY_SERVE_HAPROXY_HEALTH_CHECK_INTER": "1s",
    # in a replica, from its HTTP server straight to our application
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "serving.cluster.lane:middlewares",
}
"""What Ray Serve is told where HAProxy is its front."""

_ONE_MACHINE = {
    # addresses itself as 127.0.0.1, so that every port of it is bound to loopback: the switch by
    # which Ray does so on desktops
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # one replica owns the embedded ledger: there is nobody else to drain to
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "0",
}

_HAPROXY_PORTS = (
    "RAY_SERVE_HAPROXY_METRICS_PORT",
    "RAY_SERVE_HAPROXY_STATS_PORT",
    "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT",
    "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT",
)

_HAPROXY_FILES = {
    "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": "haproxy.cfg",
    "RAY_SERVE_HAPROXY_SOCKET_PATH": "s",  # beneath a folder of 56 characters, see short_place
    "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": "",
    "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": "server-state",
    "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": "metrics.sock",
}

_PLAIN = Settings(Path(), Path())
_LONGEST = 16  # bytes, of 107 that a socket's path may have: Ray's and HAProxy's own take the rest
_SHORT = Path("/tmp")  # noqa: S108 - a folder with a random name is made in it


def short_place(place: str, short: Path = _SHORT) -> Path:
    """Return where to make a folder of Ray's, so that the paths of sockets in it are not too long.

    Args:
        place: the folder for temporary files.
        short: taken in its place if its path is too long, as macOS' own is.

    Raises:
        StateError: it is too long, and nothing can be written in the other.

    Example:
        >>> short_place("/dev/shm")
        PosixPath('/dev/shm')
    """
    length = len(os.fsencode(place))
    if length <= _LONGEST:
        return Path(place)
    if os.access(short, os.W_OK | os.X_OK):
        return short
    raise StateError(
        f"expected a folder for temporary files whose path has at most {_LONGEST} bytes, got"
        f" {length}; set TMPDIR to a shorter one"
    )


def haproxy_wanted() -> bool:
    """Whether HAProxy is the front: wherever it runs, unless Ray's own variable says no."""
    return haproxy_available() and os.environ.get("RAY_SERVE_ENABLE_HA_PROXY", "1") != "0"


def _free_ports(count: int) -> Iterator[int]:
    """Find ports that are free on this machine; all held open until the last is found."""
    with ExitStack() as stack:
        for _ in range(count):
            listener = stack.enter_context(socket.socket())
            listener.bind(("127.0.0.1", 0))
            yield listener.getsockname()[1]


def _haproxy_variables(folder: Path, settings: Settings) -> dict[str, str]:
    ports = list(_free_ports(len(_HAPROXY_PORTS)))
    variables = {name: str(port) for name, port in zip(_HAPROXY_PORTS, ports, strict=True)}
    variables |= {name: str(folder / file) for name, file in _HAPROXY_FILES.items()}
    script = corrections(
        folder,
        port=settings.port,
        host=settings.host,
        private=(ports[0], ports[1]),
        most=settings.max_waiting,
        replicas=settings.replicas,
        patience_s=settings.body_timeout_s,
    )
    variables["RAY_SERVE_HAPROXY_BINARY_PATH"] = str(write_haproxy(folder, script))
    return HAPROXY | variables


def _write_token(folder: Path) -> Path:
    """Write the token of this Ray, readable by its owner only."""
    path = folder / "token"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(32))
    return path


def ray_environment(folder: Path, settings: Settings = _PLAIN) -> dict[str, str]:
    """Return every variable that Ray is to see.

    Args:
        folder: a private one for the token and HAProxy's files and sockets, so that two servers
            on one machine do not meet; made in `short_place`.
        settings: where the front listens, how many requests wait, and how long one may take.
    """
    variables = EVERYWHERE | _ONE_MACHINE
    variables["RAY_AUTH_TOKEN_PATH"] = str(_write_token(folder))
    if haproxy_wanted():
        variables |= _haproxy_variables(folder, settings)
    return variables


def set_ray_environment(folder: Path, settings: Settings = _PLAIN) -> None:
    """Set Ray's variables for this process and all that it starts; call before importing ray."""
    if "ray" in sys.modules:
        raise RuntimeError("expected Ray's variables to be set before ray is imported")
    for name, value in ray_environment(folder, settings).items():
        os.environ.setdefault(name, value)
