"""The command that says what another guardrail would have done."""

from __future__ import annotations

import typer

from experiments.telling import AgentName, AsJson, Level, LogPath, tell, tell_json
from experiments.what_if import options as o
from experiments.what_if.asked import Answer, what_if
from experiments.what_if.options import Options
from experiments.what_if.reading import read_rows
from experiments.what_if.report import record, tables
from simulators.bars import progress_bar

NOT_SUPPORTED = 3


def what_if_command(
    log: LogPath,
    guardrail: o.Guardrails = o.WORDS,
    drop: o.Drops = o.WORDS,
    add: o.Adds = o.FILES,
    set_: o.Settings = o.WORDS,
    against: o.Against = None,
    workspace: o.InForce = None,
    agent: AgentName = None,
    by: o.By = "",
    snapshots: o.Snapshots = None,
    key: o.KeyFile = None,
    prices: o.Prices = True,
    precision: o.Precision = None,
    simulate: o.World = "",
    customers: o.Customers = 2_000,
    seed: o.Seed = 1,
    level: Level = 0.95,
    force: o.Force = False,
    as_json: AsJson = False,
) -> None:
    """See what another guardrail would have done, from the log of what was done.

    Counts are exact. A tighter rule has a value with an interval; a looser one
    has none, as nobody has seen what it would allow.
    """
    run(
        Options(
            log, tuple(guardrail), tuple(drop), tuple(add), tuple(set_), against, workspace, agent,
            by, snapshots, key, prices, precision, simulate, customers, seed, level, force, as_json,
        )
    )  # fmt: skip


def run(options: Options) -> None:
    """Ask and tell; the exit code says whether an answer was found.

    Raises:
        typer.Exit: with 3 if the value of a tighter rule is not supported.
    """
    answer = _asked(options)
    if options.json:
        tell_json(record(answer, force=options.force))
    else:
        tell(*tables(answer, force=options.force))
    if not answer.supported and not options.force:
        raise typer.Exit(NOT_SUPPORTED)


def _asked(options: Options) -> Answer:
    rows = read_rows(options.log, workspace=options.workspace, agent=options.agent)
    with progress_bar() as bar:
        task = bar.add_task("asking the rules again", total=2 * len(rows))
        return what_if(rows, options.change, options.question, lambda done: bar.advance(task, done))
