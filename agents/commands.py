"""The command that needs only the vocabulary: write an example workspace."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from agents.catalog import write_example

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
