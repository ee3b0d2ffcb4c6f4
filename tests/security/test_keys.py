"""API keys from making to revoking: over HTTP, from the command line, at the first start."""

from __future__ import annotations

import asyncio
import hashlib
import stat
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agents.errors import ContextError, StateError
from nextbest import app as nextbest_app
from serving.ledger import SqliteLedger, SqliteReader
from serving.security.bootstrap import VARIABLE, take_up_admin
from serving.security.client import key_headers
from serving.security.gate import Door
from serving.security.guard import guarded
from serving.security.tokens import KEY_ID, digest_of, id_of, make_token, read_token
from serving.settings import Settings, load_keys, prepare_data

Header = dict[str, str]
Issue = Callable[..., dict[str, Any]]


def bearer(token: str) -> Header:
    return {"Authorization": f"Bearer {token}"}


def asks_for_a_decision(server: Any, token: str) -> int:
    """Ask with an empty body; the status, which is 422 for who is let in."""
    status: int = server.post("/v1/decisions", json={}, headers=bearer(token)).status_code
    return status


def test_a_key_is_shown_once_and_kept_as_a_digest(
    server: Any, admin: Header, issue: Issue, settings: Settings
) -> None:
    issued = issue("decide", "outcomes", name="checkout page")
    token = issued["token"]
    assert id_of(token.encode()) == issued["key_id"]
    assert len(bytes.fromhex(token.rpartition("_")[2])) == 32
    assert asks_for_a_decision(server, token) == 422
    listed = server.get("/v1/keys", headers=admin)
    assert [key["name"] for key in listed.json()] == ["bootstrap", "checkout page"]
    assert {name: issued[name] for name in listed.json()[1]} == listed.json()[1]
    assert "token" not in listed.json()[1]
    assert listed.headers["cache-control"] == "no-store"
    secret = token.rpartition("_")[2]
    for file in settings.data.rglob("*"):
        if file.is_file():
            assert secret.encode() not in file.read_bytes(), file
    with closing(SqliteReader.open(settings.ledger)) as reader:
        kept = reader.api_key(issued["key_id"])
    assert kept is not None
    assert kept.digest == hashlib.sha256(token.encode()).digest()


def test_keys_are_never_alike() -> None:
    tokens = {make_token() for _ in range(1_000)}
    assert len({token[3:19] for token in tokens}) == len(tokens)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "x"},
        {"name": "x", "scopes": []},
        {"name": "x", "scopes": ["root"]},
        {"name": "", "scopes": ["decide"]},
        {"name": "a\nb", "scopes": ["decide"]},
        {"name": "bootstrap", "scopes": ["decide"]},
        {"name": "x", "scopes": ["decide"], "expires_in_s": 0},
        {"name": "x", "scopes": ["decide"], "rate": 0},
        {"name": "x", "scopes": ["decide"], "burst": 5},
        {"name": "x", "scopes": ["decide"], "key_id": "0" * 16},
    ],
)
def test_wishes_that_do_not_fit_are_refused(
    server: Any, admin: Header, body: dict[str, Any]
) -> None:
    answer = server.post("/v1/keys", json=body, headers=admin)
    assert answer.status_code == 422, answer.text
    assert len(server.get("/v1/keys", headers=admin).json()) == 1


def test_a_revoked_key_is_refused_at_once(server: Any, admin: Header, issue: Issue) -> None:
    issued = issue("decide")
    assert asks_for_a_decision(server, issued["token"]) == 422
    gone = server.delete(f"/v1/keys/{issued['key_id']}", headers=admin)
    assert gone.json()["revoked"] is not None
    assert asks_for_a_decision(server, issued["token"]) == 401
    again = server.delete(f"/v1/keys/{issued['key_id']}", headers=admin)
    assert again.json() == gone.json()
    assert "has expired or was revoked" in server.post(
        "/v1/decisions", json={}, headers=bearer(issued["token"])
    ).json()["detail"]  # fmt: skip


def test_another_replica_refuses_it_soon(
    server: Any, admin: Header, issue: Issue, settings: Settings
) -> None:
    """A second gate that only looks at the ledger, as another replica's does."""
    issued = issue("decide")
    elsewhere = Door(settings)

    async def hears_of_it() -> None:
        async with guarded(elsewhere, server.app.state.runtimes), asyncio.timeout(20):
            held = elsewhere.keyring.find(issued["token"].encode())
            assert held is not None
            assert held.ends == float("inf")
            address = f"/v1/keys/{issued['key_id']}"
            await server.ask("DELETE", address, headers=admin)
            while held is not None and held.ends == float("inf"):
                await asyncio.sleep(0.01)
                held = elsewhere.keyring.find(issued["token"].encode())

    server.run(hears_of_it())


