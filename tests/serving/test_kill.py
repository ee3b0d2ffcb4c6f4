"""The server killed with no warning, again and again, while eight clients talk to it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow.parquet as pq

from agents.checker import check_log
from serving.export import export_log
from serving.ledger import SqliteReader
from serving.settings import Settings

CLIENTS, KILLS, CUSTOMERS = 8, 5, 40
START = datetime(2026, 3, 2, 7, tzinfo=UTC)
SERVER = """
from pathlib import Path
import uvicorn
from serving.app import make_app
from serving.settings import Settings
app = make_app(Settings(Path(workspace), Path(data), clock="driven"))
uvicorn.run(app, port=port, log_level="critical", lifespan="on", ws="none")
"""
PROCESSES = multiprocessing.get_context("forkserver")  # a process of its own, imports done already
PROCESSES.set_forkserver_preload(["uvicorn", "serving.app"])

Body = dict[str, Any]


@contextmanager
def server(workspace: Path, data: Path) -> Iterator[tuple[int, str]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    values = {"workspace": str(workspace), "data": str(data), "port": port}
    process = PROCESSES.Process(target=exec, args=(SERVER, values), daemon=True)
    process.start()
    assert process.pid is not None
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{url}/readyz").is_success:
                    break
            except httpx.TransportError:
                assert process.is_alive(), "the server did not start"
                time.sleep(0.02)
        yield process.pid, url
    finally:
        process.kill()
        process.join(20)


@dataclass
class Client:
    """Sends keyed decisions and outcomes, and remembers what was asked and what was answered."""

    name: str
    rng: np.random.Generator
    features: Body
    asked: dict[str, Body] = field(default_factory=dict)
    decided: dict[str, str] = field(default_factory=dict)
    told: dict[str, Body] = field(default_factory=dict)
    recorded: set[str] = field(default_factory=set)

    def run(self, url: str) -> None:
        """Talk until the server is gone."""
        with httpx.Client(base_url=url, timeout=10) as http:
            try:
                while True:
                    self.decide(http, self.next_question())
                    if self.rng.random() < 0.4:
                        self.tell(http, self.next_event())
            except httpx.TransportError:
                return

    def next_question(self) -> str:
        key = f"{self.name}-{len(self.asked)}"
        late = timedelta(minutes=float(self.rng.integers(0, 28 * 24 * 60)))
        self.asked[key] = {
            "agent": "retention", "customer": f"c{self.rng.integers(CUSTOMERS)}",
            "features": self.features, "at": (START + late).isoformat(),
        }  # fmt: skip
        return key

    def next_event(self) -> str:
        key = list(self.decided)[int(self.rng.integers(len(self.decided)))]
        outcome_id = f"o-{self.name}-{len(self.told)}"
        self.told[outcome_id] = {
            "outcome_id": outcome_id, "decision_id": self.decided[key], "outcome": "renewed",
            "at": self.asked[key]["at"],
        }  # fmt: skip
        return outcome_id

    def decide(self, http: httpx.Client, key: str) -> bool:
        """Ask; return whether it was a replay."""
        answer = http.post("/v1/decisions", json=self.asked[key], headers={"Idempotency-Key": key})
        assert answer.status_code == 200, answer.text
        decision_id: str = answer.json()["decision_id"]
        assert self.decided.setdefault(key, decision_id) == decision_id
        return "Idempotent-Replay" in answer.headers

    def tell(self, http: httpx.Client, outcome_id: str) -> bool:
        """Report; return whether it was a replay."""
        answer = http.post("/v1/outcomes", json=self.told[outcome_id])
        assert answer.status_code == 200, answer.text
        self.recorded.add(outcome_id)
        replayed: bool = answer.json()["replayed"]
        return replayed

    def retry_all(self, url: str) -> int:
        """Send everything again; return how many in-doubt requests had been committed."""
        decided, recorded = set(self.decided), set(self.recorded)
        found = 0
        with httpx.Client(base_url=url, timeout=10) as http:
            for key in self.asked:
                replayed = self.decide(http, key)
                assert replayed or key not in decided, "an answered decision is gone"
                found += replayed and key not in decided
            for outcome_id in self.told:
                replayed = self.tell(http, outcome_id)
                assert replayed or outcome_id not in recorded, "an answered outcome is gone"
                found += replayed and outcome_id not in recorded
        return found


def talk_until_killed(clients: list[Client], workspace: Path, data: Path, life_s: float) -> None:
    with server(workspace, data) as (pid, url), ThreadPoolExecutor(CLIENTS) as pool:
        timer = threading.Timer(life_s, os.kill, [pid, signal.SIGKILL])
        timer.start()
        list(pool.map(lambda client: client.run(url), clients))
        timer.join()


def test_nothing_answered_is_lost_and_no_cap_is_broken(
    workspace: Path, tmp_path: Path, features: Body
) -> None:
    data = tmp_path / "data"
    rng = np.random.default_rng(20261122)
    clients = [
        Client(f"k{number}", child, features) for number, child in enumerate(rng.spawn(CLIENTS))
    ]
    for _ in range(KILLS):
        talk_until_killed(clients, workspace, data, float(rng.uniform(0.2, 0.5)))
    in_doubt = sum(len(c.asked) + len(c.told) - len(c.decided) - len(c.recorded) for c in clients)
    assert 0 < in_doubt <= KILLS * CLIENTS
    with server(workspace, data) as (_, url), ThreadPoolExecutor(CLIENTS) as pool:
        found = sum(pool.map(lambda client: client.retry_all(url), clients))
    assert found <= in_doubt

    reader = SqliteReader.open(data / "ledger.sqlite")
    entries = reader.entries(0, 1_000_000)
    reader.close()
    assert [entry.position for entry in entries] == list(range(1, len(entries) + 1))
    decisions = [entry.body["decision_id"] for entry in entries if entry.kind == "decision"]
    outcomes = [entry.body["event"]["outcome_id"] for entry in entries if entry.kind == "outcome"]
    assert len(decisions) > 200  # it was a real talk
    assert sorted(decisions) == sorted(d for client in clients for d in client.decided.values())
    assert sorted(outcomes) == sorted(o for client in clients for o in client.told)

    settings = Settings(workspace, data)
    assert export_log(settings, tmp_path / "log", now=START) == len(decisions)
    table = pq.read_table(tmp_path / "log" / "decisions.parquet")
    assert check_log(table, workspace) == []
