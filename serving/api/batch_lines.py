"""The lines of a batch's answer, and what is counted of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import orjson

from agents.errors import NextbestError
from serving.api.answers import action_answer, decision_answer
from serving.api.problems import refusal
from serving.deciding.batch import Answer
from serving.deciding.columnwise import Made
from serving.deciding.decider import Decided, DecisionRequest
from serving.watching.metrics import Meters, Tally


def count_answers(meters: Meters, answers: Sequence[Answer]) -> None:
    """Count what is durable now, as single decisions are.

    Args:
        meters: of the replica.
        answers: those of one chunk, all of the same agents.
    """
    together = [answer for answer in answers if isinstance(answer, Made)]
    if together:
        _tell(meters.tally(together[0].active.revision.agent.agent), together)
    for answer in answers:
        if isinstance(answer, Decided):
            if answer.replayed:
                meters.replayed += 1
            else:
                meters.tally(answer.decision.agent).add(answer.decision)


def _tell(tally: Tally, made: Sequence[Made]) -> None:
    tally.count_all(
        np.array([each.action for each in made]),
        np.stack([each.distribution for each in made]),
        [each.reasons for each in made],
        sum(each.explored for each in made),
    )


def written(requests: Sequence[DecisionRequest], answers: Sequence[Answer]) -> Iterator[bytes]:
    """Write the line of each request: what `LineAnswer` or `LineProblem` describes, as JSON.

    Args:
        requests: of one chunk.
        answers: theirs, in the same order.
    """
    shared: dict[tuple[str, str, str], bytes] = {}
    for request, answer in zip(requests, answers, strict=True):
        if isinstance(answer, Made):
            yield _line(request.customer, answer, shared)
        else:
            line = {"customer": request.customer, **_values(answer)}
            yield orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def _values(answer: Decided | NextbestError) -> dict[str, Any]:
    """Return a line but for the customer, as JSON values."""
    if isinstance(answer, NextbestError):
        return {"type": "about:blank", **refusal(answer)}
    return decision_answer(answer) | {"replayed": answer.replayed}


def _line(customer: str, made: Made, shared: dict[tuple[str, str, str], bytes]) -> bytes:
    """Write one line; what a chunk's decisions of a group share is written once for all."""
    kind = made.active.revision.id, made.group, made.policy
    end = shared.get(kind)
    if end is None:
        end = shared[kind] = b"," + orjson.dumps(_shared(made))[1:] + b"\n"
    own = {
        "customer": customer,
        "decision_id": made.decision_id,
        "reason": made.reason,
        "action": action_answer(
            made.active.revision.actions[made.action], made.send_at, made.content
        ),
        "propensity": made.propensity,
        "explored": made.explored,
    }
    return orjson.dumps(own)[:-1] + end


def _shared(made: Made) -> dict[str, Any]:
    revision = made.active.revision
    return {
        "agent": revision.agent.agent,
        "revision": revision.id,
        "policy": made.policy,
        "snapshot": made.snapshot,
        "group": made.group,
        "at": made.at,  # JSON has it as text
        "arbitration": None,
        "replayed": False,
    }
