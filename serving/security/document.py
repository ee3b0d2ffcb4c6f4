"""What the OpenAPI document says of keys: how they are presented, and which scope a route needs."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from serving.api.problems import problems
from serving.loops.errors import under_loop
from serving.security.scopes import TABLE, UNLISTED

_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "nb_<id>_<secret>"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "subscription": {"type": "apiKey", "in": "header", "name": "Ocp-Apim-Subscription-Key"},
}

_RULES = {(method, path.replace(":path}", "}")): rule for (method, path), rule in TABLE.items()}
"""By the path as the document writes it."""

_UNSEEN = ("HTTPValidationError", "ValidationError")
"""FastAPI's own errors, which no route answers."""

_ALWAYS = (413, 421, 431)
_WITH_KEYS = (401, 403, 429)


def describe_security(app: FastAPI, *, keys: bool) -> None:
    """Let the OpenAPI document of an application tell what the gate asks for and answers.

    Args:
        app: whose document.
        keys: whether keys are asked for.
    """
    plain = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = plain()
            document.setdefault("components", {})["securitySchemes"] = _SCHEMES
            for path, methods in document["paths"].items():
                for method, operation in methods.items():
                    _describe(operation, method.upper(), path, keys=keys)
            for name in _UNSEEN:
                document["components"].get("schemas", {}).pop(name, None)
        return plain()

    app.openapi = described  # type: ignore[method-assign]  # the way FastAPI documents


def _describe(operation: dict[str, Any], method: str, path: str, *, keys: bool) -> None:
    if under_loop(path):
        operation["responses"].pop("422", None)  # it is told as 400
    access = _RULES.get((method, path), UNLISTED).access
    gated = keys and access not in {"open", "docs"}
    statuses = (*_ALWAYS, *_WITH_KEYS) if gated else _ALWAYS
    for status, response in problems(*statuses).items():
        operation["responses"].setdefault(str(status), response)
    if gated:
        operation["security"] = [{name: []} for name in _SCHEMES]
        operation["x-scope"] = access
