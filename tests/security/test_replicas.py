"""Replicas on one PostgreSQL: keys, tenants and the audit log are the same for all of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from agents.catalog import write_example
from serving.ledger import open_reader
from serving.running.private_postgres import PrivatePostgres, private_postgres
from serving.running.tenants import tenants
from serving.security.chain import verify_chain
from serving.settings import Settings, load_keys

WITHOUT = os.environ.get("NEXTBEST_TESTS_WITHOUT_POSTGRES") == "1"
pytestmark = pytest.mark.skipif(WITHOUT, reason="NEXTBEST_TESTS_WITHOUT_POSTGRES=1")


@pytest.fixture(scope="module")
def postgres() -> Iterator[PrivatePostgres]:
    with private_postgres() as server:
        yield server


@pytest.fixture
def both(settings: Settings, postgres: PrivatePostgres, tmp_path: Path) -> Settings:
    """Two workspaces, each with a schema of its own in one database."""
    write_example("telecom", tmp_path / "bank")
    file = tmp_path / "bank" / "workspace.yaml"
    file.write_text(file.read_text().replace("workspace: telecom", "workspace: bank"))
    return replace(settings, ledger_url=postgres.url(), more=(tmp_path / "bank",))


def test_two_replicas_of_two_workspaces(open_server: Any, both: Settings) -> None:
    changes = {"ledger_url": both.ledger_url, "more": both.more}
    with open_server(**changes) as first, open_server(**changes) as second:
        made = {}
        for name in ("telecom", "bank"):
            token = (both.data / name / "keys" / "admin.key").read_text().strip()
            admin = {"X-API-Key": token}
            body = {"name": f"of {name}", "scopes": ["decide"]}
            issued = first.post("/v1/keys", json=body, headers=admin).json()
            for server in (first, second):  # which sees the key, and no other workspace's
                names = [key["name"] for key in server.get("/v1/keys", headers=admin).json()]
                assert names == ["bootstrap", f"of {name}"]
            wait_for(second, issued["token"], 422)
            made[name] = issued, admin
        issued, admin = made["telecom"]
        assert first.delete(f"/v1/keys/{issued['key_id']}", headers=admin).status_code == 200
        wait_for(second, issued["token"], 401)
        assert ask(second, made["bank"][0]["token"]) == 422
    for tenant in tenants(both):
        with closing(open_reader(tenant)) as reader:
            rows = reader.audits(0, 100)
            assert verify_chain(reader, load_keys(tenant.data).audit).rows == len(rows)
        assert [row.action for row in rows].count("server.start") == 2


def ask(server: Any, token: str) -> int:
    headers = {"X-API-Key": token}
    status: int = server.post("/v1/decisions", json={}, headers=headers).status_code
    return status


def wait_for(server: Any, token: str, status: int) -> None:
    """Ask until the answer is another one; the replica looks at the keys twice a second."""
    pause = Event()
    for _ in range(1_000):
        if ask(server, token) == status:
            return
        pause.wait(0.02)
    raise AssertionError(f"expected {status} within 20 s")
