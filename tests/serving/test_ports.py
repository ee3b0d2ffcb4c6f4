from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agents.errors import StateError
from serving.running import ports
from serving.running.ports import Listener, check_private, family, listeners, program

pytestmark = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="read from /proc")

HOLD = """
import socket, sys
one = socket.create_server(("127.0.0.1", 0))
two = socket.socket(socket.AF_INET6)
two.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
two.bind(("::ffff:127.0.0.1", 0))
two.listen()
print(one.getsockname()[1], two.getsockname()[1], flush=True)
sys.stdin.read()
"""


def test_sockets_of_children_are_found(limit: Any) -> None:
    command = [sys.executable, "-c", HOLD]
    with (
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as child,
        limit(child),
    ):
        assert child.stdout is not None
        numbers = {int(word) for word in child.stdout.readline().split()}
        assert {os.getpid(), child.pid} <= family(os.getpid())
        found = {one for one in listeners(os.getpid()) if one.port in numbers}
        assert {one.port for one in found} == numbers
        assert {one.program for one in found} == {program(child.pid)}
        assert all(one.local for one in found)
        child.kill()
    assert child.pid not in family(os.getpid())


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("127.0.0.1", True), ("127.0.0.2", True), ("::1", True), ("::ffff:127.0.0.1", True),
        ("0.0.0.0", False), ("::", False), ("192.0.2.7", False), ("::ffff:192.0.2.7", False),
    ],
)  # fmt: skip
def test_local_is_what_only_this_machine_can_reach(address: str, local: bool) -> None:
    assert Listener("x", address, 1).local is local


def test_an_open_port_of_rays_own_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """No socket is opened to the network for this: the listing is given."""
    front, inner = Listener("haproxy", "0.0.0.0", 8000), Listener("raylet", "127.0.0.1", 4000)
    monkeypatch.setattr(ports, "listeners", lambda _root: frozenset({front, inner}))
    check_private(os.getpid(), 8000)
    exposed = Listener("gcs_server", "::", 6379)
    monkeypatch.setattr(ports, "listeners", lambda _root: frozenset({front, inner, exposed}))
    with pytest.raises(StateError, match=r"on loopback only, got gcs_server on :::6379;"):
        check_private(os.getpid(), 8000)


def test_the_tests_own_socket_is_seen_by_its_address() -> None:
    with socket.create_server(("127.0.0.2", 0)) as server:
        number = server.getsockname()[1]
        mine = [one for one in listeners(os.getpid()) if one.port == number]
        assert [one.address for one in mine] == ["127.0.0.2"]
