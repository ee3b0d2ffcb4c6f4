"""An empty FastAPI deployment: the cheapest answer Ray Serve can give, to measure against.

And the same one past Ray's wrapper, as decisions are.
"""

from __future__ import annotations

from typing import cast

from fastapi import FastAPI
from ray import serve
from ray.serve import Application, Deployment

from serving.cluster import lane


def make_empty(path: str = "/") -> FastAPI:
    """Build an application with one route that does nothing.

    Args:
        path: of the route.
    """
    app = FastAPI()

    @app.post(path)
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


def build_straight(path: str) -> Application:
    """Build the same, by the lane.

    Args:
        path: of its only route, below the prefix that it is deployed at.
    """

    @serve.deployment(name="straight", max_ongoing_requests=128, ray_actor_options={"num_cpus": 0})
    @serve.ingress()
    class Straight:
        """HTTP in, nothing out."""

        def __serve_build_asgi_app__(self) -> FastAPI:
            app = make_empty(path)
            lane.offer(app, path)
            return app

    return cast("Deployment", Straight).bind()
