"""The command that checks a workspace whole: documents, guardrails and learners."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import Annotated

import numpy as np
import typer

from agents.advising.advice import advise
from agents.load import load_workspace
from agents.revision import Revision
from policies.floor import factored_shares, largest_weight
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
        rules = _count(len(revision.guardrails) + len(revision.rankings), "guardrail")
        typer.echo(f"{name}: {_offered(revision)}, {rules}")
        typer.echo(f"  learner {policy.name}{_role(revision)}, revision {revision.id}")
        typer.echo(f"  {_floor(revision)}")
    warnings = advise(loaded, datetime.now(UTC))
    for advice in warnings:
        typer.echo(f"warning: {advice}")
    state = f"can be served, with {_count(len(warnings), 'warning')}" if warnings else "is in order"
    typer.echo(f"{workspace} {state}; next: nextbest serve {quote(str(workspace))}")


def _offered(revision: Revision) -> str:
    """Say what an agent may do."""
    supplied = revision.agent.supplied
    if supplied is not None:
        return f"up to {_count(supplied.at_most, 'action')} with each request"
    offers = _count(len(revision.agent.offers), "offer")
    return f"{offers}, {_count(len(revision.actions), 'action')}"


def _role(revision: Revision) -> str:
    """Say what decides beside a learner that does not."""
    spec = revision.agent.policy
    if spec.incumbent is None:
        return ""
    name = spec.incumbent.learner
    return f", apprentice of {name}" if spec.mode == "apprentice" else f" at rest, {name} decides"


def _floor(revision: Revision) -> str:
    """Say how much an agent explores, and what that means for who values another policy."""
    spec = revision.agent.policy
    floor = spec.deciding_floor
    if not floor:
        return "floor 0: what it never draws cannot be valued from its log"
    supplied = revision.agent.supplied
    count = len(revision.actions) if supplied is None else supplied.at_most
    allowed = np.ones(count, dtype=np.bool_)  # (A,)
    over_offers = spec.floor_over == "offers" and supplied is None  # else both are the same
    shares = factored_shares(allowed, revision.factors) if over_offers else allowed / allowed.size
    most = largest_weight(shares, floor)
    said = f"floor {floor:g} over {spec.floor_over}: no weight above {most:,.0f}"
    if not over_offers:
        return said
    return f"{said}, of an offer {largest_weight(shares, floor, revision.factors[:, 0]):,.0f}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
