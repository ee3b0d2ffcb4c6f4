"""Servers on Ray from their first answer to their end: one replica, and two on one PostgreSQL."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pyarrow.parquet as pq

from agents.catalog import write_example
from agents.checker import check_log
from serving.keeping.export import export_log
from serving.running.private_postgres import PrivatePostgres
from serving.settings import LEDGER_ENV, Settings


@contextmanager
def served(folder: Path, port: int, *options: str, ledger: str = "") -> Iterator[str]:
    """Serve; tell the server to stop at the end, which must be a clean one."""
    write_example("telecom", folder / "telecom")
    program = Path(sys.executable).parent / "nextbest"
    command = [str(program), "serve", str(folder / "telecom"), "--data", str(folder / "data")]
    with (folder / "printed").open("w+") as printed:
        process = subprocess.Popen(
            [*command, "--port", str(port), "--clock", "driven", *options],
            stdout=printed, stderr=subprocess.STDOUT,
            env=os.environ | ({LEDGER_ENV: ledger} if ledger else {}),
        )  # fmt: skip
        url, ready, deadline = f"http://127.0.0.1:{port}", False, time.monotonic() + 120
        try:
            while not ready and process.poll() is None and time.monotonic() < deadline:
                with contextlib.suppress(httpx.TransportError):
                    ready = httpx.get(f"{url}/readyz").is_success
                time.sleep(0.02)
            assert ready, (folder / "printed").read_text()
            yield url
            process.send_signal(signal.SIGTERM)
            code = process.wait(120)
        finally:
            process.kill()
            process.wait()
    said = (folder / "printed").read_text()
    assert code == 0, said
    assert "stopping: finishing what is under way" in said
    assert said.rstrip().endswith("stopped")


def test_a_server_can_be_stopped_from_its_first_answer_on(tmp_path: Path, free_port: int) -> None:
    with served(tmp_path, free_port):
        pass


def _decided(metrics: str) -> list[str]:
    return re.findall(r'^nextbest_decisions_total\{agent="retention"\} (\S+)$', metrics, re.M)


def test_two_replicas_on_ray_share_caps(
    tmp_path: Path, free_port: int, postgres: PrivatePostgres, features: dict[str, Any]
) -> None:
    """Forty decisions about each of four customers, eight at once; no guardrail is broken."""
    ledger = postgres.schema(f"test_{uuid4().hex}")
    with served(tmp_path, free_port, "--replicas", "2", ledger=ledger) as url:

        def ask(number: int) -> str:
            body = {
                "agent": "retention", "customer": f"c{number % 4}", "features": features,
                "at": "2026-03-02T09:00:00Z",
            }  # fmt: skip
            for _ in range(200):
                answer = httpx.post(
                    f"{url}/v1/decisions", json=body, headers={"Idempotency-Key": f"k{number}"}
                )
                if answer.status_code != 503:
                    break
                time.sleep(0.05)
            assert answer.status_code == 200, answer.text
            decision_id: str = answer.json()["decision_id"]
            return decision_id

        with ThreadPoolExecutor(8) as pool:
            decided = list(pool.map(ask, range(160)))
        counts = {tuple(_decided(httpx.get(f"{url}/metrics").text)) for _ in range(40)}
        assert len(counts) == 2, "each replica counts for itself, and both were asked"
        assert sum(int(float(n)) for (n,) in counts) == len(decided)
    settings = Settings(tmp_path / "telecom", tmp_path / "data", ledger_url=ledger)
    export_log(settings, tmp_path / "log", now=datetime(2026, 3, 3, tzinfo=UTC))
    table = pq.read_table(tmp_path / "log" / "decisions.parquet")
    assert sorted(table["decision_id"].to_pylist()) == sorted(decided)
    assert check_log(table, tmp_path / "telecom") == []
