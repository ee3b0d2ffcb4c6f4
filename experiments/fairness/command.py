"""The command that compares how groups of customers are treated."""

from __future__ import annotations

from typing import Annotated

import typer

from experiments.fairness.report import ask_fairness, parity_record, parity_table
from experiments.telling import AgentName, AsJson, Level, LogPath, tell, tell_json
from experiments.tracking import NoTrack, Question, Track, keep_answer, place_of


def fairness_command(
    context: typer.Context,
    log: LogPath,
    by: Annotated[
        list[str] | None,
        typer.Option(
            help="Customer field or expression; all categories hidden from learners if not said."
        ),
    ] = None,
    offer: Annotated[list[str] | None, typer.Option(help="Also this offer; repeatable.")] = None,
    policy: Annotated[str, typer.Option(help="Whose value: logged, uniform or none.")] = "logged",
    group: Annotated[str, typer.Option(help="treatment or random: whose decisions.")] = "treatment",
    agent: AgentName = None,
    level: Level = 0.95,
    as_json: AsJson = False,
    track: Track = None,
    no_track: NoTrack = False,
) -> None:
    """Compare how declared groups of customers are reached, and what that is worth to them.

    Exposure is the logged probability, not the luck of the draw. Groups under
    four fifths of the best-served one are told. A value that the log cannot tell
    is refused, group by group, with what data it would take.
    """
    place = place_of(track, no_track)
    found = ask_fairness(
        log, by or (), offers=offer or (), policy=policy, group=group, agent=agent, level=level
    )
    record = {name: [parity_record(each) for each in told] for name, told in found.items()}
    if as_json:
        tell_json(record)
    for name, told in () if as_json else found.items():
        tell(*(parity_table(name, each) for each in told))
        tell(*(f"warning: {name}: {line}" for each in told for line in each.warnings))
    keep_answer(place, Question.of(context, log), record, quiet=as_json)
