"""What the organisation's budgets have used: counted once, for every revision that stands.

What a contact uses is charged to the budgets of all revisions that stand, so a canary's own budget
knows the contacts that others made. A rule that is new, renamed or counted in another span has a
counter of its own; it is recounted from the contacts that the ledger holds. Without that it would
begin at nothing and allow in its first period what was used before it came.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

import orjson

from agents.actions import ANY
from agents.context import Contact
from agents.counters import Charge, Counter
from agents.decisions import OutcomeEvent
from agents.revision import Revision
from serving.ledger import Ledger

_Counted = dict[str, frozenset[str]]
_Since = dict[str, int]  # positions of the log, by action


def charges_beside(
    decided: Revision, beside: Sequence[Revision], action: int, send_at: datetime
) -> Iterator[Charge]:
    """Yield what a contact uses of counters that the revision which decided it does not charge.

    Args:
        decided: that revision, which has charged its own counters.
        beside: all that stand.
        action: position of the drawn action in `decided`.
        send_at: when it is sent.
    """
    name, offered = decided.action_ids[action], decided.action_ids
    charged = {charge.counter for charge in decided.charges(action, send_at)}
    for revision in (each.offering(offered) for each in beside):
        if name not in revision.action_ids:
            continue
        for charge in revision.charges(revision.index(name), send_at):
            if charge.counter not in charged:
                charged.add(charge.counter)
                yield charge


def events_beside(
    decided: Revision,
    beside: Sequence[Revision],
    event: OutcomeEvent,
    contact: Contact,
    *,
    before: Sequence[str],
    counted: bool,
) -> Iterator[Charge]:
    """Yield what an event uses of counters that the revision which decided does not charge.

    Args:
        decided: that revision, which has charged its own counters.
        beside: all that stand.
        event: what happened.
        contact: what it followed.
        before: the words of the events that followed the same decision earlier.
        counted: whether it counts towards the reward.
    """
    known = _counting(decided, contact.action)
    for revision in (each.offering(decided.action_ids) for each in beside):
        if contact.action not in revision.action_ids:
            continue
        charges = revision.event_charges(event, contact, before=before, counted=counted)
        yield from (charge for charge in charges if charge.counter not in known)
        known |= _counting(revision, contact.action)


def recount(ledger: Ledger, before: Sequence[Revision], after: Sequence[Revision]) -> None:
    """Charge what an agent's contacts used of counters that its revisions begin to share.

    Every agent charges its own contacts only, so agents that share a counter add up. An action that
    a counter has left and takes up again is charged with what was sent in between. Successes of
    new actions are not recounted: a ramp that begins again allows less, not more.

    Args:
        ledger: inside the transaction that changes what stands.
        before: the agent's revisions that stood until now, none for a new agent.
        after: those that stand from now on.
    """
    agent = after[0].agent.agent
    known = _actions(before)
    left = _note_left(ledger, agent, known, _actions(after))
    counted = dict(known)
    for revision in after if before else ():
        for counter in revision.counters:
            own = _of(revision, counter)
            fresh = own - counted.get(counter.name, frozenset())
            if fresh and counter.measure != "positives":
                since = left.get(counter.name) or _left(ledger, agent, counter.name)
                ledger.charge(_charges(ledger, revision, counter, fresh, since))
            counted[counter.name] = own | counted.get(counter.name, frozenset())


def _note_left(ledger: Ledger, agent: str, known: _Counted, now: _Counted) -> dict[str, _Since]:
    """Note which actions counters no longer count; return all that they left, of those changed."""
    changed: dict[str, _Since] = {}
    for name, actions in known.items():
        gone = actions - now.get(name, frozenset())
        if gone:
            since = dict.fromkeys(sorted(gone), ledger.last_position())
            changed[name] = _left(ledger, agent, name) | since
            ledger.note(_note(agent, name), orjson.dumps(changed[name]).decode())
    return changed


def _left(ledger: Ledger, agent: str, counter: str) -> _Since:
    """Return since when a counter has not counted actions that it had counted before."""
    since: _Since = orjson.loads(ledger.note(_note(agent, counter)) or "{}")
    return since


def _actions(revisions: Iterable[Revision]) -> _Counted:
    """Return the actions that each counter counts, by its name."""
    counted: _Counted = {}
    for revision in revisions:
        for counter in revision.counters:
            known = counted.get(counter.name, frozenset())
            counted[counter.name] = known | _of(revision, counter)
    return counted


def _counting(revision: Revision, action: str) -> set[str]:
    """Return the names of a revision's counters that count an action."""
    index = revision.index(action)
    return {counter.name for counter in revision.counters if index in counter.actions}


def _of(revision: Revision, counter: Counter) -> frozenset[str]:
    return frozenset(revision.action_ids[index] for index in counter.actions)


def _note(agent: str, counter: str) -> str:
    return f"left:{agent}:{counter}"


def _charges(
    ledger: Ledger, revision: Revision, counter: Counter, fresh: frozenset[str], left: _Since
) -> Iterator[Charge]:
    """Yield what actions have used of a counter since it left them, if it ever counted them."""
    for since in sorted({left.get(name, 0) for name in fresh}):
        alike = frozenset(name for name in fresh if left.get(name, 0) == since)
        yield from _charges_since(ledger, revision, counter, alike, since)


def _charges_since(
    ledger: Ledger, revision: Revision, counter: Counter, fresh: frozenset[str], since: int
) -> Iterator[Charge]:
    agent = revision.agent.agent
    if counter.measure == "events":
        for event in ledger.heard(agent, counter.events, since):
            if (event.action if revision.agent.supplied is None else ANY) in fresh:
                yield Charge(counter.name, counter.bucket(event.at), 1.0)
        return
    failed: set[str] = set()
    if counter.measure == "deliveries":
        failed = {event.decision_id for event in ledger.heard(agent, counter.events, since)}
    for contact in ledger.sent(agent, since):
        name = contact.action if revision.agent.supplied is None else ANY
        if name in fresh and contact.decision_id not in failed:
            cost = revision.actions[revision.index(name)].cost
            amount = cost if counter.measure == "cost" else 1.0
            yield Charge(counter.name, counter.bucket(contact.at), amount)
