"""Reports on an agent: what its decisions were allocated to over time, and what barred them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from agents.errors import UnknownNameError, did_you_mean
from agents.units import Name
from serving.api.problems import problems
from serving.api.strict import StrictRoute
from serving.api.wire import Instant
from serving.ledger import LedgerReader
from serving.reports.report import Totals
from serving.reports.views import Per, Question, allocation, funnel
from serving.runtime import runtime_of

router = APIRouter(prefix="/v1/agents/{name}", tags=["reports"], route_class=StrictRoute)

From = Annotated[
    Instant | None, Query(alias="from", description="decisions from this hour on (UTC)")
]
Until = Annotated[Instant | None, Query(description="decisions before this hour (UTC)")]


class ReportAnswer(BaseModel):
    """How far the log has been read."""

    agent: str
    position: int = Field(description="the report counts the log up to this position")
    last_position: int = Field(description="of the log when it was asked; greater while it is read")
    since: datetime | None = Field(
        description="decisions before it have been forgotten, null if none have"
    )


class AllocatedAnswer(BaseModel):
    """What became of one action in one span of time under one revision."""

    from_: datetime = Field(alias="from", description="when the span begins (UTC)")
    revision: str
    action: str
    decisions: int
    share: float = Field(description="of the revision's decisions in this span")
    mean_propensity: float = Field(description="over the decisions that drew it")
    explored_share: float = Field(description="of the decisions that drew it")
    outcomes: int = Field(description="that count, until now")
    reward: float = Field(description="in currency, until now")
    given_back: int = Field(description="contacts that were not made after all")


class AllocationAnswer(ReportAnswer):
    """How an agent's decisions were allocated."""

    per: Per
    rows: list[AllocatedAnswer]


class BarredAnswer(BaseModel):
    """What one guardrail barred."""

    guardrail: str
    actions: int = Field(description="over all decisions, those for which its reason stood")
    decisions: int = Field(description="those in which it barred any action")
    last: int = Field(description="those where all was barred, and it barred the last of it")


class FunnelAnswer(ReportAnswer):
    """What barred an agent's actions, and how its decisions ended in `none`."""

    decisions: int
    guardrails: list[BarredAnswer]
    none: dict[str, int] = Field(description="decisions that ended in `none`, by their reason")


async def _answer(
    request: Request, question: Question, view: Callable[[Totals], dict[str, Any]]
) -> Response:
    def read(totals: Totals, ledger: LedgerReader) -> dict[str, Any]:
        if ledger.standing(question.agent) is None:
            known = did_you_mean(question.agent, ledger.active())
            raise UnknownNameError(f"there is no agent {question.agent!r}; {known}")
        return question.frame(totals) | view(totals)

    answer, last = await runtime_of(request).reports.ask(read)
    content = answer | {"last_position": max(last, answer["position"])}
    return Response(orjson.dumps(content), media_type="application/json")


@router.get("/allocation", response_model=AllocationAnswer, responses=problems(404, 422, 503))
async def get_allocation(
    name: Name, request: Request, per: Per = "day", from_: From = None, until: Until = None
) -> Response:
    """Tell how an agent's decisions were allocated over time, and what came of each action."""
    question = Question(name, from_, until)
    return await _answer(
        request, question,
        lambda totals: {"per": per, "rows": allocation(totals, question, per)},
    )  # fmt: skip


@router.get("/funnel", response_model=FunnelAnswer, responses=problems(404, 422, 503))
async def get_funnel(
    name: Name, request: Request, from_: From = None, until: Until = None
) -> Response:
    """Tell what barred an agent's actions, and how its decisions ended in `none`, and why."""
    question = Question(name, from_, until)
    return await _answer(request, question, lambda totals: funnel(totals, question))
