"""The commands around the server: serve, ask for one decision, export the log."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

from agents.errors import ContextError
from agents.units import parse_instant
from policies.explaining.explain import explain
from serving.ask import Question, ask_here, ask_there, bids_table
from serving.keeping.export import export_log
from serving.learning.history import warm_start_agent
from serving.ledger import open_ledger
from serving.life import submit
from serving.running import operations
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
from serving.security import commands as security_commands
from serving.settings import AuthKind, ClockKind, Engine, Settings

app = typer.Typer()
app.add_typer(security_commands.keys, name="keys")
app.command()(security_commands.audit)
app.registered_commands += operations.app.registered_commands + submit.app.registered_commands

Workspace = Annotated[Path, typer.Argument(help="Folder with workspace.yaml and agents/*.yaml.")]


@app.command()
def serve(
    workspaces: Annotated[
        list[Path] | None,
        typer.Argument(help="Folders with workspace.yaml and agents/*.yaml; 'workspace' if none."),
    ] = None,
    data: Data = Path("runs/server"),
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
    clock: Annotated[
        ClockKind, typer.Option(help="'driven' lets requests carry the time, to simulate.")
    ] = "machine",
    snapshot_every: Annotated[
        float, typer.Option(min=0.1, help="Least seconds between two snapshots of an agent.")
    ] = 10.0,
    engine: Annotated[
        Engine, typer.Option(help="'uvicorn' runs one plain process, without Ray.")
    ] = "ray",
    replicas: Annotated[
        int, typer.Option(min=1, help="Processes that decide; more than one needs PostgreSQL.")
    ] = 1,
    max_replicas: MaxReplicas = 0,
    max_waiting: MaxWaiting = 16,
    body_timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds within which a request must be there whole.")
    ] = 10.0,
    auth: Annotated[
        AuthKind, typer.Option(help="'keys' asks each caller for an API key; 'none' on loopback.")
    ] = "none",
    ledger: LedgerUrl = "",
    export_every: ExportEvery = 0.0,
    export_to: ExportTo = None,
    log: Log = "text",
    log_to: LogTo = None,
    model_registry: ModelRegistry = "",
    model_alias: ModelAlias = "champion",
    model_key: ModelKey = None,
) -> None:
    """Serve decisions over HTTP on Ray Serve, learning as outcomes arrive, until Ctrl-C."""
    from serving.running.server import serve_until_stopped

    first, *more = workspaces or [Path("workspace")]
    settings = Settings(
        first, data, more=tuple(more), ledger_url=ledger,
        host=host, port=port, auth=auth, clock=clock, engine=engine, log=log, log_to=log_to,
        replicas=replicas, max_replicas=max_replicas, max_waiting=max_waiting,
        snapshot_every_s=snapshot_every, body_timeout_s=body_timeout,
        export_every_s=export_every, export_to=export_to,
        model_registry=model_registry, model_alias=model_alias, model_key=model_key,
    )  # fmt: skip
    serve_until_stopped(settings, typer.echo)


@app.command()
def decide(
    customer: Annotated[str, typer.Argument(help="The customer's id.")],
    features: Annotated[
        str, typer.Option(help="The customer's features: JSON, or the name of a JSON file.")
    ],
    agent: Annotated[
        str | None, typer.Option(help="Which agent decides; 'retention' if left out.")
    ] = None,
    agents: Annotated[
        str | None,
        typer.Option(help="Instead: several, as 'sales,care', of which arbitration chooses one."),
    ] = None,
    workspace: Annotated[
        Path, typer.Option(help="Decide here, untaught, by this workspace.")
    ] = Path("workspace"),
    url: Annotated[str | None, typer.Option(help="Ask this server instead.")] = None,
    at: Annotated[
        str | None, typer.Option(help="The moment, as 2026-03-01T12:00:00Z; now if left out.")
    ] = None,
    placement: Annotated[
        str, typer.Option(help="The slot to be filled, of a channel that has placements.")
    ] = "",
    channels: Annotated[
        str, typer.Option(help="The only channels that may be used, as 'email,push'; all if empty.")
    ] = "",
    data: Annotated[
        Path | None, typer.Option(help="Decide here with what the server of this folder learned.")
    ] = None,
    why: Annotated[
        bool, typer.Option("--explain", help="Also tell what spoke for it and what would change.")
    ] = False,
) -> None:
    """Make one decision and show why: each action's probability, or what barred it."""
    if url is not None and data is not None:
        raise ContextError("expected --data without --url: it decides here")
    moment = None if at is None else _instant(at)
    asked = _asked(agent, agents)
    only = tuple(name.strip() for name in channels.split(",") if name.strip())
    question = Question(asked, customer, _read_features(features), moment, placement, only)
    if url is None:
        record = ask_here(workspace, question, data=data, why=why)
    else:
        record = ask_there(url, question, why=why)
    console = Console(highlight=False)
    if record["arbitration"] is not None:
        console.print(bids_table(record["arbitration"]))
    console.print(explain(record, record.get("insight")))


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="Folder to write the log to.")],
    data: Data = Path("runs/server"),
    at: Annotated[
        str | None, typer.Option(help="The log's time, for simulations; now if left out.")
    ] = None,
    ledger: LedgerUrl = "",
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
            Settings(Path(), data, ledger_url=ledger),
            folder,
            now=now,
            progress=lambda done: progress.update(task, completed=done),
        )
    typer.echo(f"wrote {count} decisions to {folder / 'decisions.parquet'}")


@app.command()
def scrub(data: Data = Path("runs/server"), ledger: LedgerUrl = "") -> None:
    """Overwrite on disk what was removed from the ledger, all of it; stop the server before."""
    with closing(open_ledger(Settings(Path(), data, ledger_url=ledger))) as opened:
        opened.scrub(whole=True)
    typer.echo("nothing of what was removed is left in the ledger's files")


@app.command(name="warm-start")
def warm_start(
    workspace: Workspace,
    log: Annotated[Path, typer.Argument(help="Folder of a log that nextbest export has written.")],
    agent: Annotated[str, typer.Option(help="Whose learner, and whose decisions in the log.")],
    data: Data = Path("runs/server"),
) -> None:
    """Let an agent's learner begin with what a logged history teaches, before it is served."""
    manifest = warm_start_agent(workspace, log, agent, data)
    typer.echo(
        f"{agent}: {manifest.policy} has learned {manifest.lessons:,} lessons;"
        f" nextbest serve --data {data} begins with them"
    )


def _asked(agent: str | None, agents: str | None) -> tuple[str, ...]:
    if agents is None:
        return (agent or "retention",)
    names = tuple(name.strip() for name in agents.split(","))
    if agent is not None or len(set(names)) < len(names):
        raise ContextError("expected --agent NAME, or --agents with each name once: 'sales,care'")
    return names


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
