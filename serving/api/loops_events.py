"""Loops, one action an event: rank, reward, activate, as Personalizer's API v1.0 has them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field

from serving.api.strict import StrictRequest, StrictRoute
from serving.loops.rank import answer_activate, answer_rank, answer_reward
from serving.security.scopes import ACTIONS

_FEATURES: dict[str, Any] = {"type": "array", "items": {"type": "object"}}


class RankableAction(BaseModel):
    """An action that may be shown."""

    id: str = Field(min_length=1, max_length=256)
    features: list[dict[str, object]] = Field(min_length=1, json_schema_extra=_FEATURES)


class RankRequest(BaseModel):
    """POST rank."""

    contextFeatures: list[dict[str, object]] | None = None  # noqa: N815 - the wire's name
    actions: list[RankableAction] = Field(min_length=1, max_length=50)
    excludedActions: list[str] | None = None  # noqa: N815 - the wire's name
    eventId: str | None = Field(None, min_length=1, max_length=256)  # noqa: N815 - the wire's name
    deferActivation: bool | None = False  # noqa: N815 - the wire's name


class RankedAction(BaseModel):
    """An action with the probability that it had of being chosen."""

    id: str
    probability: float = Field(ge=0, le=1)


class RankResponse(BaseModel):
    """What is to be shown; null if a guardrail bars every action."""

    ranking: list[RankedAction]
    eventId: str  # noqa: N815 - the wire's name
    rewardActionId: str | None  # noqa: N815 - the wire's name


class RewardRequest(BaseModel):
    """POST reward."""

    value: float


class InnerError(BaseModel):
    """Which rule was broken."""

    code: str


class LoopFault(BaseModel):
    """What is wrong with a request."""

    code: str
    message: str
    target: str | None = None
    details: list[LoopFault] | None = None
    innerError: InnerError | None = None  # noqa: N815 - the wire's name


class ErrorResponse(BaseModel):
    """An error under a loop's routes."""

    error: LoopFault


_STATUSES = (400, 401, 403, 404, 405, 408, 409, 413, 415, 421, 429, 431, 500, 503)
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorResponse, "description": "Error"} for status in _STATUSES
}
"""What every route of a loop may answer, for the OpenAPI document."""


class _LargeRequest(StrictRequest):
    most = ACTIONS


class LoopRoute(StrictRoute):
    """A route whose body may hold fifty actions."""

    reads = _LargeRequest


def body_of(model: type[BaseModel]) -> dict[str, Any]:
    """Describe a body that the handler reads itself, for the OpenAPI document."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    schema = _inlined(schema, schema.pop("$defs", {}))
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def _inlined(schema: Any, parts: dict[str, Any]) -> Any:
    """Put the parts of a schema where it refers to them."""
    if isinstance(schema, list):
        return [_inlined(each, parts) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(parts[schema["$ref"].rpartition("/")[2]], parts)
    return {name: _inlined(value, parts) for name, value in schema.items()}


def named(agent: Annotated[str, Path(min_length=1, max_length=128)]) -> str:
    """Say which loop a path names."""
    return agent


EventId = Annotated[str, Path(min_length=1, max_length=256)]


def agent_in(request: Request) -> str | None:
    """Return the loop that the path names, None if it names none."""
    return request.path_params.get("agent")


async def rank(request: Request) -> Response:
    """Choose which of the actions of the request is to be shown."""
    return await answer_rank(request.scope, await request.body(), agent_in(request))


async def reward(event_id: EventId, request: Request) -> Response:
    """Say what the action of an event was worth, from the loop's least reward to its largest.

    An event that nobody has ranked is answered alike; it teaches nothing.
    """
    raw = await request.body()
    return await answer_reward(request.scope, raw, agent_in(request), event_id)


async def activate(event_id: EventId, request: Request) -> Response:
    """Say that the action of an event that waits for its activation is shown now."""
    return await answer_activate(request.scope, agent_in(request), event_id)


class Calls(NamedTuple):
    """The three calls of an event, and what describes them.

    Args:
        rank, reward, activate: the handlers.
        asked, answer, told: models of the body and the answer of a Rank, and of a Reward.
        needs: dependencies of all three.
    """

    rank: Callable[..., Awaitable[Response]]
    reward: Callable[..., Awaitable[Response]]
    activate: Callable[..., Awaitable[Response]]
    asked: type[BaseModel]
    answer: type[BaseModel]
    told: type[BaseModel]
    needs: tuple[Callable[..., object], ...] = ()


SINGLE = Calls(rank, reward, activate, RankRequest, RankResponse, RewardRequest)


def make_router(prefix: str, *, names: bool, calls: Calls = SINGLE) -> APIRouter:
    """Make the routes under a prefix.

    Args:
        prefix: before `rank` and `events`.
        names: whether the path names the loop.
        calls: what is made.
    """
    needs = [*calls.needs, *([named] if names else [])]
    router = APIRouter(
        prefix=prefix, tags=["loops"], route_class=LoopRoute,
        dependencies=[Depends(each) for each in needs],
    )  # fmt: skip
    router.add_api_route(
        "/rank", calls.rank, methods=["POST"], status_code=201, response_model=calls.answer,
        responses=ERRORS, openapi_extra=body_of(calls.asked),
    )  # fmt: skip
    router.add_api_route(
        "/events/{event_id}/reward", calls.reward, methods=["POST"], status_code=204,
        response_class=Response, responses=ERRORS, openapi_extra=body_of(calls.told),
    )  # fmt: skip
    router.add_api_route(
        "/events/{event_id}/activate", calls.activate, methods=["POST"], status_code=204,
        response_class=Response, responses=ERRORS, route_class_override=APIRoute,
    )  # fmt: skip
    return router


BARE, NAMED = "/personalizer/v1.0", "/loops/{agent}/personalizer/v1.0"

router = make_router(BARE, names=False)
named_router = make_router(NAMED, names=True)
