"""One decision for somebody at a terminal: made here by a workspace's files, or by a server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from rich import box
from rich.table import Table

from agents.errors import ContextError, StateError, UnknownNameError, did_you_mean
from agents.load import load_workspace
from agents.memory import Memory
from policies.arbitrate import Arbiter
from policies.decide import decide
from policies.registry import create_policy
from serving.decider import settle


@dataclass(frozen=True, slots=True)
class Question:
    """What is best for this customer?

    Args:
        agents: who may answer, at least one; of several, one is chosen by arbitration.
        at: the moment (UTC), None for now.
        placement: the slot of an on-site channel that is to be filled, empty if none.
    """

    agents: tuple[str, ...]
    customer: str
    features: Mapping[str, Any]
    at: datetime | None = None
    placement: str = ""


def ask_here(workspace: Path, question: Question) -> dict[str, Any]:
    """Decide by a workspace's files, with untaught policies and nothing known of the past.

    Returns:
        The decision's record with `action_id` and `arbitration`.

    Raises:
        DocumentError: the workspace is wrong.
        UnknownNameError: it has no such agent.
        ContextError: the features do not fit.
    """
    loaded = load_workspace(workspace)
    decision_id, secret = uuid4().hex, uuid4().bytes
    made, revisions = [], []
    for name in question.agents:
        revision = loaded.revisions.get(name)
        if revision is None:
            known = did_you_mean(name, loaded.revisions)
            raise UnknownNameError(f"there is no agent {name!r}; {known}")
        context = Memory().recall(
            revision, question.customer, question.at or datetime.now(UTC), question.features,
            placement=question.placement,
        )  # fmt: skip
        policy = create_policy(revision)
        made.append(decide(revision, policy, context, decision_id=decision_id, secret=secret))
        revisions.append(revision)
    settled = settle(Arbiter(loaded.workspace), made, revisions, secret)
    chosen = 0 if settled is None else question.agents.index(settled.chosen)
    return made[chosen].to_record() | {
        "action_id": made[chosen].action_id,
        "arbitration": None if settled is None else asdict(settled),
    }


def ask_there(url: str, question: Question) -> dict[str, Any]:
    """Ask a server, which keeps the decision; return its whole record.

    Raises:
        StateError: there is no server at the address, or another one.
        ContextError: it refused.
    """
    body: dict[str, Any] = {"customer": question.customer, "features": question.features}
    if len(question.agents) == 1:
        body["agent"] = question.agents[0]
    else:
        body["agents"] = question.agents
    if question.at is not None:
        body["at"] = question.at.isoformat()
    if question.placement:
        body["placement"] = question.placement
    try:
        with httpx.Client(base_url=url, timeout=10.0) as client:
            made = read_answer(client.post("/v1/decisions", json=body))
            return read_answer(client.get(f"/v1/decisions/{made['decision_id']}"))
    except httpx.HTTPError as error:
        raise StateError(f"no answer from {url}: {error}; is `nextbest serve` running?") from None


def read_answer(response: httpx.Response) -> dict[str, Any]:
    """Return a server's answer.

    Raises:
        ContextError: the server refused.
        StateError: it is no answer of nextbest.
    """
    try:
        answer: dict[str, Any] = response.json()
        if response.is_error:
            raise ContextError(f"the server refused: {answer['detail']}")
    except (LookupError, TypeError, ValueError):
        raise StateError(
            f"expected an answer of nextbest from {response.url}, got status"
            f" {response.status_code}; is --url right, and the server ready?"
        ) from None
    return answer


def bids_table(arbitration: Mapping[str, Any]) -> Table:
    """Lay out who bid for a customer, the drawn agent in bold."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("probability", "score", "value", "context weight", "lever"):
        table.add_column(head, justify="right")
    table.add_column("agent", overflow="fold")
    for bid in arbitration["bids"]:
        table.add_row(
            f"{bid['probability']:.4f}",
            *(f"{bid[name]:,.3f}" for name in ("score", "value", "context_weight", "lever")),
            bid["agent"],
            style="bold" if bid["agent"] == arbitration["chosen"] else None,
        )
    return table
