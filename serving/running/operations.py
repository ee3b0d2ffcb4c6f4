"""The commands of a deployment on many machines: write its files, run its learner."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from serving.running.deploy import Plan, write_deployment
from serving.running.options import (
    Data,
    ExportEvery,
    ExportTo,
    LedgerUrl,
    Log,
    LogTo,
    MaxReplicas,
    MaxWaiting,
    ModelAlias,
    ModelKey,
    ModelRegistry,
)
from serving.settings import Settings

app = typer.Typer()


@app.command()
def deploy(
    folder: Annotated[Path, typer.Argument(help="Folder to write the files to.")],
    image: Annotated[str, typer.Option(help="Container image with nextbest and the workspace.")],
    workspace: Annotated[
        str, typer.Option(help="The workspace's folder in the image.")
    ] = "/srv/nextbest/workspace",
    data: Annotated[
        str, typer.Option(help="Where pods see the volume of snapshots and keys.")
    ] = "/srv/nextbest/data",
    replicas: Annotated[int, typer.Option(min=1, help="Processes that decide, a pod each.")] = 2,
    max_replicas: MaxReplicas = 0,
    max_waiting: MaxWaiting = 16,
    redis: Annotated[
        str, typer.Option(help="host:port of a Redis that lets Ray outlive its head.")
    ] = "",
    name: Annotated[str, typer.Option(help="Name of everything in Kubernetes.")] = "nextbest",
    export_every: ExportEvery = 0.0,
    export_to: ExportTo = None,
    log: Log = "text",
    log_to: LogTo = None,
    model_registry: ModelRegistry = "",
    model_alias: ModelAlias = "champion",
    model_key: ModelKey = None,
) -> None:
    """Write a Ray Serve config file and a KubeRay manifest; the ledger is PostgreSQL."""
    plan = Plan(
        workspace, data, image,
        replicas=replicas, max_replicas=max_replicas, max_waiting=max_waiting,
        redis=redis, name=name,
        export_every_s=export_every, export_to=export_to, log=log, log_to=log_to,
        model_registry=model_registry, model_alias=model_alias, model_key=model_key,
    )  # fmt: skip
    for path in write_deployment(plan, folder):
        typer.echo(f"wrote {path}")
    typer.echo(f"before kubectl apply: secrets {name}-secrets and {name}-keys, claim {name}-data")


@app.command()
def learn(
    data: Data,
    ledger: LedgerUrl = "",
    log: Log = "text",
    log_to: LogTo = None,
) -> None:
    """Run the learner by itself, where replicas run elsewhere, until Ctrl-C."""
    from serving.learning.learner_process import LearnerSupervisor
    from serving.stopping import Stop

    settings = Settings(Path(), data, ledger_url=ledger, log=log, log_to=log_to)
    stop = Stop()
    stop.on()
    learner = LearnerSupervisor(settings)
    try:
        typer.echo(f"learning: {data}; stop with Ctrl-C")
        stop.wait()
    finally:
        learner.close()
    typer.echo("stopped")
