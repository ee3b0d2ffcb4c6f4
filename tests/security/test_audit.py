"""The audit chain: whatever is done to it afterwards is found."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apsw
import pytest
from typer.testing import CliRunner

from agents.errors import LogError
from nextbest import app as nextbest_app
from serving.ledger import SqliteLedger, SqliteReader
from serving.ledger.audits import Audited, seal_head
from serving.security.chain import Chain, verify_chain
from serving.settings import Settings, load_keys, prepare_data

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = b"k" * 32
ROWS = 6


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger with an audit log of six rows."""
    path = tmp_path / "ledger.sqlite"
    with closing(SqliteLedger.open(path)) as ledger:
        ledger.audit_key = KEY
        for number in range(ROWS):
            ledger.begin()
            ledger.add_audit(AT, "key:0", "agent.activate", {"number": number, "agent": "sales"})
            ledger.commit()
    return path


def check(path: Path, key: bytes = KEY, expect: str = "") -> Chain:
    with closing(SqliteReader.open(path)) as reader:
        return verify_chain(reader, key, expect)


def change(path: Path, *statements: str) -> None:
    connection = apsw.Connection(str(path))
    for statement in statements:
        connection.execute(statement)
    connection.close()


def rows(path: Path) -> list[Audited]:
    with closing(SqliteReader.open(path)) as reader:
        return reader.audits(0, 100)


def test_a_chain_that_nobody_touched_holds(path: Path) -> None:
    kept = rows(path)
    assert [row.seq for row in kept] == list(range(1, ROWS + 1))
    assert check(path) == Chain(ROWS, kept[-1].hash)
    for row in kept:
        assert check(path, expect=row.hash.hex()).rows == ROWS


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE audit SET actor = 'key:1' WHERE seq = 3", "row 3 .* not as it was written"),
        ("UPDATE audit SET action = 'agent.rollback' WHERE seq = 1", "row 1 .* not as it was"),
        ("UPDATE audit SET at = at + 1 WHERE seq = 6", "row 6 .* not as it was written"),
        (
            "UPDATE audit SET body = CAST(replace(CAST(body AS TEXT), '4', '7') AS BLOB)"
            " WHERE seq = 5",
            "row 5 .* not as it was written",
        ),
        ("UPDATE audit SET hash = zeroblob(32) WHERE seq = 2", "row 2 .* not as it was written"),
        ("UPDATE audit SET previous = zeroblob(32) WHERE seq = 2", "row 2 .* does not follow"),
        ("DELETE FROM audit WHERE seq = 4", "expected row 4 .*, got row 5: one is missing"),
        ("DELETE FROM audit WHERE seq = 1", "expected row 1 .*, got row 2"),
        ("DELETE FROM audit WHERE seq = 6", "ends with row 5, .* rows after it were removed"),
        ("DELETE FROM audit", "ends with row 0"),
        ("DELETE FROM note WHERE name = 'audit_head'", "ends with row 6"),
        ("UPDATE note SET value = value || '0' WHERE name = 'audit_head'", "ends with row 6"),
    ],
)
def test_one_change_is_found(path: Path, statement: str, message: str) -> None:
    change(path, statement)
    with pytest.raises(LogError, match=message):
        check(path)


def test_two_rows_that_change_places_are_found(path: Path) -> None:
    change(
        path,
        "UPDATE audit SET seq = 99 WHERE seq = 2",
        "UPDATE audit SET seq = 2 WHERE seq = 3",
        "UPDATE audit SET seq = 3 WHERE seq = 99",
    )
    with pytest.raises(LogError, match="row 2 .* does not follow"):
        check(path)


def test_a_row_removed_and_the_rest_numbered_anew_is_found(path: Path) -> None:
    change(path, "DELETE FROM audit WHERE seq = 4", "UPDATE audit SET seq = seq - 1 WHERE seq > 4")
    with pytest.raises(LogError, match="row 4 .* does not follow"):
        check(path)


def rewritten(path: Path, until: int) -> Iterator[tuple[int, bytes, bytes]]:
    """Hash every row anew, as somebody would who knows how."""
    previous = bytes(32)
    for row in rows(path)[:until]:
        forged = Audited(row.seq, row.at, "key:evil", row.action, row.body, previous, b"")
        yield row.seq, previous, forged.computed()
        previous = forged.computed()


def test_a_chain_hashed_anew_lacks_the_servers_seal(path: Path) -> None:
    connection = apsw.Connection(str(path))
    head = b""
    for seq, previous, head in rewritten(path, ROWS):
        values = (previous, head, seq)
        connection.execute(
            "UPDATE audit SET actor = 'key:evil', previous = ?, hash = ? WHERE seq = ?", values
        )
    for key in (b"", b"another key"):
        note = (seal_head(key, ROWS, head),)
        connection.execute("UPDATE note SET value = ? WHERE name = 'audit_head'", note)
        with pytest.raises(LogError, match="without the server's key"):
            check(path)
    connection.close()