def test_a_key_expires(server: Any, admin: Header, issue: Issue) -> None:
    issued = issue("decide", expires_in_s=3_600)
    ends = datetime.fromisoformat(issued["expires"])
    assert ends - datetime.fromisoformat(issued["created"]) == timedelta(hours=1)
    assert asks_for_a_decision(server, issued["token"]) == 422


def test_two_keys_live_while_one_takes_the_others_place(
    server: Any, admin: Header, issue: Issue
) -> None:
    old = issue("decide", name="shop", rate=500, expires_in_s=7_200)
    address = f"/v1/keys/{old['key_id']}/rotate"
    new = server.post(address, json={"grace_s": 600}, headers=admin).json()
    same = ("name", "scopes", "rate", "burst")
    assert [new[field] for field in same] == [old[field] for field in same]
    assert new["replaces"] == old["key_id"]
    lives = datetime.fromisoformat(new["expires"]) - datetime.fromisoformat(new["created"])
    assert lives == timedelta(hours=2)
    for token in (old["token"], new["token"]):
        assert asks_for_a_decision(server, token) == 422
    listed = {key["key_id"]: key for key in server.get("/v1/keys", headers=admin).json()}
    ends = datetime.fromisoformat(listed[old["key_id"]]["expires"])
    assert ends - datetime.fromisoformat(new["created"]) == timedelta(minutes=10)
    again = server.post(address, json={}, headers=admin)
    assert again.status_code == 409
    assert f"rotate {new['key_id']} instead" in again.json()["detail"]


def test_a_grace_of_nothing_ends_the_old_key_now(server: Any, admin: Header, issue: Issue) -> None:
    old = issue("decide")
    address = f"/v1/keys/{old['key_id']}/rotate"
    new = server.post(address, json={"grace_s": 0}, headers=admin).json()
    assert asks_for_a_decision(server, old["token"]) == 401
    assert asks_for_a_decision(server, new["token"]) == 422
    assert "create another" in server.post(address, json={}, headers=admin).json()["detail"]


def test_ids_of_no_key(server: Any, admin: Header) -> None:
    unknown = "0" * 16
    for method, path in (("DELETE", unknown), ("POST", f"{unknown}/rotate")):
        answer = server.request(method, f"/v1/keys/{path}", json={}, headers=admin)
        assert answer.status_code == 404
        assert unknown in answer.json()["detail"]
    assert server.delete("/v1/keys/0", headers=admin).status_code == 422
    assert KEY_ID == "^[0-9a-f]{16}$"


def test_a_limited_key_hears_when_to_come_again(server: Any, issue: Issue) -> None:
    token = issue("decide", rate=0.01, burst=2)["token"]
    assert [asks_for_a_decision(server, token) for _ in range(3)] == [422, 422, 429]
    answer = server.post("/v1/decisions", json={}, headers=bearer(token))
    assert 90 <= int(answer.headers["retry-after"]) <= 100
    assert answer.json()["title"] == "Too many requests with this key"


def test_the_first_admin_key_lies_in_a_file(open_server: Any, settings: Settings) -> None:
    path = settings.keys / "admin.key"
    with open_server() as server:
        token = path.read_text().strip()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert server.get("/v1/keys", headers=bearer(token)).json()[0]["scopes"] == ["admin"]
        assert asks_for_a_decision(server, token) == 403
    with open_server() as server:  # which makes no second one
        assert path.read_text().strip() == token
        assert len(server.get("/v1/keys", headers=bearer(token)).json()) == 1
        server.delete(f"/v1/keys/{token[3:19]}", headers=bearer(token))
        assert server.get("/v1/keys", headers=bearer(token)).status_code == 401
    with open_server() as server:  # nobody is shut out for good
        other = path.read_text().strip()
        assert other != token
        assert len(server.get("/v1/keys", headers=bearer(other)).json()) == 2


def test_without_keys_no_key_is_made(open_server: Any, settings: Settings) -> None:
    with open_server(auth="none") as server:
        assert server.get("/v1/keys").json() == []
        assert not (settings.keys / "admin.key").exists()
        made = server.post("/v1/keys", json={"name": "later", "scopes": ["decide"]})
        assert made.status_code == 200


@pytest.fixture
def ledger(settings: Settings) -> Any:
    prepare_data(settings.data)
    load_keys(settings.data)
    with closing(SqliteLedger.open(settings.ledger)) as ledger:
        yield ledger


