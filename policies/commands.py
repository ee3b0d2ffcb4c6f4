"""The command that checks a workspace whole: documents, guardrails and learners."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from agents.advising.advice import advise
from agents.load import load_workspace
from policies.registry import check_policy

app = typer.Typer()


@app.command()
def check(
    workspace: Annotated[
        Path, typer.Argument(help="Folder with workspace.yaml and agents/*.yaml.")
    ] = Path("workspace"),
) -> None:
    """Check a workspace: every error names file, line, column and the way out.

    What is allowed and yet surely not meant is a warning.
    """
    loaded = load_workspace(workspace)
    for name, revision in loaded.revisions.items():
        policy = check_policy(revision, loaded.sources[name])
        typer.echo(
            f"{name}: {_count(len(revision.agent.offers), 'offer')},"
            f" {_count(len(revision.actions), 'action')},"
            f" {_count(len(revision.guardrails) + len(revision.rankings), 'guardrail')}"
        )
        typer.echo(f"  learner {policy.name}, revision {revision.id}")
    warnings = advise(loaded, datetime.now(UTC))
    for advice in warnings:
        typer.echo(f"warning: {advice}")
    state = f"can be served, with {_count(len(warnings), 'warning')}" if warnings else "is in order"
    typer.echo(f"{workspace} {state}; next: nextbest serve {quote(str(workspace))}")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
