"""The commands of a deployment on many machines: write its files, run its learner."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Annotated

import typer

from serving.running.deploy import Plan, with_ledger, write_deployment
from serving.running.options import MaxReplicas, MaxWaiting
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
) -> None:
    """Write a Ray Serve config file and a KubeRay manifest; the ledger is PostgreSQL."""
    plan = Plan(
        workspace,
        data,
        image,
        replicas=replicas,
        max_replicas=max_replicas,
        max_waiting=max_waiting,
        redis=redis,
        name=name,
    )
    for path in write_deployment(plan, folder):
        typer.echo(f"wrote {path}")
    typer.echo(f"before kubectl apply: secrets {name}-secrets and {name}-keys, claim {name}-data")


@app.command()
def learn(
    data: Annotated[Path, typer.Option(help="Folder of the snapshots and keys.")],
    ledger_env: Annotated[
        str, typer.Option(help="The environment variable with the ledger's URL.")
    ] = "",
) -> None:
    """Run the learner by itself, where replicas run elsewhere, until Ctrl-C."""
    from serving.learning.learner_process import LearnerSupervisor
    from serving.running.server import stop_on_signal

    settings = with_ledger(Settings(Path(), data), ledger_env)
    stop = threading.Event()
    stop_on_signal(stop)
    learner = LearnerSupervisor(settings)
    try:
        typer.echo(f"learning: {data}; stop with Ctrl-C")
        stop.wait()
    finally:
        learner.close()
    typer.echo("stopped")
