"""What all tests of the room share: the example's revision, and ways to change it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

import agents
from agents.load import compile_agent, load_workspace
from agents.revision import Revision
from agents.spec import Agent, Workspace
from agents.yamlsource import read_yaml
from simulators.market.load import read_spec
from simulators.market.market import Market
from simulators.world import World
from simulators.worlds import create_world

EXAMPLE = Path(agents.__file__).parent / "examples" / "telecom"


@pytest.fixture(scope="session")
def revision() -> Revision:
    return load_workspace(EXAMPLE).revisions["retention"]


@pytest.fixture(scope="session")
def rich() -> Revision:
    """An agent whose customers have fields of every type, and whose events carry amounts."""
    folder = Path(__file__).parent / "rich"
    workspace = Workspace.model_validate_json((folder / "workspace.json").read_bytes())
    return Revision(workspace, Agent.model_validate_json((folder / "agent.json").read_bytes()))


@pytest.fixture
def world(revision: Revision) -> World:
    return create_world("retention", revision, customers=60, rounds=4, seed=3)


@pytest.fixture(scope="session")
def edited(revision: Revision) -> Callable[[str, str], Revision]:
    """Return the example's agent with one piece of its YAML replaced by another."""
    text = (EXAMPLE / "agents" / "retention.yaml").read_text(encoding="utf-8")

    def build(old: str, new: str) -> Revision:
        assert old in text
        return compile_agent(text.replace(old, new), "retention.yaml", revision.workspace)

    return build


Reply = tuple[int, str, bytes]  # status, content type, body
Handler = Callable[[str, dict[str, str], Any], "Reply | None"]
Listen = Callable[[Handler], AbstractAsyncContextManager[str]]


@pytest.fixture(scope="session")
def listen() -> Listen:
    """Listen on loopback with a handler of (path, headers, body); None cuts the connection."""
    return _listen


@asynccontextmanager
async def _listen(handler: Handler) -> AsyncIterator[str]:
    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await _answer(reader, writer, handler):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has gone
        finally:
            writer.close()

    server = await asyncio.start_server(connection, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def _answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handler: Handler
) -> bool:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
    pairs = (line.split(": ", 1) for line in head[1:] if line)
    headers = {name.lower(): value for name, value in pairs}
    body = json.loads(await reader.readexactly(int(headers["content-length"])))
    await asyncio.sleep(0)  # others may come in between
    reply = handler(head[0].split()[1], headers, body)
    if reply is None:
        return False
    status, kind, content = reply
    start = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}"
    writer.write(f"{start}\r\n\r\n".encode() + content)
    await writer.drain()
    return True


MakeMarket = Callable[..., type[Market]]


@pytest.fixture(scope="session")
def make_market() -> MakeMarket:
    """Make a market's class of the world in `rich/world.yaml` with some parts replaced."""

    def build(**parts: object) -> type[Market]:
        document = read_yaml((Path(__file__).parent / "rich" / "world.yaml").read_text(), "").value
        return cast("type[Market]", type("Made", (Market,), {"spec": read_spec(document | parts)}))

    return build


@pytest.fixture(scope="session")
def everything(make_market: MakeMarket) -> type[Market]:
    """A market with every part."""
    return make_market()
