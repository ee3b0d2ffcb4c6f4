"""The three calls of an event: it is ranked, perhaps activated, perhaps rewarded."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import orjson
from starlette.types import Scope

from agents.decisions import Decision
from agents.supplied import MAX_ID
from serving.api.reply import Reply
from serving.api.strict import parse_json
from serving.deciding.attempt import submit_decision
from serving.deciding.decider import Decided, DecisionRequest, UsedBeforeError
from serving.ids import new_id
from serving.ledger import Ledger, LedgerReader
from serving.ledger.optimistic import Changes
from serving.loops.asked import Asked, is_event_id, read_rank
from serving.loops.caller import own_customer
from serving.loops.errors import ACTIVATE, RANK, REWARD, LoopError
from serving.loops.events import Events, Told, check_value
from serving.loops.finding import asked_of, find_loop, key_of
from serving.runtime import Runtime, runtime_in
from serving.watching.metrics import Stopwatch
from serving.watching.watch import note


async def answer_rank(scope: Scope, raw: bytes, agent: str | None) -> Reply:
    """Decide which of the actions of a request is to be shown.

    Args:
        scope: of the request.
        raw: its body.
        agent: the loop that is named, None for the only one.

    Raises:
        LoopError: the request does not fit.
        BodyError: it is no JSON.
        NextbestError: nothing can be decided.
    """
    runtime, name, spec = await asked_of(scope, agent)
    asked = read_rank(raw, spec)
    event_id = asked.event_id or new_id()
    request = request_of(name, asked, event_id)
    watch = Stopwatch()
    try:
        decided = await submit_decision(runtime.writer, runtime.decider, request, watch)
    except UsedBeforeError:
        raise used_before() from None
    return ranked(scope, runtime, [decided], watch, rank_answer(decided.decision, event_id))


def ranked(
    scope: Scope,
    runtime: Runtime,
    made: Sequence[Decided],
    watch: Stopwatch,
    answer: dict[str, Any],
) -> Reply:
    """Count what was decided, name it in the request's line of the log, and answer.

    Args:
        scope: of the request.
        runtime: of the workspace.
        made: at least one.
        watch: by which it was timed.
        answer: as the wire has it.
    """
    for each in made:
        runtime.meters.decided(each.decision, watch, replayed=each.replayed)
    note(scope, decision_id=made[0].decision.decision_id)
    return Reply(orjson.dumps(answer), 201)


def used_before() -> LoopError:
    """Make the refusal of an event's id that came with another Rank before."""
    return LoopError(
        "eventId: expected one that was not used before for a different request; choose a new"
        " one, or send the same request again to have the same answer",
        RANK, inner="DuplicateEventId", target="eventId", status=409,
    )  # fmt: skip


def request_of(agent: str, asked: Asked, event_id: str) -> DecisionRequest:
    """Make the question of a Rank."""
    return DecisionRequest(
        agents=(agent,),
        customer=asked.customer or own_customer(event_id),
        features=asked.features,
        fingerprint=_fingerprint(asked) if asked.event_id else b"",
        key=key_of(agent, event_id),
        supplied=replace(asked.supplied, event=event_id),
        defer=asked.defer,
    )


def _fingerprint(asked: Asked) -> bytes:
    """Digest all that was asked, so that a retry is told from another event under the same id."""
    content = asked.supplied.content
    beside = [asked.customer, asked.features, sorted(asked.supplied.barred), asked.defer]
    return hashlib.sha256(content + orjson.dumps(beside, option=orjson.OPT_SORT_KEYS)).digest()


def rank_answer(decision: Decision, event_id: str) -> dict[str, Any]:
    """Tell a decision as a Rank's answer: every action with its exact probability.

    The drawn one comes first, then those it was drawn from, the likely ones first; what was barred
    stays where the caller had it.
    """
    chances, reasons = decision.distribution.tolist(), decision.mask.reasons
    drawn = decision.action
    every = range(1, len(reasons))
    order = sorted(
        [place for place in every if reasons[place] is None], key=chances.__getitem__, reverse=True
    )
    if drawn:
        order.remove(drawn)
        order.insert(0, drawn)
    left = iter(order)
    places = order
    if len(order) < len(every):
        places = [next(left) if reasons[place] is None else place for place in every]
    ids = decision.actions
    return {
        "ranking": [{"id": ids[place], "probability": chances[place]} for place in places],
        "eventId": event_id,
        "rewardActionId": ids[drawn] if drawn else None,
    }


async def answer_reward(scope: Scope, raw: bytes, agent: str | None, event_id: str) -> Reply:
    """Record the reward of an event.

    Raises:
        LoopError: the value or the id does not fit.
        BodyError: the body is no JSON.
    """
    runtime = runtime_in(scope)
    revision = await find_loop(runtime, agent)
    value = read_value(parse_json(raw))
    check_value(revision, value)
    name, outcome_id = revision.agent.agent, new_id()
    require_id(event_id, REWARD)

    def job(ledger: Ledger) -> Told:
        return events_of(runtime).reward(ledger, name, event_id, value, outcome_id)

    return await answer_told(scope, runtime, name, "reward", job, key_of(name, event_id))


async def answer_activate(scope: Scope, agent: str | None, event_id: str) -> Reply:
    """Note that what an event decided is shown.

    Raises:
        LoopError: the id does not fit.
        ConflictError: it must not be shown now.
    """
    runtime = runtime_in(scope)
    revision = await find_loop(runtime, agent)
    name = revision.agent.agent
    require_id(event_id, ACTIVATE)

    def job(ledger: Ledger) -> Told:
        return events_of(runtime).activate(ledger, name, event_id)

    return await answer_told(scope, runtime, name, "activate", job, key_of(name, event_id))


async def answer_told(
    scope: Scope,
    runtime: Runtime,
    agent: str,
    what: str,
    job: Callable[[Ledger], Told],
    key: str,
) -> Reply:
    """Do a job of the writer that takes in a report, and say nothing but that it was heard.

    Args:
        scope: of the request, whose line in the log tells of what came for nothing.
        runtime: of the workspace.
        agent: the loop.
        what: is reported: reward or activate.
        job: takes it in.
        key: of the decision that is looked for first.
    """
    look = partial(_foresee, runtime, key)
    told = await runtime.writer.submit(job, look, _as_done if what == "reward" else None)
    if told != "known":
        runtime.meters.dangling[agent, what, told] += 1
        note(scope, dangling=told)
    return Reply(b"", 204)


def events_of(runtime: Runtime) -> Events:
    """Return who takes in what is told of events."""
    intake = runtime.intake
    return Events(runtime.agents, intake.recorder, intake.deliverer, runtime.decider.clock)


def read_value(body: object) -> float:
    """Read the body of a reward.

    Raises:
        LoopError: it is no object with a number as its value.
    """
    value = body.get("value") if isinstance(body, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise LoopError("value: expected an object with a number as 'value'", REWARD,
                        target="value")  # fmt: skip
    return float(value)


def require_id(event_id: str, code: str) -> None:
    """Refuse what cannot be an event's id.

    Raises:
        LoopError: with a code.
    """
    if not is_event_id(event_id):
        raise LoopError(
            f"eventId: expected 1 to {MAX_ID} printable characters", code, target="eventId"
        )


def _foresee(runtime: Runtime, key: str, ledger: LedgerReader) -> None:
    """Ask what a report asks first."""
    ledger.find_by_key(key)
    for name in list(runtime.agents.by_name):
        ledger.standing(name)


def _as_done(_ledger: LedgerReader, told: Told) -> tuple[Told, Changes]:
    """A reward asks nothing of the counters."""
    return told, ()
