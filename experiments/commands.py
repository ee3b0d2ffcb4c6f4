"""The command that values policies from a log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from agents.checker import check_log
from agents.errors import LogError
from agents.load import LoadedWorkspace, load_workspace
from experiments.agreeing import agreement_lines
from experiments.asking import BY_NAME, Asker, Rows
from experiments.closing import closing_table
from experiments.comparing import compare_command
from experiments.demo import Demo, run_demo
from experiments.estimators import ESTIMATORS
from experiments.evaluate import DEFAULT_ESTIMATORS, Evaluation
from experiments.lift import lift
from experiments.logs import fingerprint, read_log, read_table
from experiments.metrics import compare_metrics
from experiments.report import (
    audit_lines,
    diagnostics_table,
    groups_table,
    lift_table,
    lift_warnings,
    metrics_table,
    metrics_warnings,
    value_table,
)
from experiments.revisions import read_revisions
from experiments.tracking import DATABASE, open_tracking, record

app = typer.Typer()
app.command(name="compare")(compare_command)

_DEMO_COLUMNS = (
    TextColumn("{task.description}"),
    BarColumn(),
    MofNCompleteColumn(),
    TimeRemainingColumn(),
)

_POLICIES: list[str] = ["uniform"]
_ESTIMATORS = list(DEFAULT_ESTIMATORS)
_SHOWN = 20
_TAUGHT = (
    "a snapshot has learned from treatment, so it looks too good there; --group random values it"
    " on decisions that it has not seen"
)


@app.command(name="evaluate")
def evaluate_command(
    log: Annotated[Path, typer.Argument(help="Parquet file of the log, or a folder of them.")],
    policy: Annotated[
        list[str], typer.Option(help="uniform, none, logged, or a snapshot file; repeatable.")
    ] = _POLICIES,
    group: Annotated[Rows, typer.Option(help="Whose decisions are used.")] = Rows.ALL,
    estimator: Annotated[
        list[str], typer.Option(help=f"Any of {', '.join(ESTIMATORS)}; repeatable.")
    ] = _ESTIMATORS,
    agent: Annotated[str | None, typer.Option(help="Whose log, if it has several agents.")] = None,
    key: Annotated[
        Path | None, typer.Option(help="Key file that snapshots are signed with.")
    ] = None,
    level: Annotated[float, typer.Option(help="Nominal coverage of the intervals.")] = 0.95,
    workspace: Annotated[
        Path | None, typer.Option(help="Re-check every decision against this folder's YAML.")
    ] = None,
    track: Annotated[
        Path | None, typer.Option(help="Folder in which to record MLflow runs.")
    ] = None,
) -> None:
    """Value policies from a decision log alone, and compare the groups it holds.

    Prints the value of each policy with an interval, how far it can be
    believed, and what the groups of customers earned.
    """
    # Names in logs, files and YAML may hold brackets: they are shown, never read as markup.
    console = Console(markup=False, highlight=False)
    in_force = load_workspace(workspace) if workspace is not None else None
    with console.status("reading the log"):
        decisions = read_log(log, agent=agent)
        rows = decisions.in_groups(*group.groups)
        revisions = read_revisions(log)
    if not len(rows):
        raise LogError(
            f"expected closed decisions of group {group.value!r}, got none; the log has"
            f" {len(decisions):,} closed ones, and {decisions.open_rows:,} decisions are open,"
            " because an outcome could still arrive"
        )
    asker = Asker(decisions, rows, revisions, tuple(dict.fromkeys(estimator)), level, key)
    with console.status("estimating"):
        evaluations = [asker.ask(name) for name in dict.fromkeys(policy)]
    _print_values(console, evaluations, asker.currency, decisions.open_rows)
    if decisions.given_back_rows:
        console.print(f"{decisions.given_back_rows:,} left out: their contacts were not made")
    if group is not Rows.RANDOM and not BY_NAME.keys() >= set(policy):
        console.print(f"warning: {_TAUGHT}", style="yellow")
    for line in agreement_lines(log, decisions, revisions):
        console.print(line)
    _print_lift(console, asker)
    if track is not None:
        _track(evaluations, track, fingerprint(log))
    if workspace is not None and in_force is not None:
        _recheck(console, log, workspace, in_force)


def _print_values(
    console: Console, evaluations: Sequence[Evaluation], currency: str, open_rows: int
) -> None:
    console.print(value_table(evaluations, currency))
    console.print(diagnostics_table(evaluations))
    console.print(audit_lines(evaluations[0].diagnostics.audit))
    if open_rows:
        console.print(f"{open_rows:,} open decisions left out: an outcome could still arrive")
    for evaluation in evaluations:
        for warning in evaluation.warnings:
            console.print(f"warning: {evaluation.target}: {warning}", style="yellow")


def _print_lift(console: Console, asker: Asker) -> None:
    found = lift(asker.log, holdout=asker.holdout, level=asker.level)
    console.print()
    console.print(groups_table(found, asker.currency))
    if len(found.groups) > 1:
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


def _recheck(console: Console, log: Path, folder: Path, workspace: LoadedWorkspace) -> None:
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


def _track(evaluations: Sequence[Evaluation], folder: Path, digest: str) -> None:
    client = open_tracking(folder)
    for evaluation in evaluations:
        record(client, evaluation, fingerprint=digest)
    store = folder / DATABASE
    typer.echo(f"recorded in {store}; see it with:")
    typer.echo(f"  mlflow ui --backend-store-uri sqlite:///{store}")


@app.command()
def demo(
    folder: Annotated[Path, typer.Option(help="Where everything is kept.")] = Path("runs/demo"),
    customers: Annotated[int, typer.Option(min=100, help="Simulated customers.")] = 4_000,
    rounds: Annotated[int, typer.Option(min=1, help="Weeks, one decision each.")] = 6,
    seed: Annotated[int, typer.Option(min=0, help="Another market of the same kind.")] = 1,
    concurrency: Annotated[int, typer.Option(min=1, help="Requests at a time.")] = 8,
    replace: Annotated[bool, typer.Option(help="Remove an earlier run in the folder.")] = False,
) -> None:
    """Watch it work: serve, simulate customers over HTTP, learn, re-check, evaluate."""
    console = Console(highlight=False)
    plan = Demo(folder, customers, rounds, seed, concurrency)
    if replace:
        plan.remove()
    with Progress(*_DEMO_COLUMNS, console=console, transient=True) as bar:
        task = bar.add_task("decisions", total=customers * rounds)
        closing = run_demo(plan, console.print, lambda done: bar.update(task, completed=done))
    console.print(closing_table(closing))
    typer.echo(f"the decision log: {plan.log / 'decisions.parquet'}")
