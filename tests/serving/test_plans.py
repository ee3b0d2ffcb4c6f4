"""No path reads more of a ledger the larger it is, but for those that are to read all of it.

PostgreSQL plans when a statement is first prepared, and in a new ledger that is when its tables are
empty; then a plan that reads all of a table looks as good as any.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from serving.keeping.shipping import ship
from serving.learning.learner import Learner
from serving.learning.snapshots import SnapshotFolder
from serving.learning.tidying import Tidier
from serving.ledger import LedgerReader, open_reader
from serving.ledger.sqlite import SqliteDatabase
from serving.settings import Settings, load_keys

Serve = Callable[..., AbstractContextManager[httpx.Client]]
Line = dict[str, Any]
Open = Callable[[], AbstractContextManager[tuple["Customer", LedgerReader]]]
AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
FEATURES = {"likes": ["music"], "name": "Ann", "spend": 20.0}
SMALL = (
    r"pragma_\w+|asked|pending_outcome|suppression|active|revision|api_key|delivery|correction"
    r"|elsewhere"
)
# A plan that reads a whole table, or all entries of one kind.
WHOLE = re.compile(rf"SCAN (?!\S*CONSTANT|\d+-?ROW|\(|(?:{SMALL})\b)|log_kind \(kind=\?\)$")


class Customer:
    """One of many who come by: each is decided for, answers, objects and is looked up."""

    def __init__(self, client: httpx.Client, learner: Learner) -> None:
        self.client, self.learner, self.number = client, learner, 0

    def post(self, path: str, fits: tuple[int, ...] = (200,), **body: Any) -> Line:
        said = {"at": (AT + timedelta(seconds=self.number)).isoformat()} | body
        key = said.pop("key", None)
        headers = {} if key is None else {"Idempotency-Key": key}
        answer = self.client.post(path, json=said, headers=headers)
        assert answer.status_code in fits, answer.text
        found: Line = answer.json()
        return found

    def comes(self) -> None:
        self.number += 1
        n = self.number
        ask: Line = {"features": FEATURES, "channels": ["email"]}
        for _ in range(2):
            made = self.post(
                "/v1/decisions", agent="sales", customer=f"c{n}", features=FEATURES, key=f"k{n}"
            )["decision_id"]
        self.post("/v1/decisions", agents=["sales", "other"], customer=f"a{n}", **ask)
        order: Line = {"outcome": "order", "properties": {"amount": 20}}
        self.post("/v1/outcomes", outcome_id=f"o{n}", decision_id=made, **order)
        self.post("/v1/outcomes", outcome_id=f"l{n}", customer=f"c{n}", **order)
        self.post("/v1/outcomes", (202,), outcome_id=f"w{n}", decision_id="not yet", **order)
        self.post("/v1/outcomes", outcome_id=f"r{n}", adjusts=f"o{n}", retract=True)
        self.post("/v1/contacts", contact_id=f"e{n}", customer=f"c{n}", channel="email")
        self.post("/v1/suppressions", customer=f"s{n}", channels=["email"])
        self.post("/v1/suppressions/lift", customer=f"s{n}")
        planned = self.post("/v1/decisions", agent="care", customer=f"p{n}", **ask)["decision_id"]
        self.post(f"/v1/decisions/{planned}/delivery", (200, 422), state="delivered")
        for path in (f"decisions/{made}", f"customers/c{n}", "agents", "audit"):
            assert self.client.get(f"/v1/{path}").is_success
        for path in ("agents/sales/allocation", "agents/sales/funnel"):
            assert self.client.get(f"/v1/{path}").is_success
        assert self.client.get("/metrics").is_success
        self.learn()

    def come_together(self, count: int) -> None:
        self.number += 1
        lines = [
            {"customer": f"m{n}", "features": FEATURES, "key": f"{self.number}-{n}"}
            for n in range(count)
        ]
        body = {"agent": "sales", "at": AT.isoformat(), "decisions": lines}
        answer = self.client.post("/v1/decisions/batch", json=body)
        made = [orjson.loads(line)["decision_id"] for line in answer.content.splitlines()]
        said = [
            {"outcome_id": f"b{name}", "outcome": "order", "decision_id": name,
             "properties": {"amount": 2}, "at": AT.isoformat()}
            for name in made[:200]
        ]  # fmt: skip
        assert self.client.post("/v1/outcomes/batch", json={"outcomes": said}).is_success
        self.learn()

    def learn(self) -> None:
        while self.learner.step():
            pass
        self.learner.publish()


@pytest.fixture
def busy(own_shop: Path) -> Path:
    """The shop with two more ways: an agent whose contacts are confirmed, and a retention."""
    file = own_shop / "workspace.yaml"
    file.write_text(file.read_text() + "retention: 40d\n")
    care = own_shop / "agents" / "care.yaml"
    text = care.read_text()
    (own_shop / "agents" / "other.yaml").write_text(text.replace("agent: care", "agent: other"))
    care.write_text(text + "confirm: {within: 1h}\n")
    return own_shop


@pytest.fixture
def open_all(busy: Path, tmp_path: Path, open_shop: Serve, ledger_url: str) -> Open:
    """Start a server, and beside it a learner with a reader of its own."""

    @contextmanager
    def opening() -> Iterator[tuple[Customer, LedgerReader]]:
        settings = Settings(busy, tmp_path / "data", ledger_url=ledger_url)
        with (
            open_shop(sweep_every_s=0.05, prune_every_s=0.2) as client,
            closing(open_reader(settings)) as reader,
        ):
            folder = SnapshotFolder(settings.snapshots, load_keys(settings.data).snapshot)
            yield Customer(client, Learner(reader, folder, every_s=0.0)), reader

    return opening


@pytest.mark.parametrize("ledger_url", ["postgres"], indirect=True)
def test_what_is_read_does_not_grow_with_a_new_ledger(
    open_all: Open, rows_read: Callable[[str, str], int], ledger_url: str
) -> None:
    with open_all() as (customer, reader):
        for _ in range(8):  # from then on PostgreSQL keeps a plan
            customer.comes()
        customer.come_together(40)
        customer.come_together(2_000)
        for _ in range(20):
            customer.comes()
        customer.come_together(40)
        written = reader.last_position()
    assert written > 2_000
    read = rows_read(ledger_url, "log")
    assert read < 15 * written


def test_sqlite_finds_all_by_an_index(
    open_all: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: set[str] = set()
    rows, run, many = SqliteDatabase.rows, SqliteDatabase.run, SqliteDatabase.run_many

    def noting_rows(self: SqliteDatabase, sql: str, *values: Any) -> Any:
        said.add(sql)
        return rows(self, sql, *values)

    def noting_run(self: SqliteDatabase, sql: str, *values: Any) -> None:
        said.add(sql)
        run(self, sql, *values)

    def noting_many(self: SqliteDatabase, sql: str, *values: Any) -> None:
        said.add(sql)
        many(self, sql, *values)

    monkeypatch.setattr(SqliteDatabase, "rows", noting_rows)
    monkeypatch.setattr(SqliteDatabase, "run", noting_run)
    monkeypatch.setattr(SqliteDatabase, "run_many", noting_many)
    with open_all() as (customer, reader):
        customer.comes()
        customer.come_together(40)
        Tidier(reader, customer.learner.snapshots).tidy(0.0)
        ship(reader, tmp_path / "out", key=b"k" * 32, now=AT + timedelta(days=90))
        assert customer.client.delete("/v1/customers/c1").is_success
        customer.post("/v1/decisions", agent="sales", customer="z", features=FEATURES,
                      at=(AT + timedelta(days=90)).isoformat())  # fmt: skip
        customer.learn()
        customer.learner.publish(force=True)
        while not any(sql.startswith("DELETE FROM log WHERE position IN ( SELECT") for sql in said):
            customer.client.get("/healthz")
        assert len(said) > 50
        whole = {}
        database = reader._db
        assert isinstance(database, SqliteDatabase)
        for sql in sorted(each for each in said if each.startswith(("SELECT", "DELETE", "UPDATE"))):
            plan = rows(database, f"EXPLAIN QUERY PLAN {sql}", (None,) * sql.count("?"))
            found = [detail for *_, detail in plan if WHOLE.search(detail)]
            if "LIMIT 1" in sql and not any("TEMP B-TREE" in detail for *_, detail in plan):
                continue  # the first of its kind
            if found:
                whole[sql] = found
        assert whole == {}
