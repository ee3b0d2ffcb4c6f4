"""The shared ledger where it can fail: a killed server, a cut line, a standby, two replicas."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from agents.errors import StateError
from serving.clock import MachineClock
from serving.deciding.decider import Decided, Decider, DecisionRequest
from serving.deciding.foresee import foresee_decision, foresee_outcome
from serving.hearing.reported import OutcomeRequest
from serving.ledger import Ledger, open_ledger, open_reader
from serving.ledger.database import Row, Statement
from serving.ledger.postgres_ledger import PostgresLedger, PostgresReader
from serving.ledger.postgres_link import Link
from serving.ledger.waiting import Wait
from serving.running.ledger_url import read_ledger_url
from serving.running.private_postgres import PrivatePostgres
from serving.runtime import run
from serving.settings import Settings
from serving.writer import Writer

Serve = Callable[..., AbstractContextManager[httpx.Client]]
Features = dict[str, Any]
AT = datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.fixture
def url(postgres: PrivatePostgres) -> str:
    """An empty schema of the test's own."""
    return postgres.schema(f"test_{uuid4().hex}")


@pytest.fixture
def database(postgres: PrivatePostgres) -> str:
    """The name of an empty database of the test's own."""
    name = f"test_{uuid4().hex}"
    postgres.make(name)
    return name


