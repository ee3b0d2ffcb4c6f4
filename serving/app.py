"""The HTTP application: one ASGI factory, the same under Ray Serve, under uvicorn and in tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from serving.api import agents, decisions, health, outcomes
from serving.api.problems import install_problems
from serving.runtime import run
from serving.settings import Settings


def make_app(settings: Settings) -> FastAPI:
    """Build the application of one replica; its parts open when it starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with run(settings) as runtime:
            app.state.runtime = runtime
            yield

    app = FastAPI(
        title="nextbest",
        version=version("nextbest"),
        summary="Next-best-action decisions inside hard guardrails, with exact propensities.",
        lifespan=lifespan,
    )
    for module in (decisions, outcomes, agents, health):
        app.include_router(module.router)
    install_problems(app)
    return app
