"""A real `nextbest serve` on Ray: what it shows the network, and what the loss of a part costs."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from agents.catalog import write_example
from serving.running.ports import family, listeners, program

HOST = "127.0.0.2"  # loopback, but not where Ray itself listens: this is what the user asked for
MAX_WAITING, PATIENCE_S = 8, 1.0
BODY: dict[str, Any] = {
    "agent": "retention",
    "at": "2026-03-02T09:00:00+00:00",
    "features": {
        "tenure_months": 30, "plan": "plus", "monthly_bill": 42.5, "bill_change": 0.3,
        "data_used_share": 0.95, "roaming_days": 2, "contract_months_left": 3, "app_user": True,
        "open_complaint": False, "consent_email": True, "consent_sms": True, "consent_push": True,
        "time_zone": "Europe/Berlin",
    },
}  # fmt: skip


@dataclass
class Cluster:
    """The server's process and where it answers."""

    process: subprocess.Popen[str]
    port: int
    printed: Path
    decided: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def part(self, name: str) -> int:
        """Find the process id of one of Ray's parts by its name."""
        found = [pid for pid in family(self.process.pid) if program(pid).startswith(name)]
        assert len(found) == 1, f"expected one {name}, got {found}"
        return found[0]

    def ask(self, http: httpx.Client, key: str) -> httpx.Response:
        """Ask for a decision; remember what was acknowledged."""
        body = BODY | {"customer": f"c-{key}"}
        answer = http.post("/v1/decisions", json=body, headers={"Idempotency-Key": key})
        if answer.is_success:
            self.decided[key] = answer.json()["decision_id"]
        return answer

    def await_answer(self, key: str, patience_s: float = 30.0) -> float:
        """Ask until a decision is made; return the seconds it took."""
        start = time.monotonic()
        while (passed := time.monotonic() - start) < patience_s:
            with contextlib.suppress(httpx.TransportError), self.client() as http:
                if self.ask(http, key).is_success:
                    return passed
            time.sleep(0.05)
        raise AssertionError(f"no decision within {patience_s:g} s")

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=5)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    write_example("telecom", folder / "telecom")
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    command = [
        str(Path(sys.executable).parent / "nextbest"), "serve", str(folder / "telecom"),
        "--data", str(folder / "data"), "--host", HOST, "--port", str(port), "--clock", "driven",
        "--max-waiting", str(MAX_WAITING), "--body-timeout", str(PATIENCE_S),
    ]  # fmt: skip
    printed = folder / "printed.txt"
    with printed.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, text=True)
    try:
        deadline = time.monotonic() + 120
        while "ready:" not in printed.read_text():
            assert process.poll() is None, printed.read_text()
            assert time.monotonic() < deadline, printed.read_text()
            time.sleep(0.1)
        yield Cluster(process, port, printed)
    finally:
        process.terminate()
        try:
            process.wait(60)
        finally:
            process.kill()


@contextlib.contextmanager
def load(cluster: Cluster, name: str, clients: int = 4) -> Iterator[Counter[str]]:
    """Ask all the time inside the context; counts what came of it."""
    stop, came = threading.Event(), Counter[str]()

    def talk(client: int) -> None:
        number = 0
        while not stop.is_set():
            with contextlib.suppress(httpx.TransportError), cluster.client() as http:
                while not stop.is_set():
                    number += 1
                    key = f"{name}-{client}-{number}"
                    came["asked"] += 1
                    status = cluster.ask(http, key).status_code
                    came[str(status)] += 1
                    if status == 503:  # as Retry-After asks, though not for as long
                        stop.wait(0.1)

    with ThreadPoolExecutor(clients) as pool:
        talks = [pool.submit(talk, client) for client in range(clients)]
        try:
            yield came
        finally:
            stop.set()
    for done in talks:
        done.result()


def kill(cluster: Cluster, name: str) -> float:
    """Kill one of Ray's parts; return the seconds until a decision is made again."""
    os.kill(cluster.part(name), signal.SIGKILL)
    return cluster.await_answer(f"after-{name}-{time.monotonic_ns()}")


def test_it_says_what_stands_in_front(cluster: Cluster) -> None:
    assert f"ready: {cluster.url} behind HAProxy" in cluster.printed.read_text()


def test_only_the_front_listens_where_the_user_asked(cluster: Cluster) -> None:
    found = listeners(cluster.process.pid)
    assert [one for one in found if not one.local] == []
    asked = [one for one in found if one.address == HOST]
    assert [(one.program, one.port) for one in asked] == [("haproxy", cluster.port)]
    programs = {one.program for one in found}
    assert {"haproxy", "gcs_server", "raylet"} <= programs  # the search does see Ray's own ports
    assert not {8265, 10001} & {one.port for one in found}  # neither dashboard nor Ray client


