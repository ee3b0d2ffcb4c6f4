"""API keys: make one, list them, rotate or revoke one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar, cast

import orjson
from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, Field, model_validator

from serving.api.problems import BODY, problems
from serving.api.strict import StrictRoute
from serving.api.wire import WHOLE, Body
from serving.ledger import Ledger
from serving.ledger.keys import ApiKey
from serving.runtime import runtime_of
from serving.security.gate import Door
from serving.security.guard import refresh
from serving.security.issuing import BOOTSTRAP, Issued, create, new_key, revoke, rotate
from serving.security.principal import principal_of
from serving.security.scopes import Scope
from serving.security.tokens import KEY_ID, make_token

T = TypeVar("T")

router = APIRouter(prefix="/v1/keys", tags=["keys"], route_class=StrictRoute)

_YEARS_10 = 10 * 366 * 86_400
_DAYS_30 = 30 * 86_400

KeyId = Annotated[str, Path(pattern=KEY_ID)]


class NewKeyBody(Body):
    """What a new key is to be."""

    name: str = Field(min_length=1, max_length=100, pattern=r"^[\w .:/@+-]+$")
    scopes: list[Scope] = Field(min_length=1, max_length=6)
    expires_in_s: Annotated[int, Field(ge=1, le=_YEARS_10), WHOLE] | None = Field(
        None, description="null: never expires"
    )
    rate: float | None = Field(
        None, ge=0.001, le=1e6, description="requests per second on average; null: no limit"
    )
    burst: float | None = Field(
        None, ge=1, le=1e6, description="requests at once after a pause; null: one second's worth"
    )

    @model_validator(mode="after")
    def _fits(self) -> NewKeyBody:
        if self.name == BOOTSTRAP:
            raise ValueError(f"expected another name: {BOOTSTRAP!r} is the server's own key")
        if self.burst is not None and self.rate is None:
            raise ValueError("expected rate beside burst")
        return self


class RotateBody(Body):
    """How long the old key goes on being accepted beside the new one."""

    grace_s: Annotated[int, Field(ge=0, le=_DAYS_30), WHOLE] = 86_400


class KeyAnswer(BaseModel):
    """What may be shown of a key."""

    key_id: str
    name: str
    scopes: list[Scope]
    created: datetime
    expires: datetime | None = Field(description="null: never")
    revoked: datetime | None = Field(description="null: not revoked")
    replaces: str = Field(description="id of the key it was rotated in for, empty if none")
    rate: float | None
    burst: float | None


class IssuedAnswer(KeyAnswer):
    """A new key, with the key itself: it is shown this once and kept nowhere."""

    token: str


def _now() -> datetime:
    """Return the machine's time: keys end by it whatever time a simulation drives."""
    return datetime.now(UTC)


async def _change(request: Request, job: Callable[[Ledger], T]) -> T:
    """Run a job, and let this replica know the keys as they are after it before it answers."""
    runtime, door = runtime_of(request), cast("Door", request.app.state.door)
    result = await asyncio.shield(runtime.writer.submit(job))
    if door.asks:
        await refresh(door, principal_of(request).workspace, runtime)
    return result


def _json(content: Any) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(orjson.dumps(content), headers=headers, media_type="application/json")


def _issued(issued: Issued) -> Response:
    return _json(issued.key.to_record() | {"token": issued.token})


@router.post("", response_model=IssuedAnswer, responses=problems(*BODY))
async def create_key(body: NewKeyBody, request: Request) -> Response:
    """Make an API key; the answer is the only place where it stands in full."""
    now, token = _now(), make_token()
    expires = None if body.expires_in_s is None else now + timedelta(seconds=body.expires_in_s)
    burst = body.burst if body.burst or body.rate is None else max(1.0, body.rate)
    scopes = tuple(dict.fromkeys(body.scopes))
    plain = new_key(token, body.name, scopes, now)
    key = replace(plain, expires=expires, rate=body.rate, burst=burst)
    actor = principal_of(request).actor
    await _change(request, lambda ledger: create(ledger, key, actor))
    return _issued(Issued(key, token))


@router.get("", response_model=list[KeyAnswer], responses=problems(503))
async def list_keys(request: Request) -> Response:
    """List every API key there ever was, the oldest first, without the keys themselves."""
    work = runtime_of(request).writer.submit(lambda ledger: ledger.api_keys())
    return _json([key.to_record() for key in await asyncio.shield(work)])


@router.post("/{key_id}/rotate", response_model=IssuedAnswer, responses=problems(*BODY, 404, 409))
async def rotate_key(key_id: KeyId, body: RotateBody, request: Request) -> Response:
    """Make a key in another's place; the old one is accepted for `grace_s` seconds more."""
    actor, grace = principal_of(request).actor, timedelta(seconds=body.grace_s)
    return _issued(
        await _change(request, lambda ledger: rotate(ledger, key_id, _now(), grace, actor))
    )


@router.delete("/{key_id}", response_model=KeyAnswer, responses=problems(404, 422, 503))
async def revoke_key(key_id: KeyId, request: Request) -> Response:
    """Refuse a key from now on, within a second on every replica."""
    actor = principal_of(request).actor

    def job(ledger: Ledger) -> ApiKey:
        return revoke(ledger, key_id, _now(), actor)

    return _json((await _change(request, job)).to_record())
