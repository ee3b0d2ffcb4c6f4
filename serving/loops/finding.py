"""Which loop a request means, and which decision an event."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import NamedTuple

from starlette.types import Scope

from agents.revision import Revision
from agents.spec import SuppliedSpec
from serving.deciding.active import ActiveAgents, Lineup
from serving.ledger import Ledger, LedgerReader, StoredDecision
from serving.loops.errors import NOT_FOUND, LoopError
from serving.runtime import Runtime, runtime_in

LOOK_EVERY_S = 1.0
"""For how long a replica may not know that another one has begun with a second loop."""


def key_of(agent: str, event_id: str) -> str:
    """Return the idempotency key of the decision that an event is.

    Example:
        >>> key_of("front_page", "e-1")
        'loop:front_page:e-1'
    """
    return f"loop:{agent}:{event_id}"


def find_event(ledger: LedgerReader, agent: str, event_id: str) -> StoredDecision | None:
    """Return the decision of an event, None if there is none.

    Raises:
        LoopError: the event has several slots, and so several decisions.
    """
    stored = ledger.find_by_key(key_of(agent, event_id))
    supplied = None if stored is None else stored.decision.context.supplied
    if supplied is not None and supplied.slot:
        raise LoopError(
            "expected an event of one action, got one of several slots; tell it under multislot/"
            " of API v1.1-preview.3",
            "",
        )
    return stored


class Loop(NamedTuple):
    """Whom a Rank asks.

    Args:
        runtime: of the workspace.
        name: of the loop.
        spec: what the loop says of the actions that a request lists.
    """

    runtime: Runtime
    name: str
    spec: SuppliedSpec


async def asked_of(scope: Scope, agent: str | None) -> Loop:
    """Return whom a Rank asks; arguments and errors as of `find_loop`."""
    runtime = runtime_in(scope)
    loop = (await find_loop(runtime, agent)).agent
    assert loop.supplied is not None, "a loop's actions are supplied"
    return Loop(runtime, loop.agent, loop.supplied)


async def find_loop(runtime: Runtime, agent: str | None) -> Revision:
    """Return the active revision of a loop.

    Args:
        runtime: of the workspace.
        agent: its name; None for the workspace's only loop.

    Raises:
        LoopError: there is no such loop, or none is named where there are several.
    """
    found = _known(runtime.agents, agent)
    old = runtime.writer.ahead and monotonic() - runtime.looked_at >= LOOK_EVERY_S
    if len(found) != 1 or (agent is None and old):  # another replica may know of more
        runtime.looked_at = monotonic()
        await asyncio.shield(runtime.writer.submit(lambda ledger: _look(runtime.agents, ledger)))
        found = _known(runtime.agents, agent)
    if len(found) == 1:
        return found[0].active.revision
    if agent is not None:
        raise LoopError(f"there is no loop {agent[:100]!r}", NOT_FOUND, status=404)
    if not found:
        raise LoopError("the workspace has no loop: no agent says 'supplied'", NOT_FOUND,
                        status=404)  # fmt: skip
    raise LoopError(
        f"the workspace has {len(found)} loops; name one of them in the path, as"
        " /loops/AGENT/personalizer/v1.0/rank",
        "BadRequest",
    )


def _known(agents: ActiveAgents, agent: str | None) -> list[Lineup]:
    """Return the loops in memory, or the one that is named."""
    if agent is not None:
        lineup = agents.by_name.get(agent)
        return [lineup] if lineup is not None and lineup.active.revision.agent.supplied else []
    return [each for each in list(agents.by_name.values()) if each.active.revision.agent.supplied]


def _look(agents: ActiveAgents, ledger: Ledger) -> None:
    """Take up what stands in the ledger."""
    for name in ledger.active():
        agents.lineup(ledger, name)
