"""The audit log: who changed what."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from serving.api.problems import problems
from serving.api.strict import StrictRoute
from serving.runtime import runtime_of

router = APIRouter(prefix="/v1/audit", tags=["audit"], route_class=StrictRoute)

_MOST = 1_000


class AuditedAnswer(BaseModel):
    """One row; its hash is that of the row before and of its own content."""

    seq: int
    at: datetime
    actor: str = Field(description="key:<id>, server, or anyone where no keys are asked for")
    action: str
    body: dict[str, Any]
    previous: str
    hash: str


@router.get("", response_model=list[AuditedAnswer], responses=problems(422, 503))
async def list_audit(
    request: Request,
    after: Annotated[int, Query(ge=0, lt=2**63, description="seq of the last row seen")] = 0,
    limit: Annotated[int, Query(ge=1, le=_MOST)] = _MOST,
) -> Response:
    """Return rows of the audit log in order, those after `after`."""
    work = runtime_of(request).writer.submit(lambda ledger: ledger.audits(after, limit))
    rows = [row.to_record() for row in await asyncio.shield(work)]
    return Response(orjson.dumps(rows), media_type="application/json")
