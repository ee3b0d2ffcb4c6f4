"""Each route of the application, asked with each scope."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from starlette.routing import Route

from serving.app import make_app
from serving.loops.errors import under_loop
from serving.security.scopes import SCOPES, TABLE, UNLISTED, Rule, Scopes
from serving.settings import Settings


def routes(app: FastAPI | APIRouter) -> Iterator[tuple[str, str]]:
    for route in app.routes:
        if (included := getattr(route, "original_router", None)) is not None:
            yield from routes(included)
            continue
        assert isinstance(route, Route), f"{route}: neither HTTP nor in the table"
        for method in sorted((route.methods or set()) - {"HEAD"}):
            yield method, route.path


def test_every_route_says_what_it_asks_for(settings: Settings) -> None:
    missing = [place for place in routes(make_app(settings)) if place not in TABLE]
    assert missing == [], "add them to serving/security/scopes.py"


def test_every_line_of_the_table_is_a_route(settings: Settings) -> None:
    assert sorted(set(TABLE) - set(routes(make_app(settings)))) == []


def test_the_rule_of_a_request_is_that_of_its_route() -> None:
    scopes = Scopes(TABLE)
    for (method, path), rule in TABLE.items():
        filled = "/".join("x.1" if part.startswith("{") else part for part in path.split("/"))
        assert scopes.rule(method, filled) is rule, path
    assert scopes.rule("HEAD", "/healthz").access == "open"
    assert scopes.rule("DELETE", "/v1/customers/a/b/").access == "erase"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/decisions/"),
        ("GET", "/v1/decisions//"),
        ("GET", "//v1/decisions/d"),
        ("GET", "/v1/decisions/d/e"),
        ("POST", "/V1/decisions"),
        ("POST", "/v1/decisions/"),
        ("PATCH", "/healthz"),
        ("GET", ""),
        ("GET", "/"),
        ("OPTIONS", "/v1/keys"),
        ("GET", "/v1/customers"),
        ("PUT", "/v1/customers/a/b"),
    ],
)
def test_what_is_no_route_asks_for_admin(method: str, path: str) -> None:
    assert Scopes(TABLE).rule(method, path) is UNLISTED
    assert UNLISTED.access == "admin"


def test_a_plain_route_goes_before_one_with_parts() -> None:
    own, any_other = Rule("admin"), Rule("decide")
    scopes = Scopes({("GET", "/a/{b}"): any_other, ("GET", "/a/c"): own})
    assert scopes.rule("GET", "/a/c") is own
    assert scopes.rule("GET", "/a/d") is any_other


def test_each_route_with_each_scope(server: Any, issue: Any, settings: Settings) -> None:
    """Only the scope of the table gets beyond the gate; nothing and nobody else does."""
    keys = {scope: issue(scope)["token"] for scope in SCOPES}
    crossed = 0
    for method, path in routes(make_app(settings)):
        rule, address = TABLE[method, path], path.replace("{", "").replace("}", "")
        for scope, token in keys.items():
            headers = {"Authorization": f"Bearer {token}"}
            answer = server.request(method, address, headers=headers)
            let_in = rule.access in {scope, "open", "docs"}
            assert (answer.status_code != 403) == let_in, f"{method} {path} with {scope}"
            if not let_in:
                told = answer.json()
                if under_loop(path):  # in the shape that its clients read
                    assert answer.headers["content-type"] == "application/json"
                    told = {"detail": told["error"]["message"]}
                else:
                    assert answer.headers["content-type"] == "application/problem+json"
                assert repr(rule.access) in told["detail"]
            crossed += 1
        bare = server.request(method, address)
        assert (bare.status_code == 401) == (rule.access not in {"open", "docs"}), path
    assert crossed >= 6 * 15


def test_the_document_tells_the_scope_of_each_route(server: Any) -> None:
    document = server.get("/openapi.json").json()
    assert set(document["components"]["securitySchemes"]) == {"bearer", "header", "subscription"}
    scopes, seen = Scopes(TABLE), 0
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            access = scopes.rule(method.upper(), path).access
            gated = access not in {"open", "docs"}
            assert operation.get("x-scope") == (access if gated else None)
            assert ("401" in operation["responses"]) == gated
            assert ("security" in operation) == gated
            seen += gated
    assert seen > 5
