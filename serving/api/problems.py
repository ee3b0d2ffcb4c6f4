"""Errors as RFC 9457 problem documents: what was expected, what was got, what to do."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from agents.errors import (
    ConflictError,
    ContextError,
    DocumentError,
    NextbestError,
    SnapshotError,
    StateError,
    UnknownNameError,
)
from serving.api.strict import BodyError
from serving.loops.errors import LoopError, error_of, status_of, under_loop
from serving.security.scopes import TABLE, Scopes

_STATUS: dict[type, tuple[int, str]] = {
    DocumentError: (422, "The document cannot be accepted"),
    ContextError: (422, "The request does not fit"),
    UnknownNameError: (404, "There is no such thing"),
    ConflictError: (409, "Something else has happened meanwhile"),
    SnapshotError: (503, "A snapshot cannot be used"),
    StateError: (503, "The server cannot do this now"),
}


BODY = (400, 413, 415, 422, 503)
"""Statuses of the errors that every request with a body may meet."""

_MOST_FAULTS = 10
_NO_ROUTE = "there is no such route; /openapi.json has all of them, without a slash at the end"
_SCOPES = Scopes(TABLE)


class Problem(BaseModel):
    """An error as RFC 9457 has it; `file`, `line` and `column` of YAML, `errors` of a JSON body."""

    type: str
    title: str
    status: int
    detail: str
    file: str | None = None
    line: int | None = None
    column: int | None = None
    errors: list[str] | None = None


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe errors for the OpenAPI document."""
    content = {"application/problem+json": {"schema": Problem.model_json_schema()}}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": content}
        for status in statuses
    }


def document(status: int, title: str, detail: str, **members: Any) -> dict[str, Any]:
    """Return what a problem document holds, as plain JSON values."""
    return {"type": "about:blank", "title": title, "status": status, "detail": detail, **members}


def problem(
    status: int,
    title: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    **members: Any,
) -> JSONResponse:
    """Make a problem document."""
    content = document(status, title, detail, **members)
    every = dict(headers or {}) | ({"Retry-After": "1"} if status == 503 else {})
    return _Answer(content, status, every)


class _Answer(JSONResponse):
    """A problem document, told as Personalizer tells errors where a loop was asked."""

    media_type = "application/problem+json"

    def __init__(self, content: dict[str, Any], status: int, headers: Mapping[str, str]) -> None:
        super().__init__(content, status, headers)
        self._told = content, headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        if not under_loop(scope["path"]):
            await super().__call__(scope, receive, send)
            return
        content, headers = self._told
        error = error_of(scope["path"], content)
        await JSONResponse(error, status_of(self.status_code), headers)(scope, receive, send)


def explain(error: Mapping[str, Any]) -> str:
    """Return in one line what pydantic found wrong in a body."""
    place = ".".join(str(part) for part in error["loc"] if part != "body") or "body"
    message = error["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    return f"{place}: {message}"


async def refused(_request: Request, error: NextbestError) -> JSONResponse:
    """Answer what was refused in words of our own."""
    return problem(**refusal(error))


async def failed(_request: Request, _error: Exception) -> JSONResponse:
    """Answer what went wrong in a way that nobody foresaw."""
    return problem(500, "Unexpected error", "the server's log has the details")


def refusal(error: NextbestError) -> dict[str, Any]:
    """Return status, title, detail and members of what was refused in words of our own."""
    kinds = (_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS)
    status, title = next(kinds, (500, "Unexpected error"))
    place: dict[str, Any] = {}
    if isinstance(error, LoopError):
        status, title, place = error.status, "The request does not fit", error.members
    if isinstance(error, DocumentError):
        place = {"file": error.file, "line": error.line, "column": error.column}
    if isinstance(error, ConflictError):
        place = error.members
    return {"status": status, "title": title, "detail": str(error), **place}


def _not_allowed(request: Request) -> JSONResponse:
    """Name every method of a path: the framework knows only the one of the route that it met."""
    methods = ", ".join(_SCOPES.methods(request.url.path))
    return problem(
        405, "Method Not Allowed", f"expected {methods}, got {request.method[:20]}",
        headers={"Allow": methods},
    )  # fmt: skip


def install_problems(app: FastAPI) -> None:
    """Make every error of the application a problem document."""
    app.exception_handler(NextbestError)(refused)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        faults = [explain(fault) for fault in error.errors()[:_MOST_FAULTS]]
        return problem(422, "The request does not fit", faults[0], errors=faults)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            return _not_allowed(request)
        if error.status_code == HTTPStatus.NOT_FOUND:
            return problem(404, "Not Found", _NO_ROUTE)
        own = isinstance(error, BodyError)
        title = "The body cannot be accepted" if own else HTTPStatus(error.status_code).phrase
        return problem(error.status_code, title, str(error.detail), headers=error.headers)

    app.exception_handler(Exception)(failed)
