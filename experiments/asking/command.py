"""`nextbest evaluate`: what policies are worth, from a log alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import typer
from rich.console import Console

from agents.errors import LogError
from agents.load import load_workspace
from experiments.asking import options as o
from experiments.asking.asker import Answer, Asker, Rows
from experiments.asking.cautions import cautions
from experiments.asking.differences import LOGGED
from experiments.asking.options import Options
from experiments.asking.printing import print_answer, print_lift, recheck
from experiments.asking.records import answer_json
from experiments.asking.settling import check_used
from experiments.asking.streamed import SUPPLIED_PARTS, in_pieces, streamed
from experiments.asking.tables import differences_table, parts_table, segments_table
from experiments.evaluating import why_none
from experiments.html import Facts, evaluation_files, write_html
from experiments.html.asked import facts_of
from experiments.html.headline import difference_sentence
from experiments.html.sheets import Sheet, sheet_of
from experiments.logs import fingerprint, read_log
from experiments.revisions import read_revisions
from experiments.targets.asked import Source, Target, read_target
from experiments.targets.supplied import supplied_in
from experiments.targets.taught import BLOCKS, Lessons
from experiments.telling import AgentName, Level, LogPath, check_place
from experiments.tracking import NoTrack, Track, place_of, record
from experiments.trust import NOT_SUPPORTED


def evaluate_command(
    log: LogPath,
    policy: o.Policies = o.POLICIES,
    group: o.Groups = Rows.ALL,
    estimator: o.Estimators = o.ESTIMATES,
    interval: o.IntervalName = o.INTERVAL,
    agent: AgentName = None,
    key: o.KeyFile = None,
    level: Level = 0.95,
    by: o.By = o.NONE,
    parts: o.Parts = False,
    blocks: o.Blocks = BLOCKS,
    at_once: o.AtOnce = False,
    progressive: o.Progressive = False,
    force: o.Force = False,
    stream: o.Stream = None,
    as_json: o.AsJson = False,
    workspace: o.Recheck = None,
    track: Track = None,
    no_track: NoTrack = False,
    html: o.Html = None,
    logger: o.Loggers = o.NONE,
) -> None:
    """Value policies from a decision log alone, and compare the groups it holds.

    Prints the value of each policy with an interval, how far it can be
    believed, and what the groups of customers earned. Where the data cannot
    tell, it says so and ends with 3.
    """
    run(
        Options(
            log, tuple(dict.fromkeys(policy)), group, tuple(dict.fromkeys(estimator)), interval,
            agent, key, level, tuple(dict.fromkeys(by)), parts, blocks, at_once, progressive,
            force, stream, as_json, workspace, place_of(track, no_track), html,
            tuple(dict.fromkeys(logger)),
        )
    )  # fmt: skip


def run(options: Options) -> None:
    """Ask, print, keep; the exit code says whether an answer was found.

    Raises:
        typer.Exit: with 1 if decisions break rules, with 3 if an answer is not supported.
    """
    # Names in logs, files and YAML may hold brackets: they are shown, never read as markup.
    console = Console(markup=False, highlight=False, stderr=options.json)
    check_used(options)
    if in_pieces(console, options):
        if options.track is not None and not options.track.named:
            console.print("warning: no run is recorded of a log that is read in pieces")
        streamed(console, options)
        return
    in_force = load_workspace(options.workspace) if options.workspace is not None else None
    asker, targets = _prepared(options, console)
    with console.status("estimating"):
        answer = asker.ask(targets, options.by, parts=options.parts)
    if options.json:
        warnings = tuple(cautions(options, targets))
        log = fingerprint(options.log)
        typer.echo(answer_json(answer, asker, log, options.command, warnings))
    else:
        print_answer(console, answer, asker, options, targets)
        print_lift(console, asker)
    if options.track is not None or options.html is not None:
        _keep(asker, answer, options)
    if options.workspace is not None and in_force is not None:
        recheck(console, options.log, options.workspace, in_force)
    if not (answer.supported or options.force):
        raise typer.Exit(NOT_SUPPORTED)


def _prepared(options: Options, console: Console) -> tuple[Asker, list[Target]]:
    """Read the log, find the policies, and choose the decisions that all of them are judged on."""
    interval = options.found_interval  # a wrong name is an error before anything is read
    if options.html is not None:
        check_place(options.html, "--html")  # and so is a place that cannot be written to
    with console.status("reading the log"):
        decisions = read_log(options.log, agent=options.agent)
        rows = decisions.in_groups(*options.group.groups)
        revisions = read_revisions(options.log)
    if not len(rows):
        raise LogError(why_none(options.group.groups, decisions))
    if options.parts and supplied_in(rows):
        raise LogError(SUPPLIED_PARTS)
    asker = Asker(
        decisions, rows, revisions, options.estimators, options.level, options.key, interval,
        options.force,
    )  # fmt: skip
    own = Source(revisions, asker.newest, options.key, option="--logger")
    loggers = {each: read_target(each, own).probabilities for each in options.loggers}
    asker = replace(asker, loggers=loggers)
    source = Source(revisions, asker.newest, options.key, progressive=options.progressive)
    learning = [each for each in options.policies if read_target(each, source).learns]
    wait = timedelta(0) if options.at_once else None
    if learning or options.progressive:
        lessons = Lessons.of(decisions, rows, options.blocks, wait, revisions)
        source = replace(source, lessons=lessons)
        asker = replace(asker, rows=lessons.judged(rows)) if learning else asker
    return asker, [read_target(each, source) for each in options.policies]


def _keep(asker: Asker, answer: Answer, options: Options) -> None:
    console = Console(markup=False, highlight=False, stderr=options.json)
    facts = facts_of(asker, options.log, options.agent, options.policies, options.group.value)
    facts = replace(
        facts, command=options.command, targets=answer.targets or {},
        compared=_compared(answer, facts.currency), closer=_closer(answer, facts.currency),
    )  # fmt: skip
    if options.html is not None:
        write_html(options.html, answer.evaluations, asker.rows, facts)
        console.print(f"the report: {options.html}", soft_wrap=True)
    if options.track is not None:
        _track(console, asker, answer, facts, options)


def _closer(answer: Answer, currency: str) -> list[Sheet]:
    """Return what the terminal tells beside the values, for the page."""
    tables = [segments_table(each, currency) for each in answer.segments]
    if answer.differences:
        tables.insert(0, differences_table(answer.differences, currency))
    if answer.parts:
        tables.append(parts_table(answer.parts, currency))
    return [sheet_of(table) for table in tables]


def _compared(answer: Answer, currency: str) -> dict[str, str]:
    """Return a sentence a policy, how it does against what was logged, where that is supported."""
    return {
        each.target: difference_sentence(each.value, each.low, each.high, each.level, currency)
        for each in answer.differences
        if each.over == LOGGED and each.supported
    }


def _track(console: Console, asker: Asker, answer: Answer, facts: Facts, options: Options) -> None:
    if options.track is None:
        return
    client, runs = options.track.open(), []
    for evaluation in answer.evaluations:
        files = evaluation_files([evaluation], asker.rows, facts)
        runs.append(record(client, evaluation, fingerprint=facts.fingerprint, artifacts=files))
    for line in options.track.told(*runs):
        console.print(line, soft_wrap=True)
