"""The Ray Serve deployment: the whole decision inside one replica process, no hop to another."""

from __future__ import annotations

from typing import cast

from fastapi import FastAPI
from ray import serve
from ray.serve import Application, Deployment

from serving.app import make_app
from serving.settings import Settings

NAME = "nextbest"


def build(settings: Settings) -> Application:
    """Build the application that Ray Serve runs: one replica, which owns the embedded ledger."""

    def factory() -> FastAPI:
        return make_app(settings)

    @serve.deployment(
        name=NAME,
        num_replicas=1,
        max_ongoing_requests=128,  # also the largest group of commits
        max_queued_requests=256,  # beyond that 503, rather than a queue without end
        graceful_shutdown_timeout_s=35,
        health_check_period_s=2,
        health_check_timeout_s=5,
        ray_actor_options={"num_cpus": 0},
    )
    @serve.ingress(factory)
    class Decisions:
        """HTTP in, decisions out."""

    deployment = cast("Deployment", Decisions)  # what the decorators make of the class
    return deployment.bind()
