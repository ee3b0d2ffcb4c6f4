"""Loops, as their holder has them: settings, learning policy, log, model and status."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, Field

from agents.revision import Revision
from serving.api.loops_events import ERRORS, LoopRoute, agent_in, body_of, named
from serving.api.loops_slots import PREVIEWS, STABLE, require_version
from serving.api.reply import Reply
from serving.api.strict import parse_json
from serving.loops.administer import (
    delete_log,
    get_service,
    log_range,
    newest_model,
    policy_of,
    put_service,
    reset_model,
)
from serving.loops.errors import NOT_FOUND, LoopError
from serving.loops.finding import find_loop
from serving.runtime import Runtime, runtime_of
from serving.security.principal import actor_of
from serving.security.scopes import EVALUATIONS


class ServiceConfiguration(BaseModel):
    """The settings of a loop; durations as ISO 8601 has them, as PT10M."""

    rewardWaitTime: str = Field(  # noqa: N815 - the wire's name
        description="how long a reward is waited for, from PT5S to P2D", examples=["PT10M"]
    )
    defaultReward: float = Field(  # noqa: N815 - the wire's name
        ge=-1, le=1, description="the reward if none came by then"
    )
    rewardAggregation: Literal["earliest", "sum", "max"] = Field(  # noqa: N815 - the wire's name
        description="how several rewards make one; max only if the agent's document says so"
    )
    explorationPercentage: float = Field(  # noqa: N815 - the wire's name
        ge=0, le=1, description="share of decisions that is spread over all allowed actions"
    )
    modelExportFrequency: str = Field(  # noqa: N815 - the wire's name
        description="least span between two models", examples=["PT5M"]
    )
    logMirrorEnabled: bool | None = Field(  # noqa: N815 - the wire's name
        None, description="always false"
    )
    logRetentionDays: int = Field(  # noqa: N815 - the wire's name
        ge=-1,
        le=2**31 - 1,
        description="days, -1 for good; the workspace says it, so it cannot be changed here",
    )
    lastConfigurationEditDate: datetime | None = Field(  # noqa: N815 - the wire's name
        None, description="when the settings were changed last; not read"
    )
    learningMode: Literal["Online", "Apprentice", "LoggingOnly"] | None = (  # noqa: N815 - the wire's name
        Field(None, description="what learns, and what decides; as it is if left out")
    )
    isAutoOptimizationEnabled: bool | None = Field(  # noqa: N815 - the wire's name
        None, description="always false"
    )


class PolicyContract(BaseModel):
    """What a loop learns with."""

    name: str
    arguments: str = Field(description="that Vowpal Wabbit is given; empty for another learner")


class ServiceStatus(BaseModel):
    """Whether a loop answers."""

    service: str
    apiStatus: str  # noqa: N815 - the wire's name
    apiStatusMessage: str  # noqa: N815 - the wire's name


class DateRange(BaseModel):
    """From when to when."""

    start: datetime = Field(alias="from")
    to: datetime


class LogsProperties(BaseModel):
    """What the log holds."""

    dateRange: DateRange  # noqa: N815 - the wire's name


class ModelProperties(BaseModel):
    """When a model was written."""

    creationTime: datetime  # noqa: N815 - the wire's name
    lastModifiedTime: datetime  # noqa: N815 - the wire's name


_VERSIONS = (STABLE, *PREVIEWS)
_BINARY = {"content": {"application/octet-stream": {"schema": {"type": "string"}}}}


def any_version(
    version: Annotated[str, Path(json_schema_extra={"enum": list(_VERSIONS)})],
) -> None:
    """Refuse a path of a version that there is not."""
    require_version(version, _VERSIONS)


async def _loop(request: Request) -> tuple[Runtime, Revision]:
    runtime = runtime_of(request)
    return runtime, await find_loop(runtime, agent_in(request))


def _json(value: object) -> Response:
    return Reply(orjson.dumps(value))


async def get_settings(request: Request) -> Response:
    """Return the settings of a loop."""
    runtime, revision = await _loop(request)
    return _json(await get_service(runtime, revision.agent.agent))


async def put_settings(request: Request) -> Response:
    """Change the settings of a loop: a new revision decides from now on.

    What was learned stays. Canary and shadow end, as with every activation.
    """
    body = parse_json(await request.body())
    if not isinstance(body, dict):
        raise LoopError("expected a JSON object as the body", "InvalidServiceConfiguration")
    runtime, revision = await _loop(request)
    actor = actor_of(request)
    return _json(await put_service(runtime, revision.agent.agent, body, actor))


async def get_policy(request: Request) -> Response:
    """Return what a loop learns with, and the arguments that Vowpal Wabbit is given."""
    _, revision = await _loop(request)
    return _json(policy_of(revision))


async def get_status(request: Request) -> Response:
    """Say that a loop answers and that the key is valid; others never come as far."""
    await _loop(request)
    told = {"service": "personalizer", "apiStatus": "Valid", "apiStatusMessage": "The key is valid"}
    return _json(told)


async def get_log_properties(request: Request) -> Response:
    """Say when a loop has decided first and last, as far as its log goes back."""
    runtime, revision = await _loop(request)
    first, last = await log_range(runtime, revision.agent.agent)
    return _json({"dateRange": {"from": first.isoformat(), "to": last.isoformat()}})


async def delete_logs(request: Request) -> Response:
    """Remove all that a loop has decided until now, and its rewards; what it learned stays.

    Events that still wait for their reward go, too: they teach nothing, and a reward that comes
    later finds none.
    """
    runtime, revision = await _loop(request)
    work = delete_log(runtime, revision.agent.agent, actor_of(request))
    await asyncio.shield(work)  # once begun it is finished, whoever waits
    return Reply(b"", 204)


async def get_model(request: Request) -> Response:
    """Return the newest model that a loop has published, as Vowpal Wabbit saves it."""
    runtime, revision = await _loop(request)
    model = await newest_model(runtime, revision)
    return Response(model.data, media_type="application/octet-stream")


async def get_model_properties(request: Request) -> Response:
    """Say when the oldest model that is kept, and the newest one, were written."""
    runtime, revision = await _loop(request)
    model = await newest_model(runtime, revision)
    told = {
        "creationTime": model.created.isoformat(),
        "lastModifiedTime": model.modified.isoformat(),
    }
    return _json(told)


async def delete_model(request: Request) -> Response:
    """Forget what a loop has learned: its learner begins anew. Its log stays.

    The model that was goes on deciding until the new one is published, after seconds. What still
    waits for its reward is learned when it is due.
    """
    runtime, revision = await _loop(request)
    await reset_model(runtime, revision.agent.agent, actor_of(request))
    return Reply(b"", 204)


async def evaluate_elsewhere(request: Request) -> Response:
    """Say how logs are evaluated here.

    Raises:
        LoopError: always.
    """
    await _loop(request)
    raise LoopError(
        "evaluations are not offered under this route: export the log with `nextbest export` and"
        " value any policy on it with `nextbest evaluate`", NOT_FOUND, status=404,
    )  # fmt: skip


_READ: tuple[tuple[str, Any, type[BaseModel]], ...] = (
    ("/configurations/policy", get_policy, PolicyContract),
    ("/status", get_status, ServiceStatus),
    ("/logs/properties", get_log_properties, LogsProperties),
    ("/model/properties", get_model_properties, ModelProperties),
    ("/configurations/service", get_settings, ServiceConfiguration),
)


def make_router(prefix: str, *, names: bool) -> APIRouter:
    """Make the routes under a prefix.

    Args:
        prefix: before `configurations`, `logs` and `model`.
        names: whether the path names the loop.
    """
    router = APIRouter(
        prefix=prefix, tags=["loops"], route_class=LoopRoute,
        dependencies=[Depends(any_version), *([Depends(named)] if names else [])],
    )  # fmt: skip
    for path, read, model in _READ:
        router.add_api_route(path, read, methods=["GET"], response_model=model, responses=ERRORS)
    router.add_api_route(
        "/configurations/service", put_settings, methods=["PUT"],
        response_model=ServiceConfiguration, responses=ERRORS,
        openapi_extra=body_of(ServiceConfiguration),
    )  # fmt: skip
    router.add_api_route(
        "/logs", delete_logs, methods=["DELETE"], status_code=204, response_class=Response,
        responses=ERRORS,
    )  # fmt: skip
    router.add_api_route(
        "/model", delete_model, methods=["DELETE"], status_code=204, response_class=Response,
        responses=ERRORS,
    )  # fmt: skip
    for method, path in EVALUATIONS:
        router.add_api_route(path, evaluate_elsewhere, methods=[method], include_in_schema=False)
    router.add_api_route(
        "/model", get_model, methods=["GET"], response_class=Response,
        responses={**ERRORS, 200: {**_BINARY, "description": "The model"}},
    )  # fmt: skip
    return router


router = make_router("/personalizer/{version}", names=False)
named_router = make_router("/loops/{agent}/personalizer/{version}", names=True)
