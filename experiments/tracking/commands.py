"""The commands around registered models: register, list, show, promote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import orjson
import typer
from rich import box
from rich.console import Console
from rich.table import Table

from agents.errors import SnapshotError, StateError
from experiments.tracking.models import (
    HOW_TO_REGISTER,
    Model,
    find_model,
    list_models,
    promote,
    register,
)
from experiments.tracking.store import DATABASE, open_tracking
from policies.registered import CHAMPION

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

app = typer.Typer(help="Learned policies in the MLflow model registry.", no_args_is_help=True)

Track = Annotated[Path, typer.Option("--track", help="Folder of the MLflow runs and models.")]
Agent = Annotated[str, typer.Option("--agent", help="Whose model.")]
Version = Annotated[
    int | None, typer.Option("--version", min=1, help="Number of the model, from the list.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a machine.")]
_FOLDER = Path("runs/mlflow")


@app.command("register")
def register_command(
    snapshot: Annotated[Path, typer.Argument(help="File of the snapshot.")],
    key: Annotated[Path, typer.Option(help="Key file that it is signed with.")],
    agent: Agent,
    alias: Annotated[str, typer.Option(help="Name that is to point to it; none if left out.")] = "",
    track: Track = _FOLDER,
) -> None:
    """Register a snapshot as the next version of an agent's model."""
    data, secret = read_file(snapshot), read_file(key)
    model = register(open_tracking(track), data, secret, agent, alias=alias)
    named = f", {', '.join(model.aliases)}" if model.aliases else ""
    typer.echo(f"registered: {agent} version {model.version}{named} ({model.snapshot})")
    typer.echo(
        f"serve it with: nextbest serve --model-registry sqlite:///{track / DATABASE}"
        f" --model-alias {alias or CHAMPION}"
    )


@app.command("list")
def list_command(
    agent: Annotated[str | None, typer.Option(help="Only this agent's.")] = None,
    track: Track = _FOLDER,
    as_json: AsJson = False,
) -> None:
    """List the registered models, the newest of each agent first."""
    models = list_models(_existing(track), agent)
    if as_json:
        typer.echo(orjson.dumps([asdict(model) for model in models]).decode())
        return
    Console(markup=False, highlight=False).print(_table(models))


@app.command("show")
def show_command(
    agent: Agent,
    version: Version = None,
    alias: Annotated[str, typer.Option(help="Which one, if no version is named.")] = CHAMPION,
    track: Track = _FOLDER,
    as_json: AsJson = False,
) -> None:
    """Show one registered model: what it is, its digest, and the run that holds it."""
    model = find_model(_existing(track), agent, version=version, alias=alias)
    if as_json:
        typer.echo(orjson.dumps(asdict(model)).decode())
        return
    for name, value in asdict(model).items():
        text = (", ".join(value) or "none") if isinstance(value, tuple) else value
        typer.echo(f"{name:<9} {text}")


@app.command("promote")
def promote_command(
    agent: Agent,
    version: Annotated[
        int | None, typer.Option("--version", min=1, help="Which; the challenger if left out.")
    ] = None,
    alias: Annotated[str, typer.Option(help="What it becomes.")] = CHAMPION,
    track: Track = _FOLDER,
) -> None:
    """Make the challenger, or the version that is named, the champion."""
    model, before = promote(_existing(track), agent, version=version, alias=alias)
    typer.echo(f"{agent} version {model.version} is now the {alias}")
    if before is not None:
        typer.echo(
            f"it was version {before.version}; back with: nextbest models promote --agent {agent}"
            f" --version {before.version} --alias {alias} --track {track}"
        )
    typer.echo(f"a running server takes it over on: POST /v1/agents/{agent}/model")


def read_file(path: Path) -> bytes:
    """Read a snapshot or a key.

    Raises:
        SnapshotError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise SnapshotError(f"{path} cannot be read: {error.strerror}") from error


def _table(models: Sequence[Model]) -> Table:
    table = Table(title="Registered models", title_justify="left", box=box.SIMPLE_HEAD)
    table.pad_edge = False
    for name in ("agent", "version", "aliases", "learner", "lessons", "snapshot"):
        right = name in ("version", "lessons")
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for model in models:
        table.add_row(
            model.agent, str(model.version), ", ".join(model.aliases), model.policy,
            f"{model.lessons:,}", model.snapshot,
        )  # fmt: skip
    return table


def _existing(track: Path) -> MlflowClient:
    """Open a store that is there; who only looks makes none."""
    if not (track / DATABASE).is_file():
        raise StateError(
            f"--track: expected a folder with {DATABASE}, got {track}, where no model is"
            f" registered; {HOW_TO_REGISTER}"
        )
    return open_tracking(track)
