"""The gate: which requests are let in, and what is answered to the others."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agents.errors import StateError
from serving.app import make_app
from serving.ledger.keys import ApiKey
from serving.security.gate import Door, Gate
from serving.security.hosts import check_access
from serving.security.principal import PLACE, Principal
from serving.security.tokens import digest_of, id_of, make_token
from serving.settings import Settings

TOKEN = make_token()
NOW = datetime.now(UTC)


def key_of(token: str, *scopes: str, **values: Any) -> ApiKey:
    text = token.encode()
    return ApiKey(id_of(text) or "", digest_of(text), "test", scopes, NOW, **values)


@pytest.fixture
def door(settings: Settings) -> Door:
    """A door that one key opens, for deciding."""
    door = Door(settings)
    door.keyring.replace("shop", [key_of(TOKEN, "decide")])
    return door


def asked(
    *headers: tuple[str, str], method: str = "POST", path: str = "/v1/decisions"
) -> dict[str, Any]:
    raw = [(name.encode(), value.encode()) for name, value in headers]
    return {"type": "http", "method": method, "path": path, "headers": raw}


def bearer(token: str) -> tuple[str, str]:
    return "authorization", f"Bearer {token}"


def status(door: Door, *headers: tuple[str, str], **other: str) -> int:
    refusal = door.refusal(asked(*headers, **other))
    return 0 if refusal is None else refusal.status_code


def test_who_is_let_in_stands_in_the_scope(door: Door) -> None:
    for header in (bearer(TOKEN), ("authorization", f"bearer  {TOKEN} "), ("x-api-key", TOKEN)):
        scope = asked(header)
        assert door.refusal(scope) is None
        expected = Principal(id_of(TOKEN.encode()) or "", "shop", frozenset({"decide"}))
        assert scope[PLACE] == expected
        assert expected.actor == f"key:{expected.key_id}"


@pytest.mark.parametrize(
    "token",
    [
        "",
        "nb_",
        "x",
        TOKEN[:-1],
        TOKEN + "0",
        TOKEN.upper(),
        TOKEN[:-1] + ("0" if TOKEN[-1] != "0" else "1"),
        TOKEN[:3] + make_token()[3:19] + TOKEN[19:],
        make_token(),
        "\u00e9" * 84,
        "nb_" + "0" * 16 + "_" + "0" * 64,
    ],
    ids=range(11),  # tokens are made anew by each process that runs tests
)
def test_a_key_that_is_wrong_anywhere_is_no_key(door: Door, token: str) -> None:
    for header in (bearer(token), ("x-api-key", token)):
        refusal = door.refusal(asked(header))
        assert refusal is not None
        assert refusal.status_code == 401
        assert refusal.headers["www-authenticate"].startswith('Bearer realm="nextbest"')


def test_other_schemes_and_two_keys_are_refused(door: Door) -> None:
    assert status(door) == 401
    assert status(door, ("authorization", f"Basic {TOKEN}")) == 401
    assert status(door, ("authorization", TOKEN)) == 401
    assert status(door, ("cookie", TOKEN)) == 401
    assert status(door, bearer(TOKEN), bearer(TOKEN)) == 401
    assert status(door, bearer(TOKEN), ("x-api-key", make_token())) == 401


def test_a_key_ends_when_it_expires_or_is_revoked(door: Door) -> None:
    past, future = NOW - timedelta(seconds=1), NOW + timedelta(hours=1)
    for ends, expected in (
        ({"expires": past}, 401),
        ({"revoked": past}, 401),
        ({"expires": future, "revoked": past}, 401),
        ({"expires": future}, 0),
    ):
        door.keyring.replace("shop", [key_of(TOKEN, "decide", **ends)])
        assert status(door, bearer(TOKEN)) == expected, ends
    door.keyring.replace("shop", [])
    assert status(door, bearer(TOKEN)) == 401


def test_a_scope_that_nobody_knows_opens_nothing(door: Door) -> None:
    door.keyring.replace("shop", [key_of(TOKEN, "root", "open")])
    assert status(door, bearer(TOKEN)) == 403


def test_the_keys_of_one_workspace_leave_those_of_another(door: Door) -> None:
    other = make_token()
    door.keyring.replace("bank", [key_of(other, "decide")])
    scope = asked(bearer(other))
    assert door.refusal(scope) is None
    assert scope[PLACE].workspace == "bank"
    door.keyring.replace("bank", [])
    assert (status(door, bearer(other)), status(door, bearer(TOKEN))) == (401, 0)


def test_a_key_has_its_own_rate(door: Door) -> None:
    slow = make_token()
    limits = {"rate": 0.001, "burst": 3.0}
    door.keyring.replace("shop", [key_of(TOKEN, "decide"), key_of(slow, "decide", **limits)])
    assert [status(door, bearer(slow)) for _ in range(4)] == [0, 0, 0, 429]
    # what is read anew from the ledger does not fill it again
    door.keyring.replace("shop", [key_of(TOKEN, "decide"), key_of(slow, "decide", **limits)])
    refusal = door.refusal(asked(bearer(slow)))
    assert refusal is not None
    assert 900 < int(refusal.headers["retry-after"]) <= 1000
    assert status(door, bearer(TOKEN)) == 0


def test_failed_attempts_are_bounded_and_shut_nobody_out(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        answers = [status(door, bearer(make_token())) for _ in range(150)]
    assert answers[:100] == [401] * 100
    assert 429 in answers
    assert len(caplog.records) < 130
    assert status(door, bearer(TOKEN)) == 0
    assert "nb_" not in caplog.text


def test_headers_and_announced_bodies_are_bounded(door: Door) -> None:
    assert status(door, bearer(TOKEN), *[("x", "y")] * 64) == 431
    assert status(door, bearer(TOKEN), ("x", "y" * 17_000)) == 431
    assert status(door, bearer(TOKEN), ("content-length", "65536")) == 0
    assert status(door, bearer(TOKEN), ("content-length", "65537")) == 413
    batch = "/v1/decisions/batch"
    assert status(door, bearer(TOKEN), ("content-length", "65537"), path=batch) == 0
    assert status(door, bearer(TOKEN), ("content-length", "16777217"), path=batch) == 413


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", 0),
        ("localhost:8000", 0),
        ("LOCALHOST:1", 0),
        ("127.0.0.1:9", 0),
        ("[::1]:8000", 0),
        ("[::1]", 0),
        ("evil.example", 421),
        ("evil.example:8000", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost:8000@evil.example", 421),
        ("evil.example#localhost:80", 421),
        ("0.0.0.0", 421),
        ("", 421),
    ],
)
def test_without_keys_only_this_machine_is_answered(
    settings: Settings, host: str, expected: int
) -> None:
    door = Door(Settings(settings.workspace, settings.data))
    for _ in range(2):  # what is remembered says the same
        assert status(door, ("host", host)) == expected


def test_a_request_names_one_host(settings: Settings) -> None:
    door = Door(Settings(settings.workspace, settings.data, host="127.0.0.2"))
    assert status(door) == 421
    assert status(door, ("host", "localhost"), ("host", "localhost")) == 421
    assert status(door, ("host", "127.0.0.2:8000")) == 0


@pytest.mark.parametrize(
    ("header", "value", "expected"),
    [
        ("origin", "http://localhost:8000", 0),  # the page of /docs
        ("origin", "https://localhost:8000", 0),
        ("origin", "http://localhost:3000", 403),
        ("origin", "http://localhost", 403),
        ("origin", "http://evil.example", 403),
        ("origin", "http://localhost:8000.evil.example", 403),
        ("origin", "null", 403),
        ("origin", "", 403),
        ("sec-fetch-site", "same-origin", 0),
        ("sec-fetch-site", "none", 0),
        ("sec-fetch-site", "same-site", 403),
        ("sec-fetch-site", "cross-site", 403),
    ],
)
def test_without_keys_no_other_sites_page_changes_anything(
    settings: Settings, header: str, value: str, expected: int
) -> None:
    door = Door(Settings(settings.workspace, settings.data))
    local = ("host", "localhost:8000")
    for method, path in (("POST", "/v1/exports"), ("DELETE", "/v1/customers/ann"), ("PUT", "/x")):
        assert status(door, local, (header, value), method=method, path=path) == expected
        assert status(door, local, method=method, path=path) == 0  # no browser
    assert status(door, local, (header, value), method="GET", path="/v1/exports") == 0


def test_of_two_origins_each_must_be_the_servers_own(settings: Settings) -> None:
    door = Door(Settings(settings.workspace, settings.data))
    own, foreign = ("origin", "http://localhost"), ("origin", "http://evil.example")
    for both in ((own, foreign), (foreign, own)):
        assert status(door, ("host", "localhost"), *both) == 403
    assert status(door, ("host", "localhost"), own, own) == 0


def test_with_keys_a_page_may_ask_with_the_key_that_it_was_given(door: Door) -> None:
    """No browser adds a key by itself, so there is nothing that another site could borrow."""
    assert status(door, bearer(TOKEN), ("origin", "https://shop.example")) == 0
    assert status(door, ("origin", "https://shop.example")) == 401


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "shop.internal", ""])
def test_a_server_that_others_reach_does_not_start_without_keys(
    settings: Settings, host: str
) -> None:
    unsafe = Settings(settings.workspace, settings.data, host=host)
    with pytest.raises(StateError, match="add --auth keys, or listen on 127.0.0.1"):
        check_access(unsafe)
    with pytest.raises(StateError, match="expected --auth keys"):
        make_app(unsafe)
    check_access(Settings(settings.workspace, settings.data, host=host, auth="keys"))


def test_documents_are_open_on_loopback_only(settings: Settings) -> None:
    for host, expected in (("127.0.0.1", 0), ("0.0.0.0", 401)):
        door = Door(Settings(settings.workspace, settings.data, host=host, auth="keys"))
        door.keyring.replace("shop", [key_of(TOKEN, "decide")])
        assert status(door, method="GET", path="/openapi.json") == expected
        assert status(door, bearer(TOKEN), method="GET", path="/docs") == 0
        assert status(door, method="GET", path="/healthz") == 0


def test_nothing_but_http_gets_through(door: Door) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def never(*_: Any) -> Any:
        raise AssertionError("it was let in")

    scope = {"type": "websocket", "path": "/v1/decisions", "headers": []}
    asyncio.run(Gate(never, door)(scope, never, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_refusals_are_problem_documents(server: Any) -> None:
    answer = server.post("/v1/decisions", json={})
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "about:blank",
        "title": "No valid API key",
        "status": 401,
        "detail": "expected an API key: 'Authorization: Bearer nb_...', X-API-Key or"
        " Ocp-Apim-Subscription-Key",
    }
