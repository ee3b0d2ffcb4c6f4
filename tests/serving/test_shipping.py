"""Shipped logs: every decision once, whatever happens in between, and the same as an export."""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from agents.errors import LogError, StateError
from serving.keeping import shipped as shipped_module
from serving.keeping import shipping
from serving.keeping.export import export_log
from serving.keeping.retention import Retention
from serving.keeping.shipped import Shipped, read_manifest
from serving.keeping.shipping import ship
from serving.keeping.shipping_process import read_settings, tell_settings
from serving.ledger import SqliteLedger, SqliteReader
from serving.settings import Settings, load_keys

Serve = Callable[..., AbstractContextManager[httpx.Client]]
AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
CLOSED = AT + timedelta(days=100)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a block hold ten positions."""
    for module in (shipping, shipped_module):
        monkeypatch.setattr(module, "BLOCK", 10)


@pytest.fixture
def shop_client(open_shop: Serve) -> Iterator[httpx.Client]:
    with open_shop() as client:
        yield client


def decide(client: httpx.Client, number: int, at: datetime = AT) -> str:
    body = {
        "agent": "sales", "customer": f"customer-{number}", "features": {"name": "Ann"},
        "at": (at + timedelta(minutes=number)).isoformat(),
    }  # fmt: skip
    made: str = client.post("/v1/decisions", json=body).json()["decision_id"]
    return made


def order(client: httpx.Client, decision_id: str, outcome_id: str, **body: Any) -> None:
    said = {
        "outcome_id": outcome_id, "decision_id": decision_id, "outcome": "order",
        "properties": {"amount": 40.0}, "at": (AT + timedelta(days=1)).isoformat(), **body,
    }  # fmt: skip
    answer = client.post("/v1/outcomes", json={k: v for k, v in said.items() if v is not None})
    assert answer.status_code == 200, answer.text


class Shop:
    """A data folder and the folder that its log is shipped to."""

    def __init__(self, folder: Path) -> None:
        self.data, self.out = folder / "data", folder / "out"

    def ship(self, now: datetime = CLOSED) -> Shipped:
        with closing(SqliteReader.open(self.data / "ledger.sqlite")) as reader:
            return ship(reader, self.out, key=load_keys(self.data).customer, now=now)

    def rows(self) -> list[dict[str, Any]]:
        files = sorted(self.out.glob("decisions-*.parquet"))
        tables = [pq.read_table(file, partitioning=None) for file in files]
        return [row for table in tables for row in table.to_pylist()]

    def exported(self, now: datetime = CLOSED) -> list[dict[str, Any]]:
        folder = self.out.with_name("single")
        export_log(Settings(Path(), self.data), folder, now=now)
        rows: list[dict[str, Any]] = pq.read_table(folder / "decisions.parquet").to_pylist()
        return rows


@pytest.fixture
def shop_folder(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_what_is_shipped_bit_by_bit_is_what_is_exported_at_once(
    shop_client: httpx.Client, shop_folder: Shop
) -> None:
    for number in range(35):
        decide(shop_client, number)
        if number % 8 == 0:
            shop_folder.ship()
    manifest = shop_folder.ship()
    assert shop_folder.rows() == shop_folder.exported()
    assert (manifest.decisions, manifest.settled) == (35, manifest.through)
    for block in manifest.blocks:
        for name, digest in block.files.items():
            assert hashlib.sha256((shop_folder.out / name).read_bytes()).hexdigest() == digest
    assert read_manifest(shop_folder.out) == manifest


def test_a_second_run_without_news_writes_no_file(
    shop_client: httpx.Client, shop_folder: Shop
) -> None:
    decide(shop_client, 1)
    shop_folder.ship()
    before = {path: path.stat().st_mtime_ns for path in shop_folder.out.rglob("*.parquet")}
    shop_folder.ship()
    assert {path: path.stat().st_mtime_ns for path in shop_folder.out.rglob("*.parquet")} == before


def test_open_decisions_are_shipped_open_and_again_when_they_close(
    shop_client: httpx.Client, shop_folder: Shop
) -> None:
    made = [decide(shop_client, number) for number in range(25)]
    manifest = shop_folder.ship(AT + timedelta(hours=1))
    assert manifest.settled == 0
    assert {row["closed_at"] for row in shop_folder.rows()} == {None}
    order(shop_client, made[0], "o1")
    shop_folder.ship(AT + timedelta(days=2))
    manifest = shop_folder.ship(CLOSED)
    assert manifest.settled == manifest.through
    rows = shop_folder.rows()
    assert [row["decision_id"] for row in rows] == made
    assert all(row["closed_at"] is not None for row in rows)
    assert [entry["outcome"] for entry in rows[0]["outcomes"]] == ["bought", "first_order"]


def test_a_correction_after_all_windows_have_ended_is_shipped(
    shop_client: httpx.Client, shop_folder: Shop
) -> None:
    made = [decide(shop_client, number) for number in range(25)]
    order(shop_client, made[0], "o1")
    shop_folder.ship()
    late = (CLOSED + timedelta(days=1)).isoformat()
    retract = {"outcome_id": "c1", "adjusts": "o1", "retract": True, "at": late}
    answer = shop_client.post("/v1/outcomes", json=retract)
    assert answer.status_code == 200, answer.text
    shop_folder.ship(CLOSED + timedelta(days=2))
    assert shop_folder.rows()[0]["outcomes"] == []
    assert shop_folder.rows() == shop_folder.exported(CLOSED + timedelta(days=2))


def test_a_run_that_dies_is_done_by_the_next(
    shop_client: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shops = [Shop(tmp_path) for _ in range(7)]
    for number in range(12):
        decide(shop_client, number)
    for write, shop in enumerate(shops):
        shop.out = tmp_path / f"out-{write}"
        shop.ship()
    for number in range(12, 30):
        decide(shop_client, number)
    whole = shops[0].exported()
    for write, shop in enumerate(shops):
        with monkeypatch.context() as patched:
            die_after(patched, write)
            with pytest.raises(KeyboardInterrupt):
                shop.ship()
        shop.ship()
        assert shop.rows() == whole, write


def die_after(patched: pytest.MonkeyPatch, writes: int) -> None:
    """Let a run die before one of the files that it writes, manifests among them."""
    left = writes

    def die(step: Callable[..., Any]) -> Callable[..., Any]:
        def stepped(*values: Any, **named: Any) -> Any:
            nonlocal left
            if left == 0:
                raise KeyboardInterrupt
            left -= 1
            return step(*values, **named)

        return stepped

    patched.setattr("serving.keeping.shipping.save_manifest", die(shipped_module.save_manifest))
    patched.setattr("serving.keeping.shipping.pq.write_table", die(pq.write_table))


def test_what_the_ledger_has_pruned_stays_shipped(
    shop_client: httpx.Client, shop_folder: Shop
) -> None:
    made = [decide(shop_client, number) for number in range(9)]
    shop_folder.ship()
    before = shop_folder.rows()
    later = [decide(shop_client, number, CLOSED) for number in range(3)]
    shop_client.close()
    with closing(SqliteReader.open(shop_folder.data / "ledger.sqlite")) as reader:
        assert reader.find_decision(made[0]) is not None
    prune(shop_folder.data)
    shop_folder.ship(CLOSED + timedelta(days=100))
    rows = shop_folder.rows()
    assert [row["decision_id"] for row in rows] == made + later
    assert rows[:9] == before


def prune(data: Path) -> None:
    """Remove what is old from a ledger while its server only waits."""
    import apsw

    connection = apsw.Connection(str(data / "ledger.sqlite"))
    connection.set_busy_timeout(5_000)
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute(
        "DELETE FROM log WHERE at < ?", (int((AT + timedelta(days=9)).timestamp() * 1e6),)
    )
    connection.close()


def test_nothing_is_pruned_before_it_is_shipped_with_all_windows_closed(
    open_shop: Serve, own_shop: Path, shop_folder: Shop
) -> None:
    file = own_shop / "workspace.yaml"
    file.write_text(file.read_text() + "retention: 40d\n")
    with open_shop() as client:
        made = [decide(client, number) for number in range(25)]
        decide(client, 1, CLOSED)
    with closing(SqliteLedger.open(shop_folder.data / "ledger.sqlite")) as ledger:
        (shop_folder.data / "snapshots").mkdir(exist_ok=True)
        (shop_folder.data / "snapshots" / "learned").write_text("1000")
        retention = make_retention(own_shop, shop_folder)
        assert pruned(ledger, retention) == 0
        shop_folder.ship(AT + timedelta(days=1))
        assert pruned(ledger, retention) == 0
        shop_folder.ship(CLOSED)
        assert pruned(ledger, retention) == len(made) - 7  # the last block has an open decision


def make_retention(workspace: Path, shop: Shop) -> Retention:
    from agents.load import load_workspace
    from serving.clock import DrivenClock
    from serving.deciding.active import ActiveAgents
    from serving.learning.snapshots import SnapshotFolder

    folder = SnapshotFolder(shop.data / "snapshots", load_keys(shop.data).snapshot)
    return Retention(ActiveAgents(load_workspace(workspace), folder), DrivenClock(), shop.out)


def pruned(ledger: SqliteLedger, retention: Retention) -> int:
    ledger.begin()
    removed = retention.prune(ledger)
    ledger.rollback()
    return removed


def test_two_runs_at_once_do_not_meet(shop_client: httpx.Client, shop_folder: Shop) -> None:
    decide(shop_client, 1)
    with shipping._alone(make(shop_folder.out)), pytest.raises(StateError, match="another run"):
        shop_folder.ship()


def make(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_a_folder_that_holds_another_log_is_refused(
    shop_client: httpx.Client, shop_folder: Shop
) -> None:
    (make(shop_folder.out) / "decisions.parquet").write_bytes(b"")
    with pytest.raises(StateError, match="`nextbest export` wrote"):
        shop_folder.ship()


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", orjson.dumps({"version": 9})])
def test_a_damaged_manifest_is_refused(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "manifest.json").write_bytes(text)
    with pytest.raises(StateError, match="expected a manifest of shipped logs"):
        read_manifest(tmp_path)


def test_a_damaged_file_is_refused(shop_client: httpx.Client, shop_folder: Shop) -> None:
    decide(shop_client, 1)
    shop_folder.ship()
    next(shop_folder.out.glob("decisions-*.parquet")).write_bytes(b"no parquet")
    decide(shop_client, 2)
    with pytest.raises(LogError, match="is damaged"):
        shop_folder.ship()


def test_an_export_on_demand_is_read_like_any_log(
    shop_client: httpx.Client, shop_folder: Shop
) -> None:
    made = decide(shop_client, 1)
    assert shop_client.get("/v1/exports").json()["through"] == 0
    assert shop_client.post("/v1/exports").status_code == 202
    answer = wait_until_idle(shop_client)
    assert (answer["error"], answer["decisions"]) == ("", 1)
    folder = shop_folder.data / "exports"
    (name,) = (name for name in answer["files"] if name.startswith("decisions-"))
    table = pq.read_table(folder / name)
    assert isinstance(table, pa.Table)
    assert table["decision_id"].to_pylist() == [made]
    assert len(list((folder / "revisions").iterdir())) == 1


def test_an_export_that_fails_says_why(shop_client: httpx.Client, shop_folder: Shop) -> None:
    make(shop_folder.data / "exports")
    (shop_folder.data / "exports" / "decisions.parquet").write_bytes(b"")
    shop_client.post("/v1/exports")
    assert "choose another folder" in wait_until_idle(shop_client)["error"]


def test_the_log_is_shipped_on_a_schedule(open_shop: Serve, tmp_path: Path) -> None:
    with open_shop(export_every_s=0.05, export_to=tmp_path / "elsewhere") as client:
        decide(client, 1)
        answer = client.get("/v1/exports").json()
        while not answer["decisions"]:
            assert answer["error"] == ""
            answer = client.get("/v1/exports").json()
    assert len(list((tmp_path / "elsewhere").glob("decisions-*.parquet"))) == 1


def wait_until_idle(client: httpx.Client) -> dict[str, Any]:
    answer: dict[str, Any] = client.get("/v1/exports").json()
    signal.alarm(60)  # no event tells of another process; this one ends a test that would hang
    while answer["state"] == "running":
        answer = client.get("/v1/exports").json()
    signal.alarm(0)
    return answer


def test_settings_reach_the_process_whole(tmp_path: Path) -> None:
    settings = Settings(
        tmp_path, tmp_path / "data", clock="driven", ledger_url="postgresql://ledger",
        export_to=tmp_path / "out", more=(tmp_path / "other",),
    )  # fmt: skip
    assert read_settings(tell_settings(settings)) == settings
