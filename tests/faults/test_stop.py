"""Servers on Ray from their first answer to their end: one replica, and two on one PostgreSQL."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pyarrow.parquet as pq
import pytest

from agents.catalog import write_example
from agents.checker import check_log
from serving.keeping.export import export_log
from serving.running.private_postgres import PrivatePostgres
from serving.settings import Settings


def test_a_server_can_be_stopped_from_its_first_answer_on(
    tmp_path: Path, free_port: int, on_ray: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It also starts where the path of temporary files is too long for sockets beneath it."""
    (long := tmp_path / f"{100 * 'l'}ong").mkdir()
    monkeypatch.setenv("TMPDIR", str(long))
    write_example("telecom", tmp_path / "telecom")
    with on_ray(tmp_path / "telecom", tmp_path / "data", free_port):
        pass
    assert list(long.iterdir()) == []


def _decided(metrics: str) -> list[str]:
    return re.findall(r'^nextbest_decisions_total\{agent="retention"\} (\S+)$', metrics, re.M)


def test_two_replicas_on_ray_share_caps(
    tmp_path: Path,
    free_port: int,
    postgres: PrivatePostgres,
    features: dict[str, Any],
    on_ray: Any,
) -> None:
    """Forty decisions about each of four customers, eight at once; no guardrail is broken."""
    ledger = postgres.schema(f"test_{uuid4().hex}")
    write_example("telecom", tmp_path / "telecom")
    options = ("--clock", "driven", "--replicas", "2")
    where = tmp_path / "telecom", tmp_path / "data", free_port
    with on_ray(*where, *options, ledger=ledger) as server:
        url = server.url

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
