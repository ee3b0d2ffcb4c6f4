"""The Ray Serve deployment: the whole decision inside one replica process, no hop to another.

`nextbest deploy` names `build_app` here in the config file that it writes.
"""

# Without `annotations` from __future__: Ray reads the type of build_app's argument when it runs.

from dataclasses import replace
from functools import partial
from typing import Any, cast

from ray import serve
from ray.serve import Application, Deployment
from ray.serve._private.common import RUNNING_REQUESTS_KEY
from ray.serve.config import AutoscalingConfig

from serving.cluster import lane
from serving.cluster.loopback import keep_to_loopback
from serving.running.admission import Admission, make_server_app
from serving.running.deploy import DeployArgs, with_ledger
from serving.running.vitality import check_vitality
from serving.security.scopes import API
from serving.settings import Settings
from serving.watching.watch import Watch

NAME = "nextbest"


@serve.deployment(
    name=NAME,
    health_check_period_s=1,
    health_check_timeout_s=5,
    graceful_shutdown_timeout_s=35,
    ray_actor_options={"num_cpus": 0},
)
@serve.ingress()
class Decisions:
    """HTTP in, decisions out."""

    def __init__(self, settings: Settings, ledger_env: str) -> None:
        keep_to_loopback()
        self._settings = with_ledger(settings, ledger_env)

    def __serve_build_asgi_app__(self) -> Admission:
        """Build the application, in the replica's own process."""
        self._admission = make_server_app(self._settings)
        self._admission.watch.echo = False  # Ray names what goes its way
        named = Watch(self._admission.watch.meters)
        lane.offer(partial(named.answer, self._admission.admit), *API)  # the rest goes Ray's way
        return self._admission

    async def check_health(self) -> None:
        """Raise if this replica cannot do its work; after three times Ray replaces it."""
        for runtime in self._admission.runtimes:
            await check_vitality(runtime)

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """Tell Ray how many requests are under way, under the name of its own count.

        Ray's does not know of the lane's; this one, which holds both, takes its place.
        """
        return {RUNNING_REQUESTS_KEY: self._admission.under_way}

    def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Take up changed limits without a restart."""
        self._admission.limits = self._admission.limits.changed(user_config)


def _scale(settings: Settings) -> dict[str, Any]:
    if settings.max_replicas <= settings.replicas:
        return {"num_replicas": settings.replicas}
    scaling = AutoscalingConfig(
        min_replicas=settings.replicas,
        max_replicas=settings.max_replicas,
        target_ongoing_requests=max(1, settings.max_waiting // 2),
    )
    return {"autoscaling_config": scaling}


def build(settings: Settings, ledger_env: str = "") -> Application:
    """Build the application that Ray Serve runs.

    Args:
        settings: of each replica; without the ledger's URL, which Ray would keep.
        ledger_env: the environment variable that tells each replica the URL; empty for SQLite.
    """
    deployment = cast("Deployment", Decisions).options(
        # what is too much is refused before Ray counts it, and as a problem document
        max_ongoing_requests=2 * settings.max_waiting + 16,
        max_queued_requests=settings.max_waiting,
        user_config={
            "max_waiting": settings.max_waiting,
            "body_timeout_s": settings.body_timeout_s,
        },
        **_scale(settings),
    )
    return deployment.bind(replace(settings, ledger_url=""), ledger_env)


def build_app(args: DeployArgs) -> Application:
    """Build the application from the arguments of a Serve config file."""
    return build(args.settings(), args.ledger_env)
