"""The commands around the server: serve, ask for one decision, export the log."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import httpx
import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

from agents.errors import ContextError, StateError, UnknownNameError, did_you_mean
from agents.load import load_workspace
from agents.units import parse_instant
from policies.decide import decide as decide_here
from policies.explain import explain
from policies.registry import create_policy
from serving.export import export_log
from serving.settings import ClockKind, Settings

app = typer.Typer()

Workspace = Annotated[Path, typer.Argument(help="Folder with workspace.yaml and agents/*.yaml.")]
Data = Annotated[Path, typer.Option(help="Folder of the ledger, the keys and the snapshots.")]


@app.command()
def serve(
    workspace: Workspace = Path("workspace"),
    data: Data = Path("runs/server"),
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
    clock: Annotated[
        ClockKind, typer.Option(help="'driven' lets requests carry the time, to simulate.")
    ] = "machine",
    snapshot_every: Annotated[
        float, typer.Option(min=0.1, help="Least seconds between two snapshots of an agent.")
    ] = 10.0,
) -> None:
    """Serve decisions over HTTP on Ray Serve, learning as outcomes arrive, until Ctrl-C."""
    from serving.server import serve_until_stopped

    settings = Settings(
        workspace, data, host=host, port=port, clock=clock, snapshot_every_s=snapshot_every
    )
    serve_until_stopped(settings, typer.echo)


@app.command()
def decide(
    customer: Annotated[str, typer.Argument(help="The customer's id.")],
    features: Annotated[
        str, typer.Option(help="The customer's features: JSON, or the name of a JSON file.")
    ],
    agent: Annotated[str, typer.Option(help="Which agent decides.")] = "retention",
    workspace: Annotated[
        Path, typer.Option(help="Decide here, untaught, by this workspace.")
    ] = Path("workspace"),
    url: Annotated[str | None, typer.Option(help="Ask this server instead.")] = None,
    at: Annotated[
        str | None, typer.Option(help="The moment, as 2026-03-01T12:00:00Z; now if left out.")
    ] = None,
) -> None:
    """Make one decision and show why: each action's probability, or what barred it."""
    values = _read_features(features)
    if url is None:
        record = _decide_here(workspace, agent, customer, values, at)
    else:
        record = _decide_there(url, agent, customer, values, at)
    Console(highlight=False).print(explain(record))


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="Folder to write the log to.")],
    data: Data = Path("runs/server"),
    at: Annotated[
        str | None, typer.Option(help="The log's time, for simulations; now if left out.")
    ] = None,
) -> None:
    """Write the decision log as Parquet, with the revisions that decided; the server may run."""
    now = datetime.now(UTC) if at is None else _instant(at)
    columns = SpinnerColumn(), TextColumn("{task.completed} decisions")
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task("export", total=None)
        count = export_log(
            Settings(Path(), data),
            folder,
            now=now,
            progress=lambda done: progress.update(task, completed=done),
        )
    typer.echo(f"wrote {count} decisions to {folder / 'decisions.parquet'}")


def _instant(text: str) -> datetime:
    try:
        return parse_instant(text)
    except ValueError as error:
        raise ContextError(f"--at: {error}") from None


def _read_features(text: str) -> dict[str, Any]:
    try:
        content = text if text.lstrip().startswith("{") else Path(text).read_text(encoding="utf-8")
        values = json.loads(content)
    except OSError as error:
        message = f"{text[:40]!r} cannot be read: {error.strerror}"
        raise ContextError(f"expected --features as JSON or a JSON file: {message}") from None
    except (ValueError, RecursionError) as error:
        raise ContextError(f"expected --features as JSON or a JSON file: {error}") from None
    if not isinstance(values, dict):
        raise ContextError(f"expected features as a JSON object, got {content[:40]!r}")
    return values


def _decide_here(
    workspace: Path, agent: str, customer: str, features: dict[str, Any], at: str | None
) -> dict[str, Any]:
    revisions = load_workspace(workspace).revisions
    if agent not in revisions:
        raise UnknownNameError(f"there is no agent {agent!r}; {did_you_mean(agent, revisions)}")
    revision = revisions[agent]
    moment = datetime.now(UTC) if at is None else _instant(at)
    context = revision.context(customer, moment, features)
    policy = create_policy(revision)
    decision = decide_here(revision, policy, context, decision_id=uuid4().hex, secret=uuid4().bytes)
    return decision.to_record() | {"action_id": decision.action_id}


def _decide_there(
    url: str, agent: str, customer: str, features: dict[str, Any], at: str | None
) -> dict[str, Any]:
    body = {"agent": agent, "customer": customer, "features": features}
    if at is not None:
        body["at"] = _instant(at).isoformat()
    try:
        with httpx.Client(base_url=url, timeout=10.0) as client:
            made = _answer(client.post("/v1/decisions", json=body))
            return _answer(client.get(f"/v1/decisions/{made['decision_id']}"))
    except httpx.HTTPError as error:
        raise StateError(f"no answer from {url}: {error}; is `nextbest serve` running?") from None


def _answer(response: httpx.Response) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = response.json()
        if response.is_error:
            raise ContextError(f"the server refused: {answer['detail']}")
    except (LookupError, TypeError, ValueError):
        raise StateError(
            f"expected an answer of nextbest from {response.url}, got status"
            f" {response.status_code}; is --url right, and the server ready?"
        ) from None
    return answer
