"""The HTTP application: one ASGI factory, the same under Ray Serve, under uvicorn and in tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from serving.api import (
    agents,
    audit,
    batch,
    contacts,
    customers,
    decisions,
    deliveries,
    exports,
    health,
    keys,
    lookups,
    loops_admin,
    loops_events,
    loops_slots,
    metrics,
    models,
    outcomes,
    reports,
    revisions,
    suppressions,
)
from serving.api.direct import Direct, busy_routes
from serving.api.problems import install_problems
from serving.loops.direct import LoopsDirect
from serving.running.tenants import tenants
from serving.runtime import run
from serving.security.document import describe_security
from serving.security.gate import Door, Gate
from serving.security.guard import guarded
from serving.security.hosts import check_access
from serving.settings import Settings
from serving.watching.logs import logging_to
from serving.watching.metrics import Meters
from serving.watching.watch import Watch, WatchedApp


def make_app(settings: Settings) -> WatchedApp:
    """Build the application of one replica; its parts open when it starts.

    Raises:
        StateError: it would let in anybody from anywhere.
    """
    check_access(settings)
    door = Door(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.enter_context(logging_to(settings.log, settings.log_file))
            every = [await stack.enter_async_context(run(each)) for each in tenants(settings)]
            app.state.runtimes = {each.agents.workspace.workspace: each for each in every}
            app.state.runtime, app.state.door = every[0], door
            await stack.enter_async_context(guarded(door, app.state.runtimes))
            yield

    app = WatchedApp(
        title="nextbest",
        version=version("nextbest"),
        summary="Next-best-action decisions inside hard guardrails, with exact propensities.",
        lifespan=lifespan,
        redirect_slashes=False,  # it would lead to whatever the caller's Host header names
    )
    for module in (
        decisions, batch, lookups, customers, outcomes, contacts,
        deliveries, suppressions, agents, models, revisions, reports, keys, audit, metrics, exports,
        health,
    ):  # fmt: skip
        app.include_router(module.router)
    app.include_router(outcomes.batch_router)
    app.include_router(loops_events.router)
    app.include_router(loops_events.named_router)
    for loops in (loops_slots, loops_admin):
        app.include_router(loops.router)
        app.include_router(loops.named_router)
    app.include_router(loops_slots.previews)
    install_problems(app)
    app.entrance = Gate(Direct(LoopsDirect(app.by_route), busy_routes()), door)
    describe_security(app, keys=settings.auth == "keys")
    app.watch = Watch(Meters())
    return app
