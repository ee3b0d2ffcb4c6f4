"""A real server of two workspaces: what its processes show to everybody on the machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from agents.catalog import write_example
from serving.running.ports import family
from serving.security.scopes import SCOPES


@pytest.fixture
def server(tmp_path: Path, limit: Any) -> Iterator[tuple[str, int, Path]]:
    """The address, the process and the data folder of a server that is ready."""
    for name in ("telecom", "bank"):
        write_example("telecom", tmp_path / name)
    file = tmp_path / "bank" / "workspace.yaml"
    file.write_text(file.read_text().replace("workspace: telecom", "workspace: bank"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data = tmp_path / "data"
    folders = [str(tmp_path / name) for name in ("telecom", "bank")]
    command = [sys.executable, "-m", "nextbest", "serve", *folders, "--data", str(data)]
    options = ["--port", str(port), "--engine", "uvicorn", "--auth", "keys"]
    with (
        subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as process,
        limit(process),
    ):
        try:
            assert process.stdout is not None
            said = ""
            while "ready:" not in said:
                said = process.stdout.readline()
                assert said, "the server ended"
            yield f"http://127.0.0.1:{port}", process.pid, data
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=40)
    assert process.returncode == 0


def shown(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:  # it has ended
        return b""


def test_no_secret_is_an_argument(server: tuple[str, int, Path], features: dict[str, Any]) -> None:
    url, root, data = server
    secrets, learners = [], set()
    for name in ("telecom", "bank"):
        admin = (data / name / "keys" / "admin.key").read_text().strip()
        secrets.append(admin.rpartition("_")[2].encode())
        secrets += [path.read_bytes() for path in (data / name / "keys").glob("[!a]*.key")]
        with httpx.Client(base_url=url, headers={"X-API-Key": admin}, timeout=20) as client:
            body = {"name": "all", "scopes": list(SCOPES)}
            token = client.post("/v1/keys", json=body).json()["token"]
            secrets.append(token.rpartition("_")[2].encode())
            client.headers["X-API-Key"] = token
            ask = {"agent": "retention", "customer": "canary-ann", "features": features}
            made = client.post("/v1/decisions", json=ask)
            assert made.status_code == 200, made.text
    assert len(secrets) == 2 * 5
    processes = family(root)
    for process in processes:
        arguments = shown(process)
        assert [secret for secret in (*secrets, b"canary") if secret in arguments] == []
        learners |= {name for name in (b"telecom", b"bank") if b"data/" + name in arguments}
    assert os.getpid() not in processes
    assert learners == {b"telecom", b"bank"}, "each workspace has a learner of its own"
