"""What `nextbest evaluate` prints."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
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
from experiments.lift import Lift, lift
from experiments.lift.metrics import MetricResult, compare_metrics
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
    print_found(console, answer, asker.currency, _notes(answer, asker, options, targets))
    for line in cautions(options, targets):
        console.print(f"warning: {line}", style="yellow")
    for line in agreement_lines(options.log, asker.log, asker.revisions):
        console.print(line)


def print_found(console: Console, answer: Answer, currency: str, notes: Iterable[str]) -> None:
    """Print what was found, of a log in memory or of a streamed one.

    Args:
        console: to print to.
        answer: to be told.
        currency: three letters.
        notes: which decisions were used.
    """
    evaluations = answer.evaluations
    console.print(value_table(evaluations, currency))
    if answer.differences:
        console.print(differences_table(answer.differences, currency))
    for segments in answer.segments:
        console.print(segments_table(segments, currency))
    if answer.parts:
        console.print(parts_table(answer.parts, currency))
    console.print(diagnostics_table(evaluations))
    console.print(audit_lines(evaluations[0].diagnostics.audit))
    for line in notes:
        console.print(line)
    for line in verdict_lines(evaluations):
        console.print(line, style="yellow")


def left_out(open_rows: int, given_back_rows: int) -> list[str]:
    """Say which decisions of a log count for nothing."""
    found = []
    if open_rows:
        found.append(f"{open_rows:,} open decisions left out: an outcome could still arrive")
    if given_back_rows:
        found.append(f"{given_back_rows:,} left out: their contacts were not made")
    return found


def _notes(
    answer: Answer, asker: Asker, options: Options, targets: Sequence[Target]
) -> Sequence[str]:
    """Say which decisions were used, where that is not plain."""
    log, rows = asker.log, asker.rows
    found = left_out(log.open_rows, log.given_back_rows)
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
    newest = asker.newest
    metrics = compare_metrics(asker.log, newest.agent, level=asker.level) if newest else ()
    print_groups(console, found, metrics, asker.currency)


def print_groups(
    console: Console, found: Lift, metrics: Sequence[MetricResult], currency: str
) -> None:
    """Print what was found of the groups, of a log in memory or of a streamed one."""
    console.print()
    console.print(groups_table(found, currency))
    if found.told:
        console.print(lift_table(found, currency))
    warnings = lift_warnings(found)
    if metrics:
        console.print(metrics_table(metrics, found.level))
        warnings += metrics_warnings(metrics)
    if math.isnan(found.ratio_p):
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
