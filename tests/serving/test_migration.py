"""A shared ledger of the version before: every row is moved, and who still runs it is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from psycopg import sql

from agents.errors import StateError
from serving.ledger.database import Row
from serving.ledger.postgres import PostgresDatabase
from serving.ledger.postgres_ledger import PostgresLedger, PostgresReader
from serving.ledger.sqlite import SqliteReader
from serving.running.private_postgres import PrivatePostgres

Serve = Callable[..., AbstractContextManager[httpx.Client]]
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
FEATURES = {"name": "Ann"}
SAME = (  # tables that are as they were, those first to which others refer
    "usage", "revision", "activation", "active", "action_list", "note", "audit", "correction",
    "delivery", "pending_outcome", "suppression", "elsewhere",
)  # fmt: skip
MOVED = {  # statements of 0.4.0, and the rows of today that they wrote
    "INSERT INTO log VALUES (%s, %s, %s, %s, %s, %s)":
        "SELECT position, kind, at, closes, customer, record FROM log",
    "INSERT INTO decision VALUES (%s, %s, %s, %s)":
        "SELECT id, key, request, position FROM log WHERE kind = 'decision'",
    "INSERT INTO outcome VALUES (%s, %s, %s, %s)":
        "SELECT id, coalesce(decision_id, ''), request, position FROM log WHERE kind = 'outcome'",
    "INSERT INTO contact VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)":
        "SELECT customer, at, position, decision_id, agent, offer, kind, channel, action, includes"
        " FROM past WHERE event = ''",
    "INSERT INTO event VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)":
        "SELECT customer, at, position, event, decision_id, agent, offer, kind, channel, action,"
        " includes FROM past WHERE event > ''",
}  # fmt: skip


@pytest.fixture
def url(postgres: PrivatePostgres) -> str:
    """An empty schema of the test's own."""
    return postgres.schema(f"test_{uuid4().hex}")


def live(client: httpx.Client) -> list[str]:
    """Let customers be decided for, and let all sorts of things be said of them."""
    made = []
    for day in range(8):
        at = START + timedelta(days=day)
        asked = {"agent": "sales", "customer": f"c{day % 4}", "features": FEATURES}
        answer = client.post(
            "/v1/decisions", json=asked | {"at": at.isoformat()},
            headers={"Idempotency-Key": f"visit-{day}"},
        )  # fmt: skip
        made.append(answer.json()["decision_id"])
    late = (START + timedelta(days=9)).isoformat()
    said: list[tuple[str, dict[str, object]]] = [
        ("/v1/outcomes", {"outcome_id": "o1", "decision_id": made[0], "outcome": "complained"}),
        ("/v1/outcomes", {"outcome_id": "o2", "decision_id": made[7], "outcome": "opened"}),
        ("/v1/outcomes", {"outcome_id": "o3", "customer": "nobody", "outcome": "opened"}),
        ("/v1/outcomes", {"outcome_id": "o4", "decision_id": "unknown", "outcome": "opened"}),
        ("/v1/outcomes", {"outcome_id": "r1", "adjusts": "o1", "retract": True}),
        (f"/v1/decisions/{made[6]}/delivery", {"state": "released"}),
        ("/v1/suppressions", {"customer": "c1", "channels": ["web"]}),
    ]
    for path, body in said:
        answer = client.post(path, json=body | {"at": late})
        assert answer.is_success, (path, answer.text)
    return made


def write_before(url: str, data: Path) -> None:
    """Write what an embedded ledger holds as 0.4.0 wrote it to a shared one."""
    schema = files("serving.ledger").joinpath("schema/postgres_0001.sql").read_text("utf-8")
    with (
        closing(SqliteReader.open(data / "ledger.sqlite")) as reader,
        psycopg.connect(url) as connection,
    ):
        connection.execute(f"CREATE SCHEMA {url.rpartition('%3D')[2]}".encode())
        connection.execute(schema.encode())
        connection.execute("CREATE TABLE alembic_version (version_num varchar(32) NOT NULL)")
        connection.execute("INSERT INTO alembic_version VALUES ('0001')")
        with connection.cursor() as cursor:
            for statement, question in MOVED.items():
                cursor.executemany(statement.encode(), reader._db.rows(question))
            for table in SAME:
                rows = reader._db.rows(f"SELECT * FROM {table}")
                if rows:
                    cursor.executemany(_insert(table, len(rows[0])), rows)


def _insert(table: str, columns: int) -> sql.Composed:
    places = sql.SQL(", ").join([sql.Placeholder()] * columns)
    return sql.SQL("INSERT INTO {} VALUES ({})").format(sql.Identifier(table), places)


def everything(reader: PostgresReader | SqliteReader) -> dict[str, list[Row]]:
    kept = {name: f"SELECT * FROM {name}" for name in (*SAME, "log")}
    kept["past"] = "SELECT * FROM past WHERE event IS NOT NULL"
    kept["about"] = "SELECT customer, at, position FROM past"
    return {name: sorted(reader._db.rows(each), key=repr) for name, each in kept.items()}


