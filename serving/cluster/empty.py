"""An empty FastAPI deployment: the cheapest answer Ray Serve can give, to measure against."""

from __future__ import annotations

from typing import cast

from fastapi import FastAPI
from ray import serve
from ray.serve import Application, Deployment


def make_empty() -> FastAPI:
    """Build an application with one route that does nothing."""
    app = FastAPI()

    @app.post("/")
    async def empty() -> dict[str, str]:
        return {"status": "ok"}

    return app


def build_empty() -> Application:
    """Build the deployment, with the settings that decisions have."""

    @serve.deployment(name="empty", max_ongoing_requests=128, ray_actor_options={"num_cpus": 0})
    @serve.ingress(make_empty)
    class Empty:
        """HTTP in, nothing out."""

    return cast("Deployment", Empty).bind()
