"""A real server without Ray: the same ASGI factory under uvicorn, on a free port of loopback."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
import uvicorn

from agents.catalog import write_example
from agents.errors import StateError
from serving.app import make_app
from serving.running.private_postgres import PrivatePostgres, private_postgres
from serving.settings import ClockKind, Settings

SHOP = """\
workspace: shop
currency: EUR
zone: Europe/Berlin
customer:
  spend: {type: number, min: 0, max: 1000}
  likes: {type: set, values: [music, sport, film]}
  since: {type: instant}
  name: {type: text}
channels:
  email:
    cost: 0.01
    capacity: {max: 100000, per: day}
  web: {placements: [banner, footer]}
events:
  opened: {}
  bounced: {counts_as: failure}
guardrails:
  all_sent: {rule: budget, measure: contacts, max: 100000, per: week}
  delivered: {rule: frequency_cap, max: 100000, per: 10d, counts: delivery, for: total, scope: kind}
  answered: {rule: frequency_cap, max: 50, per: 20d, counts: response}
arbitration: {value: false, levers: {care: 2}, explore: 0}
"""

SALES = """\
agent: sales
outcomes:
  bought:
    event: order
    value: {property: amount, min: 0, max: 500, typical: 20}
    window: 14d
    count: each
    attribution: last_touch
    metric: primary
  first_order: {event: order, value: 5, window: 7d, attribution: last_touch}
  complained: {value: -10, window: 3d}
offers:
  gadget:
    kind: promotion
    stock: {max: 100000}
    includes: [cable]
    variants: {plain: {subject: "Dear {{ customer.name }}", text: "A gadget."}}
    channels: [email]
  cable:
    kind: promotion
    variants: {plain: {text: "A cable."}, short: {text: "Cable!"}}
    channels: [email, web]
    placements: [banner]
guardrails:
  money: {rule: budget, measure: cost, max: 100000, per: month}
  after_opening: {rule: cooldown, pause: 1h, after: [opened], scope: channel}
maturity: {start_share: 0.9, full_at_positives: 3}
policy: {learner: uniform}
holdout: {control: 0, random: 0}
always_act: true
"""

CARE = """\
agent: care
outcomes:
  helped: {value: 3, window: 30d, attribution: last_touch}
  order: {value: 1, window: 2d, attribution: last_touch}
offers:
  advice:
    kind: service
    value: 4
    eligible: "'music' in customer.likes"
    variants: {plain: {text: "How may we help?"}}
    channels: [email]
policy: {learner: hybrid_thompson}
holdout: {control: 0, random: 0}
"""


def write_shop(folder: Path) -> Path:
    """Write a workspace of two agents that share customers, words and budgets."""
    (folder / "agents").mkdir(parents=True)
    (folder / "workspace.yaml").write_text(SHOP)
    (folder / "agents" / "sales.yaml").write_text(SALES)
    (folder / "agents" / "care.yaml").write_text(CARE)
    return folder


LOOPS = """\
workspace: news
currency: EUR
zone: Europe/Berlin
customer:
  age: {type: number, min: 0, max: 150}
channels:
  site: {}
"""

FRONT_PAGE = """\
agent: front_page  # what stands on top
supplied: {channel: site, customer: user.id, fields: {age: user.age}}
outcomes:
  reward:
    value: {property: value, min: -1, max: 1, typical: 1}
    window: 10m
    count: each
    aggregate: first
    default: 0
    metric: primary
policy: {learner: vw_rank, floor: 0.2, publish_every: 5m}
always_act: true
holdout: {control: 0, random: 0}
"""

Serve = Callable[..., contextlib.AbstractContextManager[httpx.Client]]


@pytest.fixture(scope="session")
def postgres() -> Iterator[PrivatePostgres]:
    """A PostgreSQL of the tests' own; without one the tests fail, unless told to skip."""
    if os.environ.get("NEXTBEST_TESTS_WITHOUT_POSTGRES") == "1":
        pytest.skip("NEXTBEST_TESTS_WITHOUT_POSTGRES=1")
    try:
        server = private_postgres()
        with server as running:
            yield running
    except StateError as error:
        pytest.fail(f"{error}; or set NEXTBEST_TESTS_WITHOUT_POSTGRES=1")


