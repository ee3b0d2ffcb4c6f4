"""What `nextbest evaluate` prints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer
from rich.console import Console

from agents.checker import check_log
from agents.load import LoadedWorkspace
from experiments.asking.agreeing import agreement_lines
from experiments.asking.asker import Answer, Asker
from experiments.asking.cautions import cautions
from experiments.asking.options import Options
from experiments.asking.tables import differences_table, parts_table, segments_table
from experiments.estimators.replay import kept
from experiments.lift import lift
from experiments.lift.metrics import compare_metrics
from experiments.logs import read_table
from experiments.report import (
    audit_lines,
    diagnostics_table,
    groups_table,
    lift_table,
    lift_warnings,
    metrics_table,
    metrics_warnings,
    value_table,
    verdict_lines,
)
from experiments.targets.asked import Target
from experiments.weighing import Weighed

_SHOWN = 20


def print_answer(
    console: Console, answer: Answer, asker: Asker, options: Options, targets: Sequence[Target]
) -> None:
    """Print the values, what they rest on, and what they consist of."""
    evaluations = answer.evaluations
    console.print(value_table(evaluations, asker.currency))
    if answer.differences:
        console.print(differences_table(answer.differences, asker.currency))
    for segments in answer.segments:
        console.print(segments_table(segments, asker.currency))
    if answer.parts:
        console.print(parts_table(answer.parts, asker.currency))
    console.print(diagnostics_table(evaluations))
    console.print(audit_lines(evaluations[0].diagnostics.audit))
    for line in _notes(answer, asker, options, targets):
        console.print(line)
    for line in verdict_lines(evaluations):
        console.print(line, style="yellow")
    for line in cautions(options, targets):
        console.print(f"warning: {line}", style="yellow")
    for line in agreement_lines(options.log, asker.log, asker.revisions):
        console.print(line)


def _notes(
    answer: Answer, asker: Asker, options: Options, targets: Sequence[Target]
) -> Sequence[str]:
    """Say which decisions were used, where that is not plain."""
    found = []
    log, rows = asker.log, asker.rows
    if log.open_rows:
        found.append(f"{log.open_rows:,} open decisions left out: an outcome could still arrive")
    if log.given_back_rows:
        found.append(f"{log.given_back_rows:,} left out: their contacts were not made")
    if any(target.learns for target in targets):
        found.append(
            f"learners went on learning block by block; all policies are valued on the"
            f" {len(rows):,} decisions from {str(rows.at.min())[:19]} (UTC) on, what came before"
            " only taught"
        )
    if "replay" in options.estimators:
        found += [
            f"replay of {name}: {kept(Weighed(rows, target)):,.0f} of {len(rows):,} decisions kept"
            for name, target in (answer.targets or {}).items()
        ]
    return found


def print_lift(console: Console, asker: Asker) -> None:
    """Print what the groups earned, and how the outcomes that count moved."""
    found = lift(asker.log, holdout=asker.holdout, level=asker.level)
    console.print()
    console.print(groups_table(found, asker.currency))
    if found.told:
        console.print(lift_table(found, asker.currency))
    warnings = lift_warnings(found)
    newest = asker.newest
    metrics = compare_metrics(asker.log, newest.agent, level=asker.level) if newest else ()
    if metrics:
        console.print(metrics_table(metrics, asker.level))
        warnings += metrics_warnings(metrics)
    if asker.holdout is None:
        warnings.append(
            "the groups' sizes were not checked: the log's revisions are unknown, differ in their"
            " holdout, or have their groups managed elsewhere"
        )
    for warning in warnings:
        console.print(f"warning: {warning}", style="yellow")


def recheck(console: Console, log: Path, folder: Path, workspace: LoadedWorkspace) -> None:
    """Check every decision against YAML by code that shares nothing with the server.

    Raises:
        typer.Exit: with 1, if a decision breaks a rule.
    """
    table = read_table(log)
    with console.status("re-checking"):
        breaches = check_log(table, folder)
    console.print(f"guardrails re-checked: {len(breaches):,} breaches in {table.num_rows:,} rows")
    known = {name: revision.id for name, revision in workspace.revisions.items()}
    rows = list(zip(table["agent"].to_pylist(), table["revision"].to_pylist(), strict=True))
    strangers = sum(agent not in known for agent, _ in rows)
    others = sum(known.get(agent, revision) != revision for agent, revision in rows)
    for what in breaches.unchecked:
        console.print(f"not re-checked: {what}")
    if strangers:
        console.print(f"warning: {strangers:,} rows were not checked: {folder} lacks their agent")
    if others:
        console.print(f"warning: {others:,} rows were decided by other revisions than {folder}'s")
    for breach in breaches[:_SHOWN]:
        console.print(f"  {breach.decision_id}: {breach.guardrail}: {breach.detail}", style="red")
    if breaches:
        raise typer.Exit(1)
