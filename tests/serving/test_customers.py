"""A customer's timeline, and an erasure that leaves nothing of a person on disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import psycopg
import pyarrow.parquet as pq
import pytest

from agents.log import hash_customer
from serving.keeping.shipping import ship
from serving.learning.learner import Learner
from serving.learning.snapshots import SnapshotFolder
from serving.ledger import SqliteReader
from serving.ledger.sqlite import MOST_SCRUBBED, SqliteLedger
from serving.running.private_postgres import PrivatePostgres
from serving.settings import Settings, load_keys

Serve = Callable[..., AbstractContextManager[httpx.Client]]
AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
CANARY = "canary/7f3a ü"
SECRET = "Wilhelmina-Canary-Smith"


def decide(client: httpx.Client, customer: str, minute: int = 0, **other: Any) -> dict[str, Any]:
    body = {
        "agent": "sales",
        "customer": customer,
        "features": {"name": SECRET if customer == CANARY else "Ann"},
        "at": (AT + timedelta(minutes=minute)).isoformat(),
        **other,
    }
    answer = client.post("/v1/decisions", json=body)
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def tell(client: httpx.Client, outcome_id: str, minute: int, **of: str) -> None:
    at = (AT + timedelta(minutes=minute)).isoformat()
    body = {"outcome_id": outcome_id, "outcome": "opened", "at": at, **of}
    assert client.post("/v1/outcomes", json=body).status_code == 200


def path_of(customer: str) -> str:
    return f"/v1/customers/{quote(customer, safe='')}"


def learn(data: Path) -> Learner:
    folder = SnapshotFolder(data / "snapshots", load_keys(data).snapshot)
    with closing(SqliteReader.open(data / "ledger.sqlite")) as reader:
        learner = Learner(reader, folder, every_s=0.0)
        learner.resume()
        while learner.step():
            pass
        learner.publish(force=True)
    return learner


def remains(folder: Path, *needles: str) -> list[str]:
    """Return the files of a folder in which any of some texts stands."""
    found = [needle.encode() for needle in needles]
    return sorted(
        path.name
        for path in folder.rglob("*")
        if path.is_file() and any(needle in path.read_bytes() for needle in found)
    )


@pytest.fixture
def shop_client(open_shop: Serve) -> Iterator[httpx.Client]:
    with open_shop() as client:
        yield client


def test_a_timeline_is_newest_first_and_in_pages(shop_client: httpx.Client) -> None:
    made = [decide(shop_client, CANARY, minute)["decision_id"] for minute in range(3)]
    decide(shop_client, "ben", 3)
    tell(shop_client, "o1", 4, decision_id=made[0])
    tell(shop_client, "o2", 5, customer=CANARY)
    first = shop_client.get(path_of(CANARY), params={"limit": 3}).json()
    assert [entry["kind"] for entry in first["entries"]] == ["outcome", "outcome", "decision"]
    assert first["entries"][0]["body"]["event"]["outcome_id"] == "o2"
    assert first["entries"][2]["body"]["decision_id"] == made[2]
    assert first["entries"][2]["body"]["action_id"] != ""
    assert "features" not in first["entries"][2]["body"]
    rest = shop_client.get(path_of(CANARY), params={"before": first["before"], "limit": 3}).json()
    ids = [entry["body"]["decision_id"] for entry in rest["entries"]]
    assert (ids, rest["before"]) == ([made[1], made[0]], None)
    assert all(entry["at"] for entry in first["entries"] + rest["entries"])


def test_nobody_knows_a_customer_who_was_never_there(shop_client: httpx.Client) -> None:
    answer = shop_client.get("/v1/customers/nobody")
    assert answer.json() == {"customer": "nobody", "entries": [], "before": None}


@pytest.mark.parametrize("query", ["before=0", "limit=0", "limit=501", "before=x"])
def test_a_page_that_is_none_is_refused(shop_client: httpx.Client, query: str) -> None:
    assert shop_client.get(f"/v1/customers/ann?{query}").status_code == 422


def test_an_erased_customer_is_nowhere_on_disk(open_shop: Serve, tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    with open_shop() as client:
        mine = [
            decide(client, CANARY, minute, agent=("sales", "care")[minute % 2])["decision_id"]
            for minute in range(6)
        ]
        for minute in range(40):
            decide(client, f"customer-{minute}", minute)
        tell(client, "order-of-canary", 50, decision_id=mine[0])
        tell(client, "visit-of-canary", 51, customer=CANARY)
        learn(data)
        keys, later = load_keys(data), AT + timedelta(days=1)
        with closing(SqliteReader.open(data / "ledger.sqlite")) as reader:
            ship(reader, out, key=keys.customer, now=later)
        hashed = hash_customer(keys.customer, CANARY)
        assert (
            hashed
            in pq.read_table(out / "decisions-000000000001-000000005000.parquet")[
                "customer"
            ].to_pylist()
        )
        assert remains(data, CANARY, SECRET)  # the test can see it while it is there

        proof = client.delete(path_of(CANARY)).json()

        assert (proof["customer"], proof["overwritten"]) == (hashed, True)
        assert proof["removed"]["log"] == 8
        assert proof["removed"]["decision"] == 6
        assert proof["removed"]["outcome"] == proof["removed"]["event"] == 2
        assert remains(data, CANARY, SECRET, *mine, "order-of-canary", "visit-of-canary") == []
        assert client.get(path_of(CANARY)).json()["entries"] == []
        assert client.get(f"/v1/decisions/{mine[0]}").status_code == 404
        with closing(SqliteReader.open(data / "ledger.sqlite")) as reader:
            (entry,) = reader.entries(proof["position"] - 1, 1)
            shipped = ship(reader, out, key=keys.customer, now=later)
            audits = reader.audits(0, 100)
        assert entry.kind == "erasure"
        assert audits[-1].hash.hex() == proof["audit"]
        assert (entry.body["customer"], entry.body["removed"]) == (hashed, proof["removed"])
        tables = [pq.read_table(path) for path in out.rglob("*.parquet")]
        assert all(hashed not in table["customer"].to_pylist() for table in tables)
        texts = [str(table.to_pylist()) for table in tables]
        assert not any(SECRET in text or mine[0] in text for text in texts)
        assert shipped.decisions == 40
        learn(data)  # goes on over the gap
        assert decide(client, CANARY, 60)["agent"] == "sales"


def test_erasing_twice_removes_nothing_more(shop_client: httpx.Client) -> None:
    decide(shop_client, "ann")
    first, again = (shop_client.delete("/v1/customers/ann").json() for _ in range(2))
    assert first["removed"]["log"] == 1
    assert set(again["removed"].values()) == {0}
    assert again["position"] > first["position"]


def test_the_position_of_an_erased_entry_is_never_given_again(shop_client: httpx.Client) -> None:
    decide(shop_client, "ben")
    last = decide(shop_client, "ann", 1)
    position = shop_client.get(f"/v1/decisions/{last['decision_id']}").json()["position"]
    proof = shop_client.delete("/v1/customers/ann").json()
    after = decide(shop_client, "ben", 2)
    found = shop_client.get(f"/v1/decisions/{after['decision_id']}").json()["position"]
    assert position < proof["position"] < found


def test_an_objection_outlives_an_erasure(shop_client: httpx.Client) -> None:
    objection = {"customer": "ann", "reason": "asked", "at": AT.isoformat()}
    assert shop_client.post("/v1/suppressions", json=objection).status_code == 200
    shop_client.delete("/v1/customers/ann")
    made = decide(shop_client, "ann", 1, agent="care", features={"likes": ["music"]})
    assert made["action"]["id"] == "none"


def test_what_was_used_of_budgets_stays_used(shop_client: httpx.Client, tmp_path: Path) -> None:
    decide(shop_client, "ann")
    ledger = tmp_path / "data" / "ledger.sqlite"
    query = "SELECT counter, bucket, amount FROM usage ORDER BY counter, bucket"
    with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as reader:
        before = reader.execute(query).fetchall()
        shop_client.delete("/v1/customers/ann")
        assert before
        assert reader.execute(query).fetchall() == before


def test_a_large_ledger_says_that_it_is_not_overwritten_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(SqliteLedger.open(tmp_path / "ledger.sqlite")) as ledger:
        assert ledger.scrub()
        monkeypatch.setattr("serving.ledger.sqlite.MOST_SCRUBBED", 1)
        assert not ledger.scrub()
        assert ledger.scrub(whole=True)
    assert MOST_SCRUBBED >= 2**20


def test_a_shared_ledger_keeps_nothing_of_an_erased_customer(
    own_shop: Path, tmp_path: Path, postgres: PrivatePostgres, serve_settings: Serve
) -> None:
    url = postgres.schema("erasure")
    settings = Settings(own_shop, tmp_path / "data", clock="driven", ledger_url=url)
    with serve_settings(settings) as client:
        mine = decide(client, CANARY)["decision_id"]
        decide(client, "ben")
        tell(client, "order-of-canary", 50, decision_id=mine)
        proof = client.delete(path_of(CANARY)).json()
        assert (proof["removed"]["log"], proof["overwritten"]) == (2, True)
        with psycopg.connect(url) as reader:
            tables = reader.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
            ).fetchall()
            for (table,) in tables:
                rows = str(reader.execute(f"SELECT * FROM {table}").fetchall())
                assert not any(word in rows for word in (CANARY, SECRET, mine)), table
        assert len(tables) > 8
        assert client.get("/v1/customers/ben").json()["entries"]