@pytest.fixture
def ledger_url(request: pytest.FixtureRequest) -> str:
    """Empty for SQLite; with the parameter "postgres", a schema of the test's own."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return ""
    server: PrivatePostgres = request.getfixturevalue("postgres")
    return server.schema(f"test_{uuid4().hex}")


_ON_BOTH = (
    "test_batch",
    "test_ledger",
    "test_api",
    "test_together",
    "test_late",
    "test_lifecycle",
    "test_reports",
    "test_loops_slots",
    "test_loops_admin",
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests of some modules on SQLite and on PostgreSQL."""
    name = metafunc.module.__name__.rpartition(".")[2]
    if name in _ON_BOTH and "ledger_url" in metafunc.fixturenames:
        metafunc.parametrize("ledger_url", ["sqlite", "postgres"], indirect=True)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    write_example("telecom", tmp_path / "telecom")
    return tmp_path / "telecom"


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace of two agents; not to be changed."""
    return write_shop(tmp_path_factory.mktemp("shared") / "shop")


@pytest.fixture
def own_shop(tmp_path: Path) -> Path:
    return write_shop(tmp_path / "shop")


@pytest.fixture
def open_shop(own_shop: Path, tmp_path: Path, ledger_url: str) -> Serve:
    """Start a server on the shop; call it again to restart."""

    def start(**changes: Any) -> Any:
        settings: dict[str, Any] = {"clock": "driven", "poll_s": 0.05, "ledger_url": ledger_url}
        return run_app(Settings(own_shop, tmp_path / "data", **(settings | changes)))

    return start


@pytest.fixture
def own_loops(tmp_path: Path) -> Path:
    """A workspace of one loop; more may be written into `agents`."""
    folder = tmp_path / "news"
    (folder / "agents").mkdir(parents=True)
    (folder / "workspace.yaml").write_text(LOOPS)
    (folder / "agents" / "front_page.yaml").write_text(FRONT_PAGE)
    return folder


@pytest.fixture
def open_loops(own_loops: Path, tmp_path: Path, ledger_url: str) -> Serve:
    """Start a server on the loop; call it again to restart."""

    def start(**changes: Any) -> Any:
        settings: dict[str, Any] = {"poll_s": 0.05, "ledger_url": ledger_url}
        return run_app(Settings(own_loops, tmp_path / "data", **(settings | changes)))

    return start


class _Server(uvicorn.Server):
    """Stops at once; uvicorn itself waits for a tenth of a second here and there."""

    async def main_loop(self) -> None:
        await self.on_tick(0)
        while not self.should_exit:
            await asyncio.sleep(0.005)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()  # after the answer that is under way
        while self.server_state.connections or self.server_state.tasks:
            await asyncio.sleep(0.005)
        await self.lifespan.shutdown()


_TLS = ssl.create_default_context()  # slow to make, and never used on loopback


@contextlib.contextmanager
def run_app(settings: Settings) -> Iterator[httpx.Client]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        config = uvicorn.Config(make_app(settings), log_level="critical", lifespan="on", ws="none")
        server = _Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            deadline = time.monotonic() + 20
            while not server.started:
                assert thread.is_alive(), "the application did not start"
                assert time.monotonic() < deadline, "the application did not start in 20 s"
                time.sleep(0.01)
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            with httpx.Client(base_url=url, timeout=30, verify=_TLS) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join(20)


@pytest.fixture(scope="session")
def serve_settings() -> Serve:
    """Start a server on any settings."""
    return run_app


@pytest.fixture(scope="session")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """One server for all that is refused, since that changes nothing."""
    folder = tmp_path_factory.mktemp("steady")
    write_example("telecom", folder / "telecom")
    settings = Settings(folder / "telecom", folder / "data", clock="driven")
    with run_app(settings) as client:
        yield client


@pytest.fixture
def serve(workspace: Path, tmp_path: Path, ledger_url: str) -> Serve:
    """Start a server on the test's own workspace and data folder; call it again to restart."""

    def start(clock: ClockKind = "driven", poll_s: float = 0.05) -> Any:
        settings = Settings(
            workspace, tmp_path / "data", clock=clock, poll_s=poll_s, ledger_url=ledger_url
        )
        return run_app(settings)

    return start


@pytest.fixture
def client(serve: Serve) -> Iterator[httpx.Client]:
    with serve() as client:
        yield client


def put_and_activate(client: httpx.Client, name: str, text: str) -> httpx.Response:
    """Put an agent's YAML and make it the active revision; the answer of what came last."""
    put = client.put(f"/v1/agents/{name}", content=text)
    if put.is_error:
        return put
    answer = put.json()
    standing = answer["standing"]
    expected = None if standing is None else standing["revision"]
    body = {"revision": answer["revision"], "expected": expected}
    return client.post(f"/v1/agents/{name}/activate", json=body)


@pytest.fixture(scope="session")
def submit() -> Callable[[httpx.Client, str, str], httpx.Response]:
    """Put an agent's YAML and activate it."""
    return put_and_activate


@pytest.fixture
def rows_read() -> Callable[[str, str], int]:
    """Count the rows that were read of a table of PostgreSQL, by its URL and the table's name."""
    return count_rows_read


def count_rows_read(url: str, table: str) -> int:
    sql = (
        "SELECT coalesce(sum(seq_tup_read), 0)::bigint + (SELECT coalesce(sum(idx_tup_read), 0)"
        " FROM pg_stat_user_indexes WHERE schemaname = current_schema() AND relname = %(table)s)"
        " FROM pg_stat_user_tables WHERE schemaname = current_schema() AND relname = %(table)s"
    )
    with psycopg.connect(url, autocommit=True) as connection:
        others = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'nextbest'"
        for _ in range(500):  # what a connection has read is counted when it ends
            if connection.execute(others).fetchone() == (0,):
                break
            connection.execute("SELECT pg_sleep(0.01)")
        found = connection.execute(sql, {"table": table}).fetchone()
    assert found is not None
    return int(found[0])
