"""What `nextbest deploy` writes: a Serve config file, and a KubeRay manifest around it.

The config file is what `serve build` would write for `serving.cluster.deployment:build_app`. Under
`args` stands what a replica is, so that a change restarts it; under `user_config` what it may be
told while it runs. No secret is in either: the URL of the ledger comes from an environment
variable that is named here.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from ruamel.yaml import YAML

from agents.errors import StateError
from serving.files import sync_folder, write_whole
from serving.running.ledger_url import read_ledger_url
from serving.security.hosts import check_access
from serving.settings import LEDGER_ENV, AuthKind, ClockKind, Settings
from serving.watching.logs import LogKind

APP = "nextbest"
IMPORT_PATH = "serving.cluster.deployment:build_app"
HTTP_PORT = 8000


class DeployArgs(BaseModel):
    """Arguments of the application in a Serve config file.

    Args:
        workspace: folder with workspace.yaml and agents/, as a replica sees it.
        data: folder of the snapshots and keys, as a replica sees it; shared by all of them.
        ledger_env: the environment variable with the ledger's URL; empty for SQLite in `data`.
        clock: `machine`, or `driven` to simulate.
        auth: `keys` wherever others than this machine reach it.
        log, log_to: lines of the log, and the file they are appended to, as a replica sees it.
        export_every_s, export_to: how often the log is shipped, and where to, as a replica sees it.
        model_registry, model_alias, model_key: whose models decide, if any; the file of the key as
            a replica sees it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    workspace: str
    data: str
    ledger_env: str = ""
    clock: ClockKind = "machine"
    auth: AuthKind = "keys"
    log: LogKind = "text"
    log_to: Path | None = None
    export_every_s: float = Field(0.0, ge=0.0, allow_inf_nan=False)
    export_to: Path | None = None
    model_registry: str = ""
    model_alias: str = "champion"
    model_key: Path | None = None

    def settings(self) -> Settings:
        """Return the settings of each replica, without the ledger's URL."""
        host = "0.0.0.0" if self.auth == "keys" else "127.0.0.1"  # noqa: S104 - for the gate only
        return Settings(
            Path(self.workspace), Path(self.data), host=host, clock=self.clock, auth=self.auth,
            log=self.log, log_to=self.log_to,
            export_every_s=self.export_every_s, export_to=self.export_to,
            model_registry=self.model_registry, model_alias=self.model_alias,
            model_key=self.model_key,
        )  # fmt: skip


def with_ledger(settings: Settings, ledger_env: str) -> Settings:
    """Return settings with the ledger's URL as the environment has it; as they are for SQLite.

    Raises:
        StateError: the environment variable is not set.
    """
    if not ledger_env:
        return settings
    if not (url := os.environ.get(ledger_env, "")):
        raise StateError(
            f"expected the ledger's URL in the environment variable {ledger_env}; set it for every"
            " process of Ray, from a secret"
        )
    return replace(settings, ledger_url=read_ledger_url(url))


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be deployed.

    Args:
        workspace, data: as in `DeployArgs`, inside the container.
        image: with nextbest and the workspace in it.
        replicas: decisions are made by at least so many processes, one CPU each.
        max_replicas: autoscaling stops there; 0 for always `replicas`.
        max_waiting: requests under way at once for one replica.
        redis: host:port of the Redis that Ray's head keeps its state in; empty for none, with
            which the loss of the head costs the cluster.
        name: of everything in Kubernetes.
        clock: `machine`, or `driven` to simulate.
        shared: whether replicas share a PostgreSQL; without it there is one, on SQLite.
        auth: `none` is for a Ray that listens on loopback only.
        log, log_to, export_every_s, export_to: as in `DeployArgs`.
        model_registry, model_alias, model_key: as in `DeployArgs`.
    """

    workspace: str
    data: str
    image: str
    replicas: int = 2
    max_replicas: int = 0
    max_waiting: int = 16
    redis: str = ""
    name: str = APP
    clock: ClockKind = "machine"
    shared: bool = True
    auth: AuthKind = "keys"
    log: LogKind = "text"
    log_to: Path | None = None
    export_every_s: float = 0.0
    export_to: Path | None = None
    model_registry: str = ""
    model_alias: str = "champion"
    model_key: Path | None = None

    @property
    def most_replicas(self) -> int:
        """The most processes that ever decide."""
        return max(self.replicas, self.max_replicas)


def _scale(plan: Plan) -> dict[str, Any]:
    if plan.max_replicas <= plan.replicas:
        return {"num_replicas": plan.replicas}
    return {
        "autoscaling_config": {
            "min_replicas": plan.replicas,
            "max_replicas": plan.max_replicas,
            "target_ongoing_requests": max(1, plan.max_waiting // 2),
        }
    }


def _deployment(plan: Plan) -> dict[str, Any]:
    return {
        "name": APP,
        **_scale(plan),
        "max_ongoing_requests": 2 * plan.max_waiting + 16,
        "max_queued_requests": plan.max_waiting,
        "user_config": {"max_waiting": plan.max_waiting, "body_timeout_s": 10.0},
        "health_check_period_s": 1.0,
        "health_check_timeout_s": 5.0,
        "graceful_shutdown_timeout_s": 35.0,
        "ray_actor_options": {"num_cpus": 1.0},
    }


def serve_config(plan: Plan, *, host: str = "0.0.0.0", port: int = HTTP_PORT) -> dict[str, Any]:  # noqa: S104 - inside a pod
    """Return the content of a Serve config file.

    Raises:
        StateError: several replicas and no ledger that they can share, or no keys where others
            reach it.
    """
    check_access(Settings(Path(), Path(), host=host, auth=plan.auth))
    if plan.most_replicas > 1 and not plan.shared:
        raise StateError("expected --ledger-env for more than one replica: SQLite has one writer")
    args = DeployArgs(
        workspace=plan.workspace, data=plan.data, clock=plan.clock, auth=plan.auth,
        ledger_env=LEDGER_ENV if plan.shared else "", log=plan.log, log_to=plan.log_to,
        export_every_s=plan.export_every_s, export_to=plan.export_to,
        model_registry=plan.model_registry, model_alias=plan.model_alias, model_key=plan.model_key,
    )  # fmt: skip
    return {
        "proxy_location": "EveryNode",
        "http_options": {"host": host, "port": port},
        "logging_config": {"encoding": "JSON", "log_level": "WARNING", "enable_access_log": False},
        "applications": [
            {
                "name": APP,
                "route_prefix": "/",
                "import_path": IMPORT_PATH,
                "args": args.model_dump(mode="json", exclude_none=True),
                "deployments": [_deployment(plan)],
            }
        ],
    }


def to_yaml(*documents: dict[str, Any]) -> str:
    """Write documents as YAML, keys in the order given."""
    yaml = YAML()
    yaml.width = 100
    yaml.indent(mapping=2, sequence=4, offset=2)
    out = io.StringIO()
    yaml.dump_all(documents, out)
    return out.getvalue()


def write_deployment(plan: Plan, folder: Path) -> tuple[Path, Path]:
    """Write `serve.yaml` and `rayservice.yaml` into a folder; returns both paths.

    Raises:
        StateError: the folder cannot be written, or the plan cannot run.
    """
    from serving.running.manifest import manifest

    config = to_yaml(serve_config(plan))
    texts = {"serve.yaml": config, "rayservice.yaml": to_yaml(*manifest(plan, config))}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            write_whole(folder / name, text.encode())
        sync_folder(folder)
    except OSError as error:
        raise StateError(f"{folder} cannot be written: {error.strerror}") from error
    return folder / "serve.yaml", folder / "rayservice.yaml"
