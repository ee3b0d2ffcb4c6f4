"""The same question of a log that is read in pieces."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import typer
from rich.console import Console

from agents.errors import LogError
from agents.revision import Revision
from experiments.asking.asker import Answer
from experiments.asking.cautions import cautions
from experiments.asking.options import LARGE, Options
from experiments.asking.printing import left_out, print_found, print_groups
from experiments.asking.records import found_record
from experiments.evaluate import declared_range
from experiments.evaluating import none_closed
from experiments.html.records import to_json
from experiments.logs import fingerprint
from experiments.logs.columns import bools, closed_rows, instants, texts
from experiments.logs.supplied import SUPPLIED, read_record
from experiments.revisions import currency_of, hidden_features, read_revisions
from experiments.streaming import Also, evaluate_stream, groups_stream
from experiments.streaming.source import batches, pieces_of, rows_of
from experiments.streaming.stream import ROWS
from experiments.targets.asked import Source, Target, may_learn, read_target
from experiments.trust import NOT_SUPPORTED

_DATED = ("at", "agent", "revision", "closed_at", "state", "given_back")

SUPPLIED_PARTS = (
    "--parts: expected a log of declared offers and channels, got one of actions that came with"
    " each request; leave it out"
)

_DRAWS = "draws every decision's weight, which a stream forgets; take --json, which has all figures"
_WHOLE = {
    "--progressive": "learns from decision to decision in the order of time, which files need not"
    " have; value a snapshot that nextbest train taught",
    "--workspace": "checks all decisions at once; name one file of the log at a time",
    "--track": _DRAWS,
    "--html": _DRAWS,
    "--estimator mrdr": "fits a model for each policy, by weights beside the mean of all of them;"
    " take dr or snips",
    "--logger": "finds out who wrote the decisions from all of them before any is weighed; name a"
    " part of the log",
}
"""What a stream cannot do, why, and what to do instead."""


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
        f"{rows:,} rows are more than {LARGE:,}: read in pieces; --no-stream reads the log whole"
    )
    return True


def streamed(console: Console, options: Options) -> None:
    """Value policies piece by piece, and print what is found.

    Raises:
        LogError: something is asked for that needs every decision at once.
        typer.Exit: with 3 if an answer is not supported.
    """
    if options.whole:
        raise LogError(f"--stream: {options.whole} {_WHOLE[options.whole]}, or --no-stream")
    interval = options.found_interval  # a wrong name is an error before anything is read
    revisions = read_revisions(options.log)
    newest = newest_revision(options.log, revisions, options.agent, options.group.groups)
    source = Source(revisions, newest, options.key)
    targets = [read_target(each, source) for each in options.policies]
    for target in targets:
        _check(target, newest)
    if options.parts and _supplied(options.log):
        raise LogError(SUPPLIED_PARTS)
    with console.status("estimating"):
        found = evaluate_stream(
            options.log,
            {target.name: target.probabilities for target in targets},
            estimators=options.estimators, interval=interval, level=options.level,
            reward_range=declared_range(newest) if newest else None,
            exclude=hidden_features(newest) if newest else frozenset(),
            agent=options.agent, groups=options.group.groups, forced=options.force,
            also=Also(True, tuple(options.by), options.parts, newest),
        )  # fmt: skip
    answer = Answer(found.evaluations, found.differences, found.segments, found.parts)
    if options.json:
        typer.echo(to_json(_record(answer, found.rows, options, newest, targets)).decode())
    else:
        notes = left_out(found.open_rows, found.given_back_rows)
        print_found(console, answer, currency_of(newest), notes)
        for line in cautions(options, targets):
            console.print(f"warning: {line}", style="yellow")
        with console.status("comparing the groups"):
            groups = groups_stream(
                options.log, revisions, newest=newest, agent=options.agent, level=options.level
            )
        print_groups(console, groups.lift, groups.metrics, currency_of(newest))
    if not (answer.supported or options.force):
        raise typer.Exit(NOT_SUPPORTED)


def _supplied(log: Path) -> bool:
    """Whether actions came with the requests of a log, as far as its first decision tells."""
    for piece in pieces_of(log)[:1]:
        first = next(batches(piece, ROWS, ("at",)))
        return SUPPLIED in read_record(first.texts()[0].as_py())
    return False


def newest_revision(
    log: Path, revisions: Mapping[str, Revision], agent: str | None, groups: Collection[str]
) -> Revision | None:
    """Return the revision of the last closed decision, if it is known; it reads few columns only.

    Raises:
        LogError: the path holds no log, a column is missing or of another type, or all decisions
            are open, of the groups asked for and any other.
    """
    latest, name, closed, still_open = np.datetime64(0, "us"), "", 0, 0
    for piece in pieces_of(log):
        for batch in batches(piece, ROWS, _DATED):
            table = batch.table
            made, counts = bools(table["given_back"].is_null()), closed_rows(table)  # (n,)
            if agent is not None:
                made &= texts(table, "agent").astype(np.str_) == agent
            still_open += int(np.count_nonzero(made & ~counts))
            counts &= made
            closed += int(np.count_nonzero(counts))
            at = np.where(counts, instants(table, "at"), np.datetime64(0, "us"))  # (n,)
            last = int(at.argmax()) if len(at) else 0
            if len(at) and at[last] > latest:
                latest, name = at[last], str(texts(table, "revision")[last])
    if still_open and not closed:
        raise LogError(none_closed(groups, still_open))
    return revisions.get(name)


def _check(target: Target, newest: Revision | None) -> None:
    if target.learns:
        raise LogError(
            f"--stream: {target.name} learns from the log, in the order of time, which"
            " needs all of it; value a snapshot that nextbest train taught, or --no-stream"
        )
    if target.speaks and newest is None:
        raise LogError(
            f"--stream: {target.name}: expected the agent's revisions beside the log, as"
            " revisions/ID.json, got none; they say which fields expressions may speak of where a"
            " log is read in pieces; put them there, or take --no-stream"
        )


def _record(
    answer: Answer,
    rows: int,
    options: Options,
    newest: Revision | None,
    targets: Sequence[Target],
) -> dict[str, Any]:
    interval = options.found_interval
    return {
        "log_sha256": fingerprint(options.log), "command": options.command,
        "currency": currency_of(newest), "decisions": rows, "level": options.level,
        "interval": {"name": interval.name, "assumption": interval.assumption},
        **found_record(answer),
        "warnings": list(cautions(options, targets)),
    }  # fmt: skip
