"""What a new budget has used already: recounted from the contacts that the ledger holds.

A rule that is new, renamed or counted in another span has a counter of its own, and without this
it would begin at nothing and allow in its first period what was used before it came.
"""

from __future__ import annotations

from collections.abc import Iterator

from agents.counters import Charge, Counter
from agents.revision import Revision
from serving.ledger import Ledger


def recount(ledger: Ledger, before: Revision | None, after: Revision) -> None:
    """Charge what an agent's contacts used of counters that its new revision begins to share.

    Every agent charges its own contacts only, so agents that share a counter add up. A counter
    that was left and is taken up again is charged with what was sent in between. Successes of new
    actions are not recounted: a ramp that begins again allows less, not more.

    Args:
        ledger: inside the transaction that activates the revision.
        before: the revision that was active until now, None if there was none.
        after: the new one.
    """
    agent = after.agent.agent
    counted = {} if before is None else _actions(before)
    counts = _actions(after)
    for name in counted.keys() - counts.keys():
        ledger.note(_left(agent, name), str(ledger.last_position()))
    for counter in after.counters:
        fresh = counts[counter.name] - counted.get(counter.name, frozenset())
        if before is None or not fresh or counter.measure == "positives":
            continue
        left = ledger.note(_left(agent, counter.name)) if counter.name not in counted else None
        ledger.charge(_charges(ledger, after, counter, fresh, int(left or 0)))


def _actions(revision: Revision) -> dict[str, frozenset[str]]:
    ids = revision.action_ids
    return {c.name: frozenset(ids[i] for i in c.actions) for c in revision.counters}


def _left(agent: str, counter: str) -> str:
    return f"left:{agent}:{counter}"


def _charges(
    ledger: Ledger, revision: Revision, counter: Counter, fresh: frozenset[str], since: int
) -> Iterator[Charge]:
    agent = revision.agent.agent
    if counter.measure == "events":
        for event in ledger.heard(agent, counter.events, since):
            if event.action in fresh:
                yield Charge(counter.name, counter.bucket(event.at), 1.0)
        return
    failed: set[str] = set()
    if counter.measure == "deliveries":
        failed = {event.decision_id for event in ledger.heard(agent, counter.events, since)}
    for contact in ledger.sent(agent, since):
        if contact.action in fresh and contact.decision_id not in failed:
            cost = revision.actions[revision.index(contact.action)].cost
            amount = cost if counter.measure == "cost" else 1.0
            yield Charge(counter.name, counter.bucket(contact.at), amount)