def execute(url: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute(statement.encode())
        return found.fetchall() if found.description else []


def with_writer(url: str, use: Callable[[Writer], Awaitable[Any]]) -> Any:
    """Open a writer on a ledger, use it, and close it."""

    async def run() -> Any:
        writer = Writer(PostgresLedger.open(url))
        try:
            return await use(writer)
        finally:
            await writer.close()

    return asyncio.run(run())


def note(name: str, value: str) -> Callable[[Ledger], str | None]:
    return lambda ledger: ledger.note(name, value)


def append(name: str) -> Callable[[Ledger], int]:
    return lambda ledger: ledger.append("contact", {"name": name})


def add_key(name: str) -> Callable[[Ledger], None]:
    """A job that only writes, and hears of a name that is taken with the commit."""
    row = "INSERT INTO note VALUES (?, ?)"
    return lambda ledger: ledger._db.run(row, (name, name))


# -- the line --------------------------------------------------------------------------------


class Proxy:
    """Between a ledger and its server; cuts the line before or after the server has worked.

    Args:
        port: of the server.
    """

    def __init__(self, port: int) -> None:
        self._to = port
        self.port = 0
        self.cut: str | None = None  # "request" or "reply": what of the next journey is lost
        self._lines: set[asyncio.Task[None]] = set()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()))
        self._thread.start()
        assert self._ready.wait(10)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        lines = list(self._lines)
        for line in lines:
            line.cancel()
        await asyncio.gather(*lines, return_exceptions=True)

    async def _accept(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        line = asyncio.current_task()
        assert line is not None
        self._lines.add(line)
        far, forth = await asyncio.open_connection("127.0.0.1", self._to)
        ways = [
            asyncio.ensure_future(self._pass(near, forth, "request")),
            asyncio.ensure_future(self._pass(far, back, "reply")),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for writer in (forth, back):
                writer.transport.abort()
                with suppress(ConnectionError):
                    await writer.wait_closed()
            self._lines.discard(line)

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, what: str
    ) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                if self.cut == what:
                    self.cut = None
                    return
                writer.write(data)
                await writer.drain()


@pytest.fixture
def proxy(postgres: PrivatePostgres) -> Iterator[Proxy]:
    with closing(Proxy(postgres.port)) as running:
        yield running


@pytest.mark.parametrize("lost", ["request", "reply"])
def test_a_commit_whose_line_is_cut_is_whole_or_not_at_all(
    url: str, postgres: PrivatePostgres, proxy: Proxy, lost: str
) -> None:
    def work(ledger: Ledger) -> str:
        """Keep a note once, as a decision is kept under its key."""
        found = ledger.note("key")
        if found is None:
            ledger.note("key", "made")
            ledger.append("contact", {})
            return "made now"
        return "found"

    def cut_then_work(ledger: Ledger) -> str:
        answer = work(ledger)
        proxy.cut = lost  # of the commit
        return answer

    async def use(writer: Writer) -> list[Any]:
        with pytest.raises(StateError, match="the connection to the ledger was lost"):
            await writer.submit(cut_then_work)
        return [await writer.submit(work), await writer.submit(lambda led: led.last_position())]

    answers = with_writer(url.replace(str(postgres.port), str(proxy.port)), use)
    assert answers == ["made now" if lost == "request" else "found", 1]


# -- the writer ------------------------------------------------------------------------------


def test_only_the_culprit_hears_of_a_write_that_is_refused_at_the_commit(url: str) -> None:
    async def use(writer: Writer) -> list[Any]:
        await writer.submit(add_key("taken"))
        works = [append("a"), add_key("taken"), add_key("free"), append("b"), note("n", "1")]
        futures = [writer.submit(work) for work in works]
        return list(await asyncio.gather(*futures, return_exceptions=True))

    a, taken, free, b, n = with_writer(url, use)
    assert (a, free, b, n) == (1, None, 2, "1")
    assert isinstance(taken, StateError)
    assert "duplicate key" in str(taken)
    with closing(PostgresReader.open(url)) as reader:
        assert [each.body["name"] for each in reader.entries(0, 9)] == ["a", "b"]


def test_a_batch_takes_three_journeys(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    journeys: list[int] = []

    async def use(writer: Writer) -> None:
        real = Link.journey

        async def counted(
            link: Link, statements: Sequence[Statement], wait: Wait
        ) -> list[list[Row]]:
            journeys.append(len(statements))
            return await real(link, statements, wait)

        monkeypatch.setattr(Link, "journey", counted)

        def work(ledger: Ledger) -> int:
            assert ledger.find_by_key("k") is None
            assert ledger.active_revision("sales") is None
            return ledger.append("contact", {})

        def look(reader: Any) -> None:
            reader.find_by_key("k")
            reader.active_revision("sales")

        await asyncio.gather(*(writer.submit(work, look) for _ in range(8)))

    with_writer(url, use)
    assert len(journeys) == 3  # begin, ask what was foreseen, write and commit


def test_no_journey_of_a_decision_or_an_outcome_blocks_the_others(
    url: str, own_shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that they ask is foreseen: on the event loop's own thread nothing is asked."""
    here: list[str] = []
    real = Link.exchange

    def noticed(link: Link, statements: Sequence[Statement]) -> list[list[Row]]:
        if threading.current_thread() is threading.main_thread():
            here.extend(sql for sql, _ in statements)
        return real(link, statements)

    settings = Settings(
        own_shop, tmp_path / "data", clock="driven", ledger_url=url,
        sweep_every_s=3_600.0, poll_s=3_600.0,
    )  # fmt: skip

    async def use() -> None:
        async with run(settings) as runtime:
            decider, submit = runtime.decider, runtime.writer.submit
            for _ in range(20):  # what starts with the server has run
                await submit(lambda _ledger: None)
            monkeypatch.setattr(Link, "exchange", noticed)
            asked = [
                DecisionRequest(
                    ("sales", "care"), f"c{n}", {"spend": 1.0}, b"f", key=f"k{n}", at=AT
                )
                for n in range(8)
            ]
            made = await asyncio.gather(
                *(
                    submit(partial(_decide, decider, ask), partial(foresee_decision, decider, ask))
                    for ask in asked
                )
            )
            decision = made[0].decision
            told = OutcomeRequest("o1", "complained", b"f", decision.decision_id, at=AT)
            if decision.agent == "sales":
                await submit(
                    lambda ledger: runtime.recorder.record(ledger, told),
                    partial(foresee_outcome, runtime.agents, "o1", decision.decision_id),
                )
            monkeypatch.undo()

    asyncio.run(use())
    assert here == []


def _decide(decider: Decider, ask: DecisionRequest, ledger: Ledger) -> Decided:
    return decider.decide(ledger, ask)


def test_positions_have_no_gaps_whoever_writes(url: str) -> None:
    async def run() -> list[int]:
        writers = [Writer(PostgresLedger.open(url)) for _ in range(3)]
        try:
            works = [writers[n % 3].submit(append(str(n))) for n in range(120)]
            return await asyncio.gather(*works)
        finally:
            for writer in writers:
                await writer.close()

    positions = asyncio.run(run())
    assert sorted(positions) == list(range(1, 121))
    with closing(PostgresReader.open(url)) as reader:
        bodies = {each.position: each.body["name"] for each in reader.entries(0, 1_000)}
    assert [bodies[position] for position in positions] == [str(n) for n in range(120)]


def test_text_that_the_database_cannot_hold_is_refused_alone(url: str) -> None:
    async def use(writer: Writer) -> list[Any]:
        works = [note("a", "1"), note("b", "nul \x00 inside"), note("c", "3")]
        futures = [writer.submit(work) for work in works]
        return list(await asyncio.gather(*futures, return_exceptions=True))

    a, b, c = with_writer(url, use)
    assert (a, c) == ("1", "3")
    assert isinstance(b, StateError)
    assert "inside" not in str(b)


# -- the server ------------------------------------------------------------------------------


def ask(client: httpx.Client, features: Features, key: str, customer: str) -> httpx.Response:
    body = {"agent": "retention", "customer": customer, "features": features,
            "at": AT.isoformat()}  # fmt: skip
    return client.post("/v1/decisions", json=body, headers={"Idempotency-Key": key})


@contextmanager
def quiet() -> Iterator[None]:
    """The server logs each commit that fails, hundreds of times."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def test_nothing_acknowledged_is_lost_when_postgresql_is_killed(
    url: str, postgres: PrivatePostgres, workspace: Path, tmp_path: Path,
    serve_settings: Serve, features: Features,
) -> None:  # fmt: skip
    settings = Settings(workspace, tmp_path / "data", clock="driven", ledger_url=url)
    answered: dict[str, str] = {}
    refused: set[str] = set()
    enough, stop = threading.Event(), threading.Event()

    def load(name: int, client: httpx.Client) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            key = f"{name}-{number}"
            answer = ask(client, features, key, f"c{number % 30}")
            if answer.status_code == 200:
                answered[key] = answer.json()["decision_id"]
            else:
                assert answer.status_code == 503, answer.text
                refused.add(key)
                stop.wait(0.02)
            if len(answered) % 20 == 19:
                enough.set()

    with quiet(), serve_settings(settings) as client, ThreadPoolExecutor(8) as pool:
        loads = [pool.submit(load, name, client) for name in range(8)]
        try:
            for _ in range(2):
                enough.clear()
                assert enough.wait(30), [each.exception(0) for each in loads if each.done()]
                postgres.kill()
                postgres.start()
        finally:
            stop.set()
        for each in loads:
            each.result(30)
        key, decision_id = next(iter(answered.items()))
        again = ask(client, features, key, f"c{int(key.partition('-')[2]) % 30}")
        assert (again.status_code, again.json()["decision_id"]) == (200, decision_id)
        for key in list(refused)[:5]:  # kept whole, or not at all
            again = ask(client, features, key, f"c{int(key.partition('-')[2]) % 30}")
            assert again.status_code == 200, again.text
    assert refused
    with closing(open_reader(settings)) as reader:
        entries = reader.entries(0, 100_000)
        made = [entry for entry in entries if entry.kind == "decision"]
        assert [entry.position for entry in entries] == list(range(1, len(entries) + 1))
        found = {key: reader.find_by_key(key) for key in answered}
        assert {key: each and each.decision.decision_id for key, each in found.items()} == answered
        assert len(answered) < len(made) <= len(answered) + len(refused)
        sent = [e for e in made if e.body["send_at"] is not None]
        assert reader._db.rows("SELECT count(*) FROM past WHERE event = ''") == [(len(sent),)]


def test_a_server_that_only_reads_is_503(
    database: str, postgres: PrivatePostgres, workspace: Path, tmp_path: Path,
    serve_settings: Serve, features: Features,
) -> None:  # fmt: skip
    url = postgres.url(database)
    settings = Settings(workspace, tmp_path / "data", clock="driven", ledger_url=url)
    with quiet(), serve_settings(settings) as client:
        assert ask(client, features, "k1", "ann").status_code == 200
        execute(url, f'ALTER DATABASE "{database}" SET default_transaction_read_only = on')
        end_sessions(url)
        answers = [ask(client, features, "k2", "ann") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [503, 503, 503]
        assert "password" not in answers[0].text
        execute(f"{url}?options=-cdefault_transaction_read_only%3Doff",
                f'ALTER DATABASE "{database}" RESET default_transaction_read_only')  # fmt: skip
        answer = ask(client, features, "k2", "ann")
        assert (answer.status_code, answer.headers.get("idempotent-replay")) == (200, None)


def end_sessions(url: str) -> None:
    execute(url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                 " WHERE datname = current_database() AND pid <> pg_backend_pid()")  # fmt: skip


BUDGETS = """\
workspace: shop
currency: EUR
zone: Europe/Berlin
customer:
  spend: {type: number, min: 0, max: 1000}
channels:
  phone: {cost: 2, capacity: {max: 60, per: day}}
guardrails:
  seldom: {rule: frequency_cap, max: 2, per: 10d}
  money: {rule: budget, measure: cost, max: 90, per: month}
"""

AGENT = """\
agent: sales
outcomes:
  bought: {value: 10, window: 7d, metric: primary}
offers:
  offer:
    kind: promotion
    variants: {plain: {text: "Good morning."}, short: {text: "Hello."}}
    channels: [phone]
policy: {learner: uniform}
holdout: {control: 0, random: 0}
always_act: true
"""


def test_two_replicas_share_caps_and_budgets_exactly(
    url: str, tmp_path: Path, serve_settings: Serve
) -> None:
    folder = tmp_path / "shop"
    (folder / "agents").mkdir(parents=True)
    (folder / "workspace.yaml").write_text(BUDGETS)
    (folder / "agents" / "sales.yaml").write_text(AGENT)
    settings = Settings(folder, tmp_path / "data", clock="driven", ledger_url=url)

    with serve_settings(settings) as one, serve_settings(settings) as two:

        def decide(number: int) -> tuple[str, bool]:
            # six replicas' worth of retries: each key goes to both, at about the same time
            key, customer = number // 2, f"c{number // 2 % 30}"
            body = {
                "agent": "sales", "customer": customer, "features": {"spend": 1.0},
                "at": (AT + timedelta(seconds=key)).isoformat(),
            }  # fmt: skip
            answer = (one, two)[number % 2].post(
                "/v1/decisions", json=body, headers={"Idempotency-Key": f"k{key}"}
            )
            assert answer.status_code == 200, answer.text
            return answer.json()["decision_id"], "idempotent-replay" in answer.headers

        with ThreadPoolExecutor(8) as pool:
            made = list(pool.map(decide, range(400)))
    first, second = made[0::2], made[1::2]
    assert [a[0] for a in first] == [b[0] for b in second]  # same key, same answer
    assert all(a[1] != b[1] for a, b in zip(first, second, strict=True))  # and once made
    with closing(open_reader(settings)) as reader:
        contacts = reader.sent("sales", 0)
        assert len(contacts) == 45  # 90 EUR of 2 each, which is less than the capacity
        counts: dict[str, int] = dict(
            reader._db.rows(
                "SELECT customer, count(*) FROM past WHERE event = '' GROUP BY customer"
            )
        )
        assert max(counts.values()) == 2
        assert reader._db.rows("SELECT count(*) FROM log WHERE kind = 'decision'") == [(200,)]


def test_another_replica_needs_the_same_keys(url: str, own_shop: Path, tmp_path: Path) -> None:
    async def start(data: str) -> None:
        settings = Settings(own_shop, tmp_path / data, clock="driven", ledger_url=url)
        async with run(settings):
            pass

    asyncio.run(start("data"))
    asyncio.run(start("data"))
    with pytest.raises(StateError, match="all replicas need the same folder of keys"):
        asyncio.run(start("other"))


# -- opening and the clock -------------------------------------------------------------------


def test_a_ledger_of_another_version_is_refused(url: str) -> None:
    with pytest.raises(StateError, match="expected version 0002 of the ledger, got no ledger"):
        PostgresReader.open(url)
    PostgresLedger.open(url).close()
    PostgresLedger.open(url).close()
    execute(url, "UPDATE alembic_version SET version_num = '9999'")
    for opened in (PostgresLedger, PostgresReader):
        with pytest.raises(StateError, match="got 9999; run the nextbest that wrote it"):
            opened.open(url)


def test_another_programs_database_is_left_alone(database: str, postgres: PrivatePostgres) -> None:
    url = postgres.url(database)
    execute(url, "CREATE TABLE log (line text)")
    with pytest.raises(StateError, match="got another program's database"):
        PostgresLedger.open(url)


def test_many_may_start_at_once(url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        ledgers = list(pool.map(lambda _: PostgresLedger.open(url), range(4)))
    for ledger in ledgers:
        ledger.close()


def test_commits_are_durable_whatever_the_database_is_set_to(
    database: str, postgres: PrivatePostgres
) -> None:
    url = postgres.url(database)
    execute(url, f'ALTER DATABASE "{database}" SET synchronous_commit = off')
    with closing(PostgresLedger.open(url)) as ledger:
        assert ledger._db.rows("SHOW synchronous_commit") == [("on",)]


def test_no_password_is_ever_shown(postgres: PrivatePostgres) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        urls = [
            f"postgresql://nextbest:hunter2@127.0.0.1:{taken.getsockname()[1]}/x",
            postgres.url("nowhere").replace("nextbest@", "nextbest:hunter2@"),
            "postgresql://nextbest:hunter2@127.0.0.1:port/x",
            "mysql://nextbest:hunter2@127.0.0.1/x",
        ]
        for url in urls:
            with pytest.raises(StateError) as caught:
                PostgresLedger.open(read_ledger_url(url))
            assert "hunter2" not in str(caught.value)
            assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert "hunter2" not in repr(Settings(Path(), Path(), ledger_url=urls[0]))


def test_the_url_may_stand_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("postgresql://db/x\n")
    assert read_ledger_url(f"file:{file}") == "postgresql://db/x"
    with pytest.raises(StateError, match="cannot be read"):
        read_ledger_url(f"file:{tmp_path / 'none'}")


def test_the_databases_clock_counts_and_never_runs_backwards(url: str) -> None:
    later = datetime(2190, 1, 1, tzinfo=UTC)
    with closing(PostgresLedger.open(url)) as ledger:
        clock = MachineClock(None, lambda: later, lambda: ledger.moment)
        ledger.begin()
        first = clock.now(None)
        assert abs(first - datetime.now(UTC)) < timedelta(minutes=1)  # not what `read` says
        ledger.append("contact", {})
        ledger.commit()
        ahead = first + timedelta(seconds=3)
        micros = int(ahead.timestamp() * 1_000_000)
        execute(url, f"UPDATE note SET value = '{micros}' WHERE name = 'clock'")
        ledger.begin()
        assert clock.now(None) - ahead < timedelta(seconds=1)
        assert clock.now(None) >= ahead - timedelta(microseconds=1)
        ledger.rollback()
        execute(url, f"UPDATE note SET value = '{micros + 60_000_000}' WHERE name = 'clock'")
        ledger.begin()
        with pytest.raises(StateError, match="the clock right"):
            clock.now(None)


def test_the_settings_choose_the_ledger(url: str, tmp_path: Path) -> None:
    for chosen, kind in (("", "SqliteLedger"), (url, "PostgresLedger")):
        settings = Settings(tmp_path, tmp_path, ledger_url=chosen)
        with closing(open_ledger(settings)) as ledger, closing(open_reader(settings)) as reader:
            assert type(ledger).__name__ == kind
            assert reader.last_position() == 0
