"""The command that tells lift."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from experiments.lift.asked import ask, setting_of, with_covariates
from experiments.lift.measures import parse_measures
from experiments.lift.plan import read_plan
from experiments.lift.told import Told
from experiments.telling import AgentName, AsJson, Level, LogPath, tell, tell_json
from experiments.tracking import NoTrack, Question, Track, keep_answer, place_of

_METRICS: list[str] = ["reward", "revenue", "conversion", "order_value", "gap"]


def lift_command(
    context: typer.Context,
    log: LogPath,
    metric: Annotated[
        list[str],
        typer.Option(
            help="KIND, KIND@DAYS or KIND@DAYS:OUTCOME: revenue, conversion@30:renewed,"
            " churn:cancelled, retention@90:cancelled, lifetime; repeatable."
        ),
    ] = _METRICS,
    over: Annotated[str, typer.Option(help="Whom treatment is compared with.")] = "control",
    by: Annotated[
        str | None, typer.Option(help="Also by segment: a customer field or an expression.")
    ] = None,
    cuped: Annotated[
        bool, typer.Option("--cuped", help="Take out what was known of customers beforehand.")
    ] = False,
    covariate: Annotated[
        list[str] | None, typer.Option(help="Customer field that --cuped uses; repeatable.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(help="When treatment began; --cuped uses what happened before."),
    ] = None,
    looks: Annotated[int, typer.Option(min=1, help="How often the groups are compared.")] = 20,
    plan: Annotated[
        Path | None, typer.Option(help="YAML file with the test that was declared beforehand.")
    ] = None,
    aa: Annotated[
        bool, typer.Option("--aa", help="Also test control against itself: count false alarms.")
    ] = False,
    agent: AgentName = None,
    level: Level = 0.95,
    as_json: AsJson = False,
    track: Track = None,
    no_track: NoTrack = False,
) -> None:
    """See what treated customers brought more than control, at any time you like.

    The intervals hold at all looks at once, so you may look every day. A test
    that was planned for one date is told on that date and not before.
    """
    place = place_of(track, no_track)
    declared = None if plan is None else read_plan(plan)
    measures = parse_measures(metric)
    asked, covariates = ask(log, agent), None
    planned = None if declared is None else declared.covariates
    if not cuped and (covariate or since is not None):
        raise ValueError("expected --covariate and --since with --cuped only")
    if planned is not None and (covariate or since is not None):
        raise ValueError("expected the plan's covariates alone, got others beside them")
    if cuped or planned is not None:
        asked, covariates = with_covariates(asked, planned or covariate or (), since)
    setting = setting_of(
        asked, over=over, looks_at=looks, level=level, plan=declared, covariates=covariates
    )
    if declared is not None:
        measures = tuple(dict.fromkeys((declared.measure, *measures)))
    told = Told(asked, setting, measures, declared, by, aa)
    found = told.record() if as_json or place is not None else {}
    if as_json:
        tell_json(found)
    else:
        tell(*told.parts())
    keep_answer(place, Question.of(context, log), found, quiet=as_json)
