"""Errors as RFC 9457 problem documents: what was expected, what was got, what to do."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
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


def problem(status: int, title: str, detail: str, **members: Any) -> JSONResponse:
    """Make a problem document."""
    content = {"type": "about:blank", "title": title, "status": status, "detail": detail, **members}
    headers = {"Retry-After": "1"} if status == 503 else None
    return JSONResponse(content, status, headers, media_type="application/problem+json")


def _explain(error: dict[str, Any]) -> str:
    place = ".".join(str(part) for part in error["loc"] if part != "body")
    message = error["msg"][:1].lower() + error["msg"][1:]
    return f"{place}: {message}" if place else message


def install_problems(app: FastAPI) -> None:
    """Make every error of the application a problem document."""

    @app.exception_handler(NextbestError)
    async def refused(_request: Request, error: NextbestError) -> JSONResponse:
        status, title = _STATUS.get(type(error), (500, "Unexpected error"))
        place = {}
        if isinstance(error, DocumentError):
            place = {"file": error.file, "line": error.line, "column": error.column}
        return problem(status, title, str(error), **place)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        faults = [_explain(fault) for fault in error.errors()]
        return problem(422, "The request does not fit", faults[0], errors=faults)

    @app.exception_handler(HTTPException)
    async def http(_request: Request, error: HTTPException) -> JSONResponse:
        title = "The body cannot be accepted" if isinstance(error, BodyError) else "Refused"
        return problem(error.status_code, title, str(error.detail))

    @app.exception_handler(Exception)
    async def unexpected(_request: Request, _error: Exception) -> JSONResponse:
        return problem(500, "Unexpected error", "the server's log has the details")
