"""The commands that bring logs of other systems in, look at them, and write DSJSON."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console

from agents.errors import LogError
from experiments.logs.dsjson_export import export_dsjson
from experiments.logs.importers.base import (
    Piece,
)
from experiments.logs.importers.columns import read_columns
from experiments.logs.importers.dsjson import DsjsonLog
from experiments.logs.importers.loops import find_loop
from experiments.logs.importers.open_bandit import Bandit, bandit_actions, read_open_bandit
from experiments.logs.importers.plain import PlainLog
from experiments.logs.inspecting import inspect_log
from experiments.logs.plan import Plan
from experiments.logs.quality import Quality, quality_table, summary_lines

app = typer.Typer(
    no_args_is_help=True, help="Bring decision logs of other systems in, checked row by row."
)

_LEAST_KEY = 16  # bytes; with fewer, names could be guessed from their hashes

Teach = Callable[[Path, Path, str, Path], int]
"""Teaches a loop of a workspace a log, for a server's data folder; returns the number of lessons.

The command line hands it in: what a server keeps is not this room's to know."""

Files = Annotated[list[Path], typer.Argument(help="Files to read, oldest first.")]
To = Annotated[Path | None, typer.Option(help="Folder that the log is written to.")]
Agent = Annotated[str, typer.Option(help="Name of the agent in the log.")]
Check = Annotated[bool, typer.Option("--check", help="Only look, and write nothing.")]
Force = Annotated[
    bool, typer.Option("--force", help="Write it despite errors; evaluate still refuses it.")
]
Replace = Annotated[bool, typer.Option("--replace", help="Replace a log that is there.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command(name="obd")
def obd_command(
    files: Files,
    to: To = None,
    agent: Agent = "open-bandit",
    items: Annotated[
        Path | None, typer.Option(help="The items' CSV; item_context.csv beside each file.")
    ] = None,
    check: Check = False,
    force: Force = False,
    replace: Replace = False,
    as_json: AsJson = False,
) -> None:
    """Import impressions of the Open Bandit Dataset."""
    sources = [Bandit(file, items, agent) for file in _distinct(files)]
    actions = {name: each for source in sources for name, each in bandit_actions(source).items()}
    plan = Plan(
        lambda: _bandits(sources), False, lambda: actions, dict, _target(to, check=check), force,
        replace,
    )  # fmt: skip
    _report(plan, as_json=as_json)


@app.command(name="dsjson")
def dsjson_command(
    context: typer.Context,
    files: Files,
    to: To = None,
    agent: Annotated[str, typer.Option(help="Name in the log; a loop's with --workspace.")] = (
        "dsjson"
    ),
    workspace: Annotated[
        Path | None, typer.Option(help="Folder whose loop --agent the decisions are to belong to.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Data folder of a server: the loop's learner begins with the log."),
    ] = None,
    check: Check = False,
    force: Force = False,
    replace: Replace = False,
    as_json: AsJson = False,
) -> None:
    """Import DSJSON, as Azure Personalizer and Vowpal Wabbit log it.

    With --workspace the decisions belong to its loop --agent, and with --data
    that loop's learner is taught them before it is served.
    """
    if data is not None and (workspace is None or check or force):
        raise LogError("--data: expected --workspace too, and neither --check nor --force")
    loop = None if workspace is None else find_loop(workspace, agent)
    log = DsjsonLog(_distinct(files), agent, loop)
    with contextlib.ExitStack() as stack:
        aside = to is None and data is not None
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) if aside else to
        plan = Plan(
            log.pieces, True, dict, log.counts.to_record, _target(folder, check=check), force,
            replace, revision=None if loop is None else loop.revision,
        )  # fmt: skip
        _report(plan, as_json=as_json, aside=aside)
        if folder is not None and workspace is not None and data is not None:
            teach: Teach = context.obj
            lessons = teach(workspace, folder, agent, data)
            typer.echo(
                f"{agent}: {log.counts}; {lessons:,} lessons learned;"
                f" nextbest serve --data {data} begins with them",
                err=as_json,
            )


@app.command(name="table")
def table_command(
    files: Files,
    columns: Annotated[Path, typer.Option(help="YAML that says which column is what.")],
    to: To = None,
    agent: Agent = "imported",
    key: Annotated[
        Path | None,
        typer.Option(help="Key file that customers are hashed with; a fresh key if left out."),
    ] = None,
    check: Check = False,
    force: Force = False,
    replace: Replace = False,
    as_json: AsJson = False,
) -> None:
    """Import any table: CSV, Parquet or Arrow, and a YAML of its columns."""
    mapping = read_columns(columns)
    secret = {} if key is None else {"key": _read_key(key)}
    log = PlainLog(_distinct(files), mapping, agent, **secret)
    plan = Plan(
        log.pieces, mapping.whole, dict, dict, _target(to, check=check), force, replace
    )  # fmt: skip
    _report(plan, as_json=as_json)


def quality_command(
    log: Annotated[Path, typer.Argument(help="Parquet file of the log, or a folder of them.")],
    as_json: AsJson = False,
) -> None:
    """Look at a decision log before it is believed: what it holds, and every row that is wrong."""
    quality = inspect_log(log)
    _print(quality, {}, as_json=as_json)
    if quality.refused:
        raise typer.Exit(1)


def export_dsjson_command(
    log: Annotated[Path, typer.Argument(help="Parquet file of the log, or a folder of them.")],
    to: Annotated[Path, typer.Option(help="File to write.")],
    replace: Replace = False,
) -> None:
    """Write a decision log as DSJSON, for Vowpal Wabbit and its tools."""
    if to.exists() and not replace:
        raise LogError(f"{to} is there already; add --replace, or name another file")
    done = export_dsjson(log, to)
    typer.echo(f"{done.lines:,} events of {done.rows:,} decisions written to {to}")
    if done.still_open:
        typer.echo(f"{done.still_open:,} open decisions left out: an outcome could still arrive")
    if done.barred:
        typer.echo(f"{done.barred:,} left out: every action of the request was barred")


def _bandits(sources: list[Bandit]) -> Iterator[Piece]:
    position = 0
    for source in sources:
        for piece in read_open_bandit(source, start=position):
            position += len(piece.rows)
            yield piece


def _target(to: Path | None, *, check: bool) -> Path | None:
    if to is None and not check:
        raise LogError("expected --to FOLDER for the log, or --check to look only; got neither")
    return None if check else to


def _distinct(files: list[Path]) -> list[Path]:
    """Return the files; each row shall count once."""
    seen: set[Path] = set()
    for file in files:
        if file.absolute() in seen:
            raise LogError(f"{file} is named twice: each of its rows would count twice")
        seen.add(file.absolute())
    return files


def _read_key(file: Path) -> bytes:
    try:
        key = file.read_bytes()
    except OSError as error:
        raise LogError(f"--key: {file} cannot be read: {error.strerror}") from None
    if len(key) < _LEAST_KEY:
        raise LogError(f"--key: expected at least {_LEAST_KEY} bytes in {file}, got {len(key)}")
    return key


def _report(plan: Plan, *, as_json: bool, aside: bool = False) -> None:
    found = plan.run()
    _print(found.quality, plan.counts(), as_json=as_json)
    if found.written and not (as_json or aside):
        typer.echo(f"written to {plan.to}; value policies with: nextbest evaluate {plan.to}")
    if found.quality.refused and not found.written:
        if plan.to is not None:
            typer.echo(
                "not written: mend the source, or add --force to write it as it is", err=True
            )
        raise typer.Exit(1)


def _print(quality: Quality, counts: Mapping[str, int], *, as_json: bool) -> None:
    if as_json:
        found = {"quality": quality.to_record(), "counts": dict(counts)}
        typer.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())
        return
    console = Console(markup=False, highlight=False)
    if counts:
        console.print("lines: " + ", ".join(f"{k} {v:,}" for k, v in counts.items()))
    for line in summary_lines(quality):
        console.print(line)
    if quality.findings:
        console.print(quality_table(quality))
    else:
        console.print("nothing is wrong with it")
