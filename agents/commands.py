"""The commands that need only the vocabulary: write an example, compare two, write schemas."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from agents.catalog import write_example, write_schemas
from agents.changes.diff import Change, diff
from agents.changes.impact import Impact, impact, read_customers
from agents.load import load_workspace
from agents.units import parse_instant

app = typer.Typer()


@app.command()
def init(
    workspace: Annotated[Path, typer.Argument(help="Folder to write; new or empty.")] = Path(
        "workspace"
    ),
    example: Annotated[str, typer.Option(help="Which example to start from.")] = "telecom",
) -> None:
    """Write an example workspace: YAML that you can read, change and serve."""
    for path in write_example(example, workspace):
        typer.echo(f"wrote {path}")
    typer.echo(f"next: nextbest check {quote(str(workspace))}")


@app.command()
def schema(
    folder: Annotated[Path, typer.Argument(help="Folder to write workspace.json and agent.json.")],
) -> None:
    """Write the JSON Schema of both kinds of file, for editors."""
    for path in write_schemas(folder):
        typer.echo(f"wrote {path}")


@app.command("diff")
def show_diff(
    old: Annotated[Path, typer.Argument(help="Workspace folder before.")],
    new: Annotated[Path, typer.Argument(help="Workspace folder after.")],
    customers: Annotated[
        Path | None,
        typer.Option(help="Parquet file: a column 'customer' and fields of the customer schema."),
    ] = None,
    at: Annotated[
        str | None, typer.Option(help="Instant to count at, such as 2026-03-01T12:00:00Z; or now.")
    ] = None,
) -> None:
    """Say in words what a change of a workspace does, and whom it reaches."""
    before, after = load_workspace(old), load_workspace(new)
    _print_changes(diff(before, after))
    if customers is not None:
        table = read_customers(customers)
        instant = datetime.now(UTC) if at is None else parse_instant(at)
        _print_impact(impact(before, after, table, instant), table.num_rows)


def _print_changes(changes: list[Change]) -> None:
    where = ""
    for change in changes:
        if change.where != where:
            where = change.where
            typer.echo(where)
        typer.echo(f"  {change.words}")
    if not changes:
        typer.echo("no difference")


def _print_impact(counts: list[Impact], total: int) -> None:
    if not counts:
        typer.echo(f"none of {total:,} customers gains or loses an action")
        return
    table = Table(title=f"Of {total:,} customers, not contacted yet")
    table.add_column("agent")
    table.add_column("action", overflow="fold")
    table.add_column("gain it", justify="right")
    table.add_column("lose it", justify="right")
    for count in counts:
        table.add_row(count.agent, count.action, f"{count.gained:,}", f"{count.lost:,}")
    Console().print(table)
