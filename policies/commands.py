"""The command that checks a workspace whole: documents, guardrails and learners."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from agents.load import load_workspace
from policies.registry import check_policy

app = typer.Typer()


@app.command()
def check(
    workspace: Annotated[
        Path, typer.Argument(help="Folder with workspace.yaml and agents/*.yaml.")
    ] = Path("workspace"),
) -> None:
    """Check a workspace: every error names file, line, column and the way out."""
    loaded = load_workspace(workspace)
    for name, revision in loaded.revisions.items():
        policy = check_policy(revision, loaded.sources[name])
        typer.echo(
            f"{name}: {len(revision.agent.offers)} offers, {len(revision.actions)} actions,"
            f" {len(revision.guardrails)} guardrails"
        )
        typer.echo(f"  learner {policy.name}, revision {revision.id}")
    typer.echo(f"{workspace} is in order; next: nextbest serve {quote(str(workspace))}")
