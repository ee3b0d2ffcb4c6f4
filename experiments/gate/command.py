"""The command that decides whether a candidate takes the champion's place; for CI too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import typer
from rich.console import RenderableType

from agents.errors import NextbestError, StateError
from agents.revision import Revision
from experiments.gate import options as o
from experiments.gate.breaches import breaches_of, unasked
from experiments.gate.canary import watch
from experiments.gate.criteria import Criteria, read_criteria
from experiments.gate.judging import judge
from experiments.gate.options import Asked
from experiments.gate.recording import Facts, record_gate
from experiments.gate.report import canary_parts, canary_record, judgement_parts, judgement_record
from experiments.gate.subject import read_subject
from experiments.logs import fingerprint, read_log
from experiments.revisions import hidden_features, read_revisions
from experiments.telling import AgentName, AsJson, LogPath, shown, tell, tell_json
from experiments.tracking import NoTrack, Track, place_of

_ERROR = 2
"""Exit code of what could not be asked, as of a wrong option: 1 says that it may not take over."""


def gate_command(
    log: LogPath,
    candidate: o.Candidate = "",
    champion: o.Champion = "logged",
    canary: o.CanaryId = "",
    criteria: o.CriteriaFile = None,
    key: o.KeyFile = None,
    workspace: o.InForce = None,
    agent: AgentName = None,
    track: Track = None,
    no_track: NoTrack = False,
    as_json: AsJson = False,
) -> None:
    """Decide whether a candidate may take over, by what it surely brings.

    The exit code is 0 if it may, 1 if not (or if a canary has to go back), 2 if
    something is wrong with the command, or could not be read or recorded, and 3 if
    there is not enough evidence, or not yet: it says what data would be needed.
    """
    asked = Asked(log, candidate, champion, canary, criteria, key, workspace, agent)
    try:
        place = place_of(track, no_track)
        rules = read_criteria(criteria)
        parts, found, facts = (_watch if canary else _judge)(asked, rules)
        if as_json:
            tell_json(found)
        else:
            tell(*parts)
        if place is not None:  # only now: the decision is told whatever becomes of its record
            run = record_gate(place, facts, rules, found)
            typer.echo("\n".join(place.told(run)), err=as_json)
    except (NextbestError, ValueError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(_ERROR) from None
    raise typer.Exit(int(found["exit_code"]))


_Found = tuple[Sequence[RenderableType], dict[str, Any], Facts]


def _judge(asked: Asked, rules: Criteria) -> _Found:
    if not asked.candidate:
        raise StateError("expected --candidate, what wants to decide, or --canary; got neither")
    subject = read_subject(
        asked.log, asked.candidate, asked.champion, key=asked.key, agent=asked.agent
    )
    newest = subject.revision
    broken = breaches_of(asked.log, asked.workspace, agent=asked.agent)
    found = judge(
        subject.log, subject.candidate, subject.champion, rules,
        outcomes=newest.agent.outcomes if newest else None,
        breaches=broken.count if broken else None,
        hidden=hidden_features(newest) if newest else frozenset(),
    )  # fmt: skip
    notes = [*subject.notes, *unasked(broken)]
    parts = [*notes, *judgement_parts(found, _currency(newest))]
    facts = _facts(asked, asked.candidate, asked.champion, subject.revisions, subject.hashes)
    return parts, judgement_record(found) | {"left_out": subject.left_out, "notes": notes}, facts


def _watch(asked: Asked, rules: Criteria) -> _Found:
    if asked.candidate:
        raise StateError("expected --candidate or --canary, got both")
    log = read_log(asked.log, agent=asked.agent).unthinned("gate --canary")
    revisions = read_revisions(asked.log)
    own = revisions.get(asked.canary)
    breaches = None
    if asked.workspace is not None or own is not None:
        breaches = breaches_of(asked.log, asked.workspace, agent=asked.agent, revision=asked.canary)
    outcomes = None if own is None else own.agent.outcomes
    count = breaches.count if breaches else None
    found = watch(log, asked.canary, rules, outcomes=outcomes, breaches=count)
    ids = tuple(np.unique(log.revision.astype(str)).tolist())
    facts = _facts(asked, f"canary {asked.canary}", "the rest of treatment", ids, {})
    return list(canary_parts(found, _currency(own))), canary_record(found), facts


def _facts(
    asked: Asked,
    candidate: str,
    champion: str,
    revisions: tuple[str, ...],
    hashes: Mapping[str, str],
) -> Facts:
    names = [shown(each) if Path(each).is_file() else each for each in (candidate, champion)]
    return Facts(names[0], names[1], fingerprint(asked.log), revisions, hashes, asked.command)


def _currency(revision: Revision | None) -> str:
    return revision.workspace.currency if revision else "currency"
