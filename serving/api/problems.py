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

from agents.errors import (
    ContextError,
    DocumentError,
    NextbestError,
    SnapshotError,
    StateError,
    UnknownNameError,
)
from serving.api.strict import BodyError

_STATUS: dict[type[NextbestError], tuple[int, str]] = {
    DocumentError: (422, "The document cannot be accepted"),
    ContextError: (422, "The request does not fit"),
    UnknownNameError: (404, "There is no such thing"),
    SnapshotError: (503, "A snapshot cannot be used"),
    StateError: (503, "The server cannot do this now"),
}


BODY = (400, 413, 415, 422, 503)
"""Statuses of the errors that every request with a body may meet."""

_MOST_FAULTS = 10


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


def problem(
    status: int,
    title: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    **members: Any,
) -> JSONResponse:
    """Make a problem document."""
    content = {"type": "about:blank", "title": title, "status": status, "detail": detail, **members}
    every = dict(headers or {}) | ({"Retry-After": "1"} if status == 503 else {})
    return JSONResponse(content, status, every, media_type="application/problem+json")


def _explain(error: dict[str, Any]) -> str:
    place = ".".join(str(part) for part in error["loc"] if part != "body") or "body"
    message = error["msg"][:1].lower() + error["msg"][1:]
    return f"{place}: {message}"


def install_problems(app: FastAPI) -> None:
    """Make every error of the application a problem document."""

    @app.exception_handler(NextbestError)
    async def refused(_request: Request, error: NextbestError) -> JSONResponse:
        status, title = _STATUS.get(type(error), (500, "Unexpected error"))
        place: dict[str, Any] = {}
        if isinstance(error, DocumentError):
            place = {"file": error.file, "line": error.line, "column": error.column}
        return problem(status, title, str(error), **place)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        faults = [_explain(fault) for fault in error.errors()[:_MOST_FAULTS]]
        return problem(422, "The request does not fit", faults[0], errors=faults)

    @app.exception_handler(HTTPException)
    async def http(_request: Request, error: HTTPException) -> JSONResponse:
        own = isinstance(error, BodyError)
        title = "The body cannot be accepted" if own else HTTPStatus(error.status_code).phrase
        return problem(error.status_code, title, str(error.detail), headers=error.headers)

    @app.exception_handler(Exception)
    async def unexpected(_request: Request, _error: Exception) -> JSONResponse:
        return problem(500, "Unexpected error", "the server's log has the details")
