"""The caller's side: an HTTP client that presents the key of whoever sits at the terminal."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import httpx

from agents.errors import ConflictError, ContextError, NextbestError, StateError, UnknownNameError
from serving.security.tokens import read_token

VARIABLE = "NEXTBEST_API_KEY"


def key_headers(key_file: Path | None = None) -> dict[str, str]:
    """Return the header with the caller's API key; none if there is no key.

    Args:
        key_file: holds the key; otherwise the environment's `NEXTBEST_API_KEY` does. A key is never
            an argument: every user of a machine can read those.

    Raises:
        ContextError: the file cannot be read, or what was found is no API key.
    """
    if key_file is not None:
        try:
            text = key_file.read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not ASCII"
            raise ContextError(f"the key file {key_file} cannot be read: {reason}") from None
        return {"Authorization": f"Bearer {read_token(text, str(key_file))}"}
    text = os.environ.get(VARIABLE, "")
    return {"Authorization": f"Bearer {read_token(text, VARIABLE)}"} if text else {}


def call(
    url: str,
    method: str,
    path: str,
    *,
    key_file: Path | None = None,
    body: dict[str, Any] | None = None,
    yaml: str | None = None,
) -> Any:
    """Ask a server, and return the JSON of its answer.

    Args:
        url: of the server.
        method: of the request, as GET.
        path: of the request.
        key_file: holds the caller's key, if the environment does not.
        body: sent as JSON.
        yaml: sent instead.

    Raises:
        ConflictError: something else has happened there meanwhile.
        StateError: there is no server at the address, or it cannot do it now.
        UnknownNameError: it knows no such thing.
        ContextError: it refused.
    """
    headers = key_headers(key_file)
    try:
        with httpx.Client(base_url=url, timeout=10.0, headers=headers) as client:
            answer = client.request(method, path, json=body, content=yaml)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise StateError(f"no answer from {url}: {error}; is `nextbest serve` running?") from None
    return read_answer(answer, url)


def read_answer(answer: httpx.Response, url: str) -> Any:
    """Return the JSON of a success; raise what a refusal says.

    Args:
        answer: of a server.
        url: of that server, for messages.

    Raises:
        StateError: it is no answer of nextbest, or the server cannot do it now.
        ConflictError, UnknownNameError, ContextError: as `call`.
    """
    try:
        content = answer.json()
    except ValueError:
        content = None
    if answer.is_success and content is not None:
        return content
    detail = content.get("detail") if isinstance(content, dict) else None
    if detail is None:
        raise StateError(
            f"expected an answer of nextbest from {url}, got status {answer.status_code}; is --url"
            " right, and the server ready?"
        )
    kinds: dict[int, type[NextbestError]] = {
        404: UnknownNameError, 409: ConflictError, 503: StateError
    }  # fmt: skip
    raise kinds.get(answer.status_code, ContextError)(
        f"{url} answered {answer.status_code}: {detail}"
    )