def told(client: httpx.Client, made: Sequence[str]) -> list[Any]:
    """Return what the server tells of decisions and customers."""
    paths = [f"/v1/decisions/{name}" for name in made]
    answers = [client.get(path) for path in (*paths, *(f"/v1/customers/c{n}" for n in range(4)))]
    assert all(answer.is_success for answer in answers)
    return [answer.json() for answer in answers]


def test_every_row_is_moved_and_every_decision_replays(
    open_shop: Serve, tmp_path: Path, url: str
) -> None:
    with open_shop() as client:
        made = live(client)
        before = told(client, made)
    assert {record["replay"]["verdict"] for record in before[:8]} == {"same"}
    write_before(url, tmp_path / "data")
    PostgresLedger.open(url).close()
    with (
        closing(SqliteReader.open(tmp_path / "data" / "ledger.sqlite")) as embedded,
        closing(PostgresReader.open(url)) as shared,
    ):
        assert everything(shared) == everything(embedded)
    with open_shop(ledger_url=url) as client:
        assert told(client, made) == before
        body = {
            "agent": "sales", "customer": "c3", "features": FEATURES,
            "at": (START + timedelta(days=3)).isoformat(),
        }  # fmt: skip
        again = client.post("/v1/decisions", json=body, headers={"Idempotency-Key": "visit-3"})
        assert again.json()["decision_id"] == made[3]
        erased = client.delete("/v1/customers/c2").json()["removed"]
        assert (erased["decision"], erased["contact"], erased["delivery"]) == (2, 1, 1)


BEFORE: list[list[tuple[str, Row]]] = [  # what each job of 0.4.0 asks or writes first
    [("SELECT at, agent FROM contact WHERE customer = ? AND at > ? ORDER BY at", ("c1", 0))],
    [("SELECT at, event FROM event WHERE customer = ? AND at > ?", ("c1", 0))],
    [("SELECT position, request, body FROM decision JOIN log USING (position) WHERE key = ?",
      ("visit-1",))],
    [("SELECT request, body FROM outcome JOIN log USING (position) WHERE outcome_id = ?", ("o1",))],
    [("SELECT position, kind, body FROM log WHERE position > ? ORDER BY position LIMIT ?", (0, 9))],
    [("SELECT p.outcome_id FROM pending_outcome p JOIN decision d"
      " ON d.decision_id = p.decision_id", ())],
    [("INSERT INTO log VALUES (?, ?, ?, ?, ?, ?)", (99, "suppression", None, None, None, b"{}"))],
    [("INSERT INTO log VALUES (?, ?, ?, ?, ?, ?)", (99, "decision", 1, 1, "c1", b"{}")),
     ("INSERT INTO decision VALUES (?, ?, ?, ?)", ("d", None, b"", 99))],
    [("DELETE FROM log WHERE position IN (SELECT position FROM log WHERE at < ? AND NOT EXISTS"
      " (SELECT 1 FROM decision WHERE decision.position = log.position)) RETURNING position",
      (2**62,))],
    [("DELETE FROM decision WHERE position IN (SELECT position FROM log WHERE customer = ?)"
      " RETURNING position", ("c1",))],
]  # fmt: skip


def test_a_replica_of_the_version_before_is_refused_whatever_it_does(
    open_shop: Serve, tmp_path: Path, url: str
) -> None:
    with open_shop() as client:
        live(client)
    write_before(url, tmp_path / "data")
    with closing(PostgresDatabase(url, writing=True)) as old:
        old.begin()
        for statement, values in (each for job in BEFORE[:6] for each in job):
            old.rows(statement, values)
        old.rollback()
        PostgresLedger.open(url).close()  # a new replica starts
        with closing(PostgresReader.open(url)) as reader:
            whole = everything(reader)
            for job in BEFORE:
                with pytest.raises(StateError):
                    attempt(old, job)
                old.rollback()
            assert everything(reader) == whole


def attempt(database: PostgresDatabase, job: Sequence[tuple[str, Row]]) -> None:
    database.begin()
    for statement, values in job:
        if statement.startswith("INSERT"):
            database.run(statement, values)
        else:
            database.rows(statement, values)
    database.commit()


def test_a_server_under_which_a_newer_version_moves_the_log_answers_503(
    open_shop: Serve, url: str
) -> None:
    body = {
        "agent": "sales", "customer": "c9", "features": FEATURES, "at": START.isoformat()
    }  # fmt: skip
    outcome = {"outcome_id": "o9", "outcome": "opened", "at": START.isoformat()}
    with open_shop(ledger_url=url) as client:
        made = client.post("/v1/decisions", json=body).json()["decision_id"]
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("ALTER TABLE log RENAME COLUMN record TO later")
            asked = client.post("/v1/decisions", json=body | {"customer": "c8"})
            heard = client.post("/v1/outcomes", json=outcome | {"decision_id": made})
            assert (asked.status_code, heard.status_code) == (503, 503)
            assert client.get(f"/v1/decisions/{made}").status_code == 503
            found = connection.execute("SELECT count(*) FROM past").fetchone()
            assert found == (1,)
            connection.execute("ALTER TABLE log RENAME COLUMN later TO record")
        assert client.post("/v1/decisions", json=body | {"customer": "c8"}).is_success