def test_rays_own_ports_want_the_token(cluster: Cluster) -> None:
    agents = [one for one in listeners(cluster.process.pid) if one.program == "ray::RuntimeEnv"]
    for port in {one.port for one in agents}:
        answer = httpx.post(f"http://127.0.0.1:{port}/get_or_create_runtime_env", content=b"")
        assert answer.status_code == 401


def test_what_is_too_much_is_refused_at_once_and_the_rest_is_kept(cluster: Cluster) -> None:
    count = 40 * MAX_WAITING
    limits = httpx.Limits(max_connections=count)
    with (
        httpx.Client(base_url=cluster.url, timeout=30, limits=limits) as http,
        ThreadPoolExecutor(12 * MAX_WAITING) as pool,
    ):
        answers = list(pool.map(lambda i: cluster.ask(http, f"burst-{i}"), range(count)))
    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) == {200, 503}, statuses
    for answer in answers:
        if answer.status_code == 503:
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert int(answer.headers["Retry-After"]) >= 1
            assert answer.json()["status"] == 503
    refused = [number for number, answer in enumerate(answers) if answer.status_code == 503]
    with cluster.client() as http:
        for key in (f"burst-{number}" for number in refused[:5]):
            assert "Idempotent-Replay" not in cluster.ask(http, key).headers
        for key, decision in list(cluster.decided.items())[:: max(1, len(cluster.decided) // 50)]:
            assert http.get(f"/v1/decisions/{decision}").is_success, key


@pytest.mark.parametrize(
    "sent",
    [
        b"POST /v1/decisions HTTP/1.1\r\nHost: nextbest\r\nContent-",
        b"POST /v1/decisions HTTP/1.1\r\nHost: nextbest\r\nContent-Type: application/json\r\n"
        b"Content-Length: 100\r\n\r\n{",
        b"POST /v1/decisions HTTP/1.1\r\nHost: nextbest\r\nContent-Type: application/json\r\n"
        b"Content-Length: 60000\r\n\r\n" + b" " * 40_000,
    ],
    ids=["head", "body", "body beyond HAProxy's buffer"],
)
def test_a_slow_sender_is_not_waited_for(cluster: Cluster, sent: bytes) -> None:
    with socket.create_connection((HOST, cluster.port), timeout=10 * PATIENCE_S) as connection:
        connection.sendall(sent)
        answer = b""
        while b"\r\n\r\n" not in answer and (chunk := connection.recv(4096)):
            answer += chunk
    assert answer.startswith(b"HTTP/1.1 408 ")
    if b"\r\n\r\n" in sent:  # before that, HAProxy answers in words of its own
        assert b"application/problem+json" in answer


def test_a_killed_controller_costs_nothing(cluster: Cluster) -> None:
    with load(cluster, "controller") as came:
        os.kill(cluster.part("ray::ServeContr"), signal.SIGKILL)
        time.sleep(2.0)
    assert came["200"] == came["asked"] > 50


def test_a_killed_replica_is_replaced_and_nothing_acknowledged_is_lost(cluster: Cluster) -> None:
    with load(cluster, "replica") as came:
        time.sleep(0.3)
        passed = kill(cluster, "ray::ServeRepli")
    sys.stdout.write(f"replica: {passed:.1f} s, {dict(came)}\n")
    assert set(came) <= {"asked", "200", "503"}
    with cluster.client() as http:
        for key, decision in list(cluster.decided.items()):
            answer = cluster.ask(http, key)
            assert answer.json()["decision_id"] == decision
            assert answer.headers["Idempotent-Replay"] == "true"


@pytest.mark.parametrize("name", ["haproxy", "ray::HAProxyMan"])
def test_a_killed_proxy_costs_under_ten_seconds(cluster: Cluster, name: str) -> None:
    passed = kill(cluster, name)
    sys.stdout.write(f"{name}: {passed:.1f} s\n")
    assert passed < 10
    assert [one for one in listeners(cluster.process.pid) if not one.local] == []


def test_it_ends_cleanly_when_told(cluster: Cluster) -> None:
    everyone = family(cluster.process.pid) - {cluster.process.pid}
    cluster.process.terminate()
    assert cluster.process.wait(60) == 0, cluster.printed.read_text()
    assert cluster.printed.read_text().rstrip().endswith("stopped")
    deadline = time.monotonic() + 10
    while left := {pid for pid in everyone if "ray" in program(pid) or "haproxy" in program(pid)}:
        assert time.monotonic() < deadline, left
        time.sleep(0.1)
