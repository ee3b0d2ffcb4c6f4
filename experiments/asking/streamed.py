"""The same question of a log that is read in pieces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import typer
from rich.console import Console

from agents.errors import LogError
from agents.revision import Revision
from experiments.asking.cautions import cautions
from experiments.asking.options import LARGE, Options
from experiments.asking.records import evaluation_record
from experiments.evaluate import declared_range
from experiments.html.records import to_json
from experiments.logs import fingerprint
from experiments.logs.columns import bools, closed_rows, instants, texts
from experiments.report import audit_lines, diagnostics_table, value_table, verdict_lines
from experiments.revisions import currency_of, hidden_features, read_revisions
from experiments.streaming import Streamed, evaluate_stream
from experiments.streaming.source import batches, pieces_of, rows_of
from experiments.streaming.stream import ROWS
from experiments.targets.asked import Source, Target, may_learn, read_target

_DATED = ("at", "agent", "revision", "closed_at", "state", "given_back")

NOT_SUPPORTED = 3
"""Exit code if the data do not support an answer that was asked for, and it was not forced."""


def in_pieces(console: Console, options: Options) -> bool:
    """Whether the log is to be read in pieces; where that was not said, its size decides.

    A log above `LARGE` rows of which something is asked that needs it whole is read whole.
    """
    if options.stream is not None:
        return options.stream
    rows = rows_of(options.log)
    if rows <= LARGE or options.whole or any(map(may_learn, options.policies)):
        return False
    console.print(
        f"{rows:,} rows are more than {LARGE:,}: read in pieces, which tells no differences and no"
        " lift; --no-stream reads the log whole"
    )
    return True


def streamed(console: Console, options: Options) -> None:
    """Value policies piece by piece, and print what a stream can tell.

    Differences, segments, parts and the groups' comparison need every decision at once.

    Raises:
        LogError: something is asked for that a stream cannot tell.
        typer.Exit: with 3 if an answer is not supported.
    """
    if options.whole:
        raise LogError(
            f"--stream: {options.whole} needs the whole log at once; leave one of them out"
        )
    revisions = read_revisions(options.log)
    newest = newest_revision(options.log, revisions, options.agent)
    source = Source(revisions, newest, options.key)
    targets = [read_target(each, source) for each in options.policies]
    for target in targets:
        _check(target, newest)
    with console.status("estimating"):
        found = evaluate_stream(
            options.log,
            {target.name: target.probabilities for target in targets},
            estimators=options.estimators, interval=options.found_interval, level=options.level,
            reward_range=declared_range(newest) if newest else None,
            exclude=hidden_features(newest) if newest else frozenset(),
            agent=options.agent, groups=options.group.groups, forced=options.force,
        )  # fmt: skip
    supported = all(each.verdict.supported for each in found.evaluations)
    if options.json:
        typer.echo(to_json(_record(found, options, newest, targets)).decode())
    else:
        _print(console, found, newest)
        for line in cautions(options, targets):
            console.print(f"warning: {line}", style="yellow")
    if not (supported or options.force):
        raise typer.Exit(NOT_SUPPORTED)


def newest_revision(
    log: Path, revisions: Mapping[str, Revision], agent: str | None
) -> Revision | None:
    """Return the revision of the last closed decision, if it is known; it reads few columns only.

    Raises:
        LogError: the path holds no log, or a column is missing or of another type.
    """
    latest, name = np.datetime64(0, "us"), ""
    for piece in pieces_of(log):
        for batch in batches(piece, ROWS, _DATED):
            table = batch.table
            counts = closed_rows(table) & bools(table["given_back"].is_null())
            if agent is not None:
                counts &= texts(table, "agent").astype(np.str_) == agent
            at = np.where(counts, instants(table, "at"), np.datetime64(0, "us"))  # (n,)
            last = int(at.argmax()) if len(at) else 0
            if len(at) and at[last] > latest:
                latest, name = at[last], str(texts(table, "revision")[last])
    return revisions.get(name)


def _check(target: Target, newest: Revision | None) -> None:
    if target.learns:
        raise LogError(f"--stream: {target.name} learns from the log, which needs all of it")
    if target.speaks and newest is None:
        raise LogError(
            f"--stream: {target.name}: expected the agent's revisions beside the log, as"
            " revisions/ID.json, got none; they say which fields expressions may speak of"
        )


def _record(
    found: Streamed, options: Options, newest: Revision | None, targets: Sequence[Target]
) -> dict[str, Any]:
    interval = options.found_interval
    return {
        "log_sha256": fingerprint(options.log), "command": options.command,
        "currency": currency_of(newest), "decisions": found.rows, "level": options.level,
        "interval": {"name": interval.name, "assumption": interval.assumption},
        "supported": all(each.verdict.supported for each in found.evaluations),
        "warnings": list(cautions(options, targets)),
        "evaluations": [evaluation_record(each) for each in found.evaluations],
    }  # fmt: skip


def _print(console: Console, found: Streamed, newest: Revision | None) -> None:
    console.print(value_table(found.evaluations, currency_of(newest)))
    console.print(diagnostics_table(found.evaluations))
    console.print(audit_lines(found.evaluations[0].diagnostics.audit))
    if found.open_rows:
        console.print(f"{found.open_rows:,} open decisions left out: an outcome could still arrive")
    if found.given_back_rows:
        console.print(f"{found.given_back_rows:,} left out: their contacts were not made")
    for line in verdict_lines(found.evaluations):
        console.print(line, style="yellow")
