"""The command that says what another guardrail would have done."""

from __future__ import annotations

import typer

from experiments.telling import AgentName, AsJson, Level, LogPath, tell, tell_json
from experiments.tracking import NoTrack, Question, Track, keep_answer, place_of
from experiments.trust import NOT_SUPPORTED
from experiments.what_if import options as o
from experiments.what_if.asked import Answer, what_if
from experiments.what_if.options import Options
from experiments.what_if.reading import read_rows
from experiments.what_if.report import record, tables
from experiments.what_if.second import check_world
from simulators.bars import progress_bar


def what_if_command(
    context: typer.Context,
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
    track: Track = None,
    no_track: NoTrack = False,
) -> None:
    """See what another guardrail would have done, from the log of what was done.

    Counts are exact. A tighter rule has a value with an interval; a looser one
    has none, as nobody has seen what it would allow.
    """
    place = place_of(track, no_track)
    answer = run(
        Options(
            log, tuple(guardrail), tuple(drop), tuple(add), tuple(set_), against, workspace, agent,
            by, snapshots, key, prices, precision, simulate, customers, seed, level, force, as_json,
        )
    )  # fmt: skip
    keep_answer(place, Question.of(context, log), record(answer, force=force), quiet=as_json)
    if not answer.supported and not force:
        raise typer.Exit(NOT_SUPPORTED)


def run(options: Options) -> Answer:
    """Ask and tell, and return the answer."""
    answer = _asked(options)
    if options.json:
        tell_json(record(answer, force=options.force))
    else:
        tell(*tables(answer, force=options.force))
    return answer


def _asked(options: Options) -> Answer:
    if options.world:
        check_world(options.world)  # a wrong name is an error before anything is read
    rows = read_rows(options.log, workspace=options.workspace, agent=options.agent)
    with progress_bar() as bar:
        task = bar.add_task("asking the rules again", total=2 * len(rows))
        return what_if(rows, options.change, options.question, lambda done: bar.advance(task, done))