def test_an_older_state_put_back_whole_shows_by_the_head_kept_elsewhere(path: Path) -> None:
    with closing(SqliteLedger.open(path)) as ledger:
        ledger.audit_key = KEY
        old = ledger.audit_seal()
        ledger.begin()
        head = ledger.add_audit(AT, "key:0", "key.revoke", {})
        ledger.commit()
    assert check(path, expect=head.hex()).rows == ROWS + 1
    change(path, "DELETE FROM audit WHERE seq = 7")
    change(path, f"UPDATE note SET value = '{old}' WHERE name = 'audit_head'")
    assert check(path).rows == ROWS  # the seal fits what is left
    with pytest.raises(LogError, match="expected the head"):
        check(path, expect=head.hex())


def test_a_job_that_fails_leaves_no_row(path: Path) -> None:
    with closing(SqliteLedger.open(path)) as ledger:
        ledger.audit_key = KEY
        ledger.begin()
        with pytest.raises(RuntimeError), ledger.savepoint():
            ledger.add_audit(AT, "server", "agent.activate", {})
            raise RuntimeError
        ledger.add_audit(AT, "server", "key.create", {})
        ledger.commit()
    assert [row.action for row in rows(path)][-2:] == ["agent.activate", "key.create"]
    assert check(path).rows == ROWS + 1


def test_a_ledger_without_an_audit_log_does_not_pass(tmp_path: Path) -> None:
    SqliteLedger.open(tmp_path / "empty.sqlite").close()
    with pytest.raises(LogError, match="got none"):
        check(tmp_path / "empty.sqlite")


def test_what_is_done_to_keys_stands_in_the_audit_log(
    server: Any, admin: dict[str, str], issue: Any, settings: Settings
) -> None:
    issued = issue("decide")
    new = server.post(f"/v1/keys/{issued['key_id']}/rotate", json={}, headers=admin).json()
    server.delete(f"/v1/keys/{issued['key_id']}", headers=admin)
    answer = server.get("/v1/audit", headers=admin)
    listed = answer.json()
    own = [row for row in listed if row["action"].startswith(("key.", "server."))]
    actions = ["key.create", "server.start", "key.create", "key.rotate", "key.revoke"]
    assert [row["action"] for row in own] == actions
    admin_id = admin["Authorization"].split("_")[1]
    assert [row["actor"] for row in own[2:]] == [f"key:{admin_id}"] * 3
    assert {row["actor"] for row in own[:2]} == {"server"}
    assert own[3]["body"]["replaces"] == issued["key_id"]
    start = own[1]["body"]
    assert (start["auth"], start["host"], start["ledger"]) == ("keys", "127.0.0.1", "sqlite")
    for secret in (issued["token"], new["token"], admin["Authorization"]):
        assert secret.rpartition("_")[2] not in answer.text
    later = server.get("/v1/audit", params={"after": listed[1]["seq"], "limit": 2}, headers=admin)
    assert later.json() == listed[2:4]
    assert server.get("/v1/audit", params={"after": -1}, headers=admin).status_code == 422
    assert check(settings.ledger, load_keys(settings.data).audit).rows == len(listed)


def test_who_asks_without_keys_is_anyone(open_server: Any) -> None:
    with open_server(auth="none") as server:
        server.post("/v1/keys", json={"name": "later", "scopes": ["decide"]})
        assert server.get("/v1/audit").json()[-1]["actor"] == "anyone"


def test_the_command_checks_beside_a_running_server(server: Any, settings: Settings) -> None:
    def run(*words: str) -> Any:
        return CliRunner().invoke(nextbest_app, ["audit", "--data", str(settings.data), *words])

    told = run()
    assert told.exit_code == 0, told.output
    assert "the audit log holds: " in told.stdout
    head = told.stdout.strip().rpartition(" ")[2]
    assert run("--expect", head).exit_code == 0
    assert isinstance(run("--expect", "0" * 64).exception, LogError)
    change(settings.ledger, "UPDATE audit SET actor = 'x' WHERE seq = 1")
    assert isinstance(run().exception, LogError)


def test_checking_makes_no_keys(tmp_path: Path) -> None:
    prepare_data(tmp_path / "data")
    told = CliRunner().invoke(nextbest_app, ["audit", "--data", str(tmp_path / "data")])
    assert told.exit_code != 0
    assert list((tmp_path / "data").iterdir()) == []
