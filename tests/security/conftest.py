"""Servers with keys, in this process: the application as it is, without a socket."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from agents.catalog import write_example
from serving.app import make_app
from serving.settings import Settings

Open = Callable[..., contextlib.AbstractContextManager[Any]]


@pytest.fixture(autouse=True)
def no_keys_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("NEXTBEST_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace of one agent; not to be changed."""
    folder = tmp_path_factory.mktemp("shared") / "telecom"
    write_example("telecom", folder)
    return folder


@pytest.fixture
def settings(workspace: Path, tmp_path: Path) -> Settings:
    return Settings(workspace, tmp_path / "data", clock="driven", auth="keys")


class Local:
    """An application on an event loop of its own, asked without a socket."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000")
        self._lifespan = app.router.lifespan_context(app)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    async def ask(self, method: str, url: str, **how: Any) -> httpx.Response:
        return await self._client.request(method, url, **how)

    def request(self, method: str, url: str, **how: Any) -> httpx.Response:
        answer: httpx.Response = self.run(self.ask(method, url, **how))
        return answer

    def get(self, url: str, **how: Any) -> httpx.Response:
        return self.request("GET", url, **how)

    def post(self, url: str, **how: Any) -> httpx.Response:
        return self.request("POST", url, **how)

    def delete(self, url: str, **how: Any) -> httpx.Response:
        return self.request("DELETE", url, **how)

    def __enter__(self) -> Local:
        self._thread.start()
        try:
            self.run(self._lifespan.__aenter__())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.run(self._lifespan.__aexit__(None, None, None))
            self.run(self._client.aclose())
        finally:
            self._end()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture
def open_server(settings: Settings) -> Open:
    """Start a server on the test's own data folder; call it again to restart."""

    def start(**changes: Any) -> Any:
        return Local(make_app(replace(settings, **changes)))

    return start


@pytest.fixture
def server(open_server: Open) -> Iterator[Local]:
    with open_server() as client:
        yield client


@pytest.fixture
def admin(server: Local, settings: Settings) -> dict[str, str]:
    """The header with the admin's key."""
    return {"Authorization": f"Bearer {(settings.keys / 'admin.key').read_text().strip()}"}


Issue = Callable[..., dict[str, Any]]


@pytest.fixture
def issue(server: Local, admin: dict[str, str]) -> Issue:
    """Make a key; the answer of the server."""

    def make(*scopes: str, name: str = "test", **wishes: Any) -> dict[str, Any]:
        body = {"name": name, "scopes": list(scopes), **wishes}
        answer = server.post("/v1/keys", json=body, headers=admin)
        assert answer.status_code == 200, answer.text
        issued: dict[str, Any] = answer.json()
        return issued

    return make
