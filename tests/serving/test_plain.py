"""The server under uvicorn, without Ray, and how a server says what stands in front."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from agents.errors import StateError
from serving.running.plain import plain_server
from serving.running.server import check_start
from serving.settings import Settings, base_url


def test_the_command_says_so_decides_and_ends_cleanly(
    workspace: Path, tmp_path: Path, features: dict[str, Any], free_port: int, limit: Any
) -> None:
    command = [
        str(Path(sys.executable).parent / "nextbest"), "serve", str(workspace), "--engine",
        "uvicorn", "--data", str(tmp_path / "data"), "--port", str(free_port), "--clock", "driven",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process, limit(process):
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("ready:"):
                    break
            url = f"http://127.0.0.1:{free_port}"
            assert line.startswith(f"ready: {url} behind uvicorn, without Ray;")
            body = {"agent": "retention", "customer": "ann", "features": features}
            body["at"] = "2026-03-02T09:00:00+00:00"
            assert httpx.post(f"{url}/v1/decisions", json=body).is_success
            process.send_signal(signal.SIGTERM)
            assert process.stdout.read().rstrip().endswith("stopped")
            assert process.wait(30) == 0
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"", b""),
        (b"POST /v1/decisions HTTP/1.1\r\nHost: x\r\nConte", b""),
        (
            b"POST /v1/decisions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 9\r\n\r\n{",
            b"HTTP/1.1 408 ",
        ),
    ],
    ids=["nothing", "half a head", "half a body"],
)
def test_a_slow_sender_is_not_waited_for(
    workspace: Path, tmp_path: Path, free_port: int, sent: bytes, status: bytes
) -> None:
    settings = Settings(workspace, tmp_path / "data", port=free_port, body_timeout_s=0.2)
    with (
        plain_server(settings),
        socket.create_connection(("127.0.0.1", free_port), timeout=10) as connection,
    ):
        connection.sendall(sent)
        assert connection.recv(len(status) or 1) == status
        with httpx.Client(base_url=base_url(settings)) as http:  # one connection, kept
            assert http.get("/healthz").is_success
            assert http.get("/healthz").is_success


def test_a_workspace_that_cannot_open_ends_the_start(tmp_path: Path, free_port: int) -> None:
    settings = Settings(tmp_path / "nowhere", tmp_path / "data", port=free_port)
    with (
        pytest.raises(StateError, match="could not start"),
        plain_server(settings),
    ):
        raise AssertionError("it must not start")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"replicas": 2}, "expected --ledger postgresql://"),
        ({"max_replicas": 2}, "expected --ledger postgresql://"),
        ({"replicas": 2, "ledger_url": "postgresql://db/x", "engine": "uvicorn"}, "--engine ray"),
    ],
)
def test_several_replicas_need_what_they_share(
    workspace: Path, tmp_path: Path, changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(StateError, match=message):
        check_start(Settings(workspace, tmp_path / "data", **changed))
    assert not (tmp_path / "data").exists()
