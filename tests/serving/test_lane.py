"""Past Ray's wrapper, without Ray: which requests go straight, and from which process."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from typing import Any

import pytest
import uvicorn.config
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.cluster import lane
from serving.running.environment import HAPROXY
from serving.security.scopes import API, TABLE


@pytest.fixture(autouse=True)
def nothing_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget afterwards what was offered, and what uvicorn was told."""
    monkeypatch.setattr(lane, "_OFFERS", [])
    monkeypatch.setitem(uvicorn.config.HTTP_PROTOCOLS, "auto", "as it was")


def named(name: str, asked: list[tuple[str, str]]) -> ASGIApp:
    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        asked.append((name, scope.get("path", scope["type"])))

    return app


def apply(app: ASGIApp) -> ASGIApp:
    """Wrap an application as Ray does."""
    for each in lane.middlewares():
        app = each.cls(app, *each.args, **each.kwargs)
    return app


async def ask(app: ASGIApp, **scope: str) -> None:
    async def never(*_: Any) -> Any:
        raise AssertionError("nothing is received or sent here")

    await app({"type": "http", **scope}, never, never)


def test_what_is_below_goes_straight_and_the_rest_rays_way() -> None:
    asked: list[tuple[str, str]] = []

    async def main() -> None:
        lane.offer(named("straight", asked), "/v1/", "/loops/")
        app = apply(named("ray", asked))
        for path in (
            "/v1/decisions",
            "/-/healthz",
            "/readyz",
            "/v1",
            "/x/v1/decisions",
            "/loops/a",
        ):
            await ask(app, path=path)
        await ask(app, type="websocket", path="/v1/decisions")

    asyncio.run(main())
    assert asked == [
        ("straight", "/v1/decisions"), ("ray", "/-/healthz"), ("ray", "/readyz"), ("ray", "/v1"),
        ("ray", "/x/v1/decisions"), ("straight", "/loops/a"), ("ray", "/v1/decisions"),
    ]  # fmt: skip
    assert uvicorn.config.HTTP_PROTOCOLS["auto"] == "serving.running.whole:WholeProtocol"


def test_every_route_that_is_busy_takes_the_lane() -> None:
    busy = [path for method, path in TABLE if method == "POST"]
    assert "/loops/{agent}/personalizer/v1.0/rank" in busy
    assert "/personalizer/v1.0/events/{event_id}/reward" in busy
    assert [path for path in busy if not path.startswith(API)] == []


def test_a_process_without_an_offer_is_left_as_it_is() -> None:
    rays = named("ray", [])
    assert apply(rays) is rays  # nor need there be a loop
    assert uvicorn.config.HTTP_PROTOCOLS["auto"] == "as it was"


def test_an_application_on_another_loop_is_not_reached() -> None:
    async def offer() -> None:
        lane.offer(named("straight", []), "/v1/")

    async def main() -> ASGIApp:
        other = threading.Thread(target=asyncio.run, args=(offer(),))
        other.start()
        other.join(20)
        assert not other.is_alive()
        return apply(rays)

    rays = named("ray", [])
    assert asyncio.run(main()) is rays
    assert uvicorn.config.HTTP_PROTOCOLS["auto"] == "as it was"


def test_ray_finds_it_by_its_name_and_its_import_is_light() -> None:
    """Ray's own proxy imports it too, and has nothing to do with the rest of us."""
    path = HAPROXY["RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"]
    module, name = path.split(":")
    assert getattr(sys.modules[module], name) is lane.middlewares
    heavy = f"import sys, {module}; print({{'ray', 'fastapi', 'agents'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
