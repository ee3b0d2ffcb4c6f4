"""The command that compares how groups of customers are treated."""

from __future__ import annotations

from typing import Annotated

import typer

from experiments.fairness.report import ask_fairness, parity_record, parity_table
from experiments.telling import AgentName, AsJson, Level, LogPath, tell, tell_json


def fairness_command(
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
) -> None:
    """Compare how declared groups of customers are reached, and what that is worth to them.

    Exposure is the logged probability, not the luck of the draw. Groups under
    four fifths of the best-served one are told.
    """
    found = ask_fairness(
        log, by or (), offers=offer or (), policy=policy, group=group, agent=agent, level=level
    )
    if as_json:
        tell_json({name: [parity_record(each) for each in told] for name, told in found.items()})
        return
    for name, told in found.items():
        tell(*(parity_table(name, each) for each in told))
        tell(*(f"warning: {name}: {line}" for each in told for line in each.warnings))
