"""Registered models: let the one that the registry's alias points to decide."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from agents.units import Name
from serving.api.problems import problems
from serving.life.registered import take_up_model
from serving.runtime import runtime_of
from serving.security.principal import actor_of

router = APIRouter(prefix="/v1/agents", tags=["agents"])


class ModelAnswer(BaseModel):
    """The registered model that decides for an agent."""

    agent: str
    version: int = Field(description="number of the model in the registry")
    snapshot: str = Field(description="its id, as decisions name it")
    learner: str
    changed: bool = Field(description="whether another one decided before")


@router.post("/{name}/model", responses=problems(404, 409, 422, 503))
async def load_model(name: Name, request: Request) -> ModelAnswer:
    """Decide by the model that the registry's alias now points to, in every replica.

    Its SHA-256 and its signature are checked; if anything is wrong, what decides goes on.
    """
    runtime, actor = runtime_of(request), actor_of(request)
    work = take_up_model(runtime.agents, runtime.writer, runtime.lifecycle, name, actor)
    found = await asyncio.shield(work)
    manifest = found.model.manifest
    return ModelAnswer(
        agent=name, version=found.model.version, snapshot=found.model.snapshot,
        learner=manifest.policy, changed=found.changed,
    )  # fmt: skip