def take_up(ledger: SqliteLedger, folder: Path) -> list[tuple[str, bool]]:
    now = datetime.now(UTC)
    ledger.begin()
    with ledger.savepoint():
        take_up_admin(ledger, folder, now)
    ledger.commit()
    return [(key.key_id, key.live(now)) for key in ledger.api_keys()]


def test_an_admin_key_from_a_secret_store_is_taken_up_and_replaced(
    ledger: SqliteLedger, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, first, second = tmp_path / "secret", make_token(), make_token()
    monkeypatch.setenv(VARIABLE, str(file))
    for content in ("", "nb_1_2", "\u00e9"):
        file.write_text(content)
        with pytest.raises(StateError):
            take_up(ledger, settings.keys)
    file.unlink()
    with pytest.raises(StateError, match="cannot be read: No such file"):
        take_up(ledger, settings.keys)
    file.write_text(f"\n{first}\n")
    for _ in range(2):
        assert take_up(ledger, settings.keys) == [(first[3:19], True)]
    file.write_text(second)
    lives = dict(take_up(ledger, settings.keys))
    assert lives == {first[3:19]: False, second[3:19]: True}
    assert not (settings.keys / "admin.key").exists()
    file.write_text(first)  # a key that has ended stays so
    assert dict(take_up(ledger, settings.keys))[first[3:19]] is False


def test_what_has_ended_never_lives_again(ledger: SqliteLedger, settings: Settings) -> None:
    take_up(ledger, settings.keys)
    (key,) = ledger.api_keys()
    sooner, later = key.created + timedelta(hours=1), key.created + timedelta(hours=2)
    ledger.begin()
    assert ledger.end_api_key(key, expires=sooner).expires == sooner
    changed = ledger.api_key(key.key_id)
    assert changed is not None
    assert ledger.end_api_key(changed, expires=later).expires == sooner
    revoked = ledger.end_api_key(changed, revoked=sooner)
    assert ledger.end_api_key(revoked, revoked=later).revoked == sooner
    assert ledger.api_key(key.key_id) == revoked
    ledger.commit()


def test_a_caller_reads_the_key_from_a_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert key_headers() == {}
    file, token = tmp_path / "key", make_token()
    file.write_text(token + "\n")
    assert key_headers(file) == bearer(token)
    monkeypatch.setenv("NEXTBEST_API_KEY", token)
    assert key_headers() == bearer(token)
    monkeypatch.setenv("NEXTBEST_API_KEY", "hunter2")
    with pytest.raises(ContextError) as caught:
        key_headers()
    assert "hunter2" not in str(caught.value)
    with pytest.raises(ContextError, match="cannot be read"):
        key_headers(tmp_path / "none")
    assert digest_of(token.encode()) == hashlib.sha256(token.encode()).digest()
    assert read_token(f" {token}\n", "here") == token


def test_keys_from_the_command_line(
    server: Any, admin: Header, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commands speak to the application of this process instead of a socket."""
    file = tmp_path / "admin"
    file.write_text(admin["Authorization"].split()[1])

    class Client:
        def __init__(self, *, headers: Header, **_: Any) -> None:
            self._headers = headers

        def __enter__(self) -> Client:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def request(self, method: str, path: str, **how: Any) -> Any:
            return server.request(method, path, headers=self._headers, **how)

    monkeypatch.setattr("serving.security.client.httpx.Client", Client)

    def run(*words: str) -> Any:
        return CliRunner().invoke(nextbest_app, ["keys", *words, "--key-file", str(file)])

    made = run("create", "till", "--scope", "decide", "--scope", "outcomes", "--expires", "90d")
    assert made.exit_code == 0, made.output
    token = made.stdout.strip()
    key_id = id_of(token.encode()) or ""
    assert asks_for_a_decision(server, token) == 422
    listed = run("list").stdout
    assert key_id in listed
    assert "decide, outcomes" in listed
    assert token not in listed
    turned = run("rotate", key_id, "--grace", "1h").stdout.strip()
    assert asks_for_a_decision(server, turned) == 422
    assert "refused from now on" in run("revoke", key_id).stdout
    assert asks_for_a_decision(server, token) == 401
    missing = run("revoke", "0" * 16)
    assert missing.exit_code != 0
    assert "404" in str(missing.exception)
    file.write_text(make_token())
    assert "401" in str(run("list").exception)


def test_a_key_for_a_secret_store_is_written_without_a_server() -> None:
    made = CliRunner().invoke(nextbest_app, ["keys", "generate"])
    assert id_of(made.stdout.strip().encode()) is not None
