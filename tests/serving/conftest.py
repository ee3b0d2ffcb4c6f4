"""A real server without Ray: the same ASGI factory under uvicorn, on a free port of loopback."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from agents.catalog import write_example
from serving.app import make_app
from serving.settings import ClockKind, Settings

FEATURES: dict[str, Any] = {
    "tenure_months": 30,
    "plan": "plus",
    "monthly_bill": 42.5,
    "bill_change": 0.3,
    "data_used_share": 0.95,
    "roaming_days": 2,
    "contract_months_left": 3,
    "app_user": True,
    "open_complaint": False,
    "consent_email": True,
    "consent_sms": True,
    "consent_push": True,
    "time_zone": "Europe/Berlin",
}

Serve = Callable[..., contextlib.AbstractContextManager[httpx.Client]]


@pytest.fixture
def features() -> dict[str, Any]:
    return dict(FEATURES)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    write_example("telecom", tmp_path / "telecom")
    return tmp_path / "telecom"


@contextlib.contextmanager
def run_app(settings: Settings) -> Iterator[httpx.Client]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        config = uvicorn.Config(make_app(settings), log_level="critical", lifespan="on", ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            deadline = time.monotonic() + 20
            while not server.started:
                assert thread.is_alive(), "the application did not start"
                assert time.monotonic() < deadline, "the application did not start in 20 s"
                time.sleep(0.01)
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            with httpx.Client(base_url=url, timeout=30) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join(20)


@pytest.fixture
def serve(workspace: Path, tmp_path: Path) -> Serve:
    """Start a server on the test's own workspace and data folder; call it again to restart."""

    def start(clock: ClockKind = "driven", poll_s: float = 0.05) -> Any:
        settings = Settings(workspace, tmp_path / "data", clock=clock, poll_s=poll_s)
        return run_app(settings)

    return start


@pytest.fixture
def client(serve: Serve) -> Iterator[httpx.Client]:
    with serve() as client:
        yield client
