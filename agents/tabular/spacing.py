"""Which customers are alike for rules that space contacts: caps, cooldowns, exclusive agents.

Customers without contacts and events are alike if their messages would be sent at the same
instants. The others are told apart by what the rule counts at each sending instant.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.context import Contact, PastEvent
from agents.guardrails.cooldown import Cooldown
from agents.guardrails.escalation import Escalation
from agents.guardrails.exclusive import Exclusive
from agents.guardrails.frequency import FrequencyCap
from agents.guardrails.history import (
    AHEAD,
    keys,
    remembers,
)
from agents.guardrails.sequence import Sequence
from agents.spec import FrequencyCapSpec
from agents.tabular.batch import NEVER, Batch, Instants
from agents.tabular.columns import instant_of, span_of
from agents.tabular.history import Past
from agents.tabular.keys import Codes, Key, each, of_bits, of_counts, refine

History = Past[Contact] | Past[PastEvent]
Flags = NDArray[np.bool_]


class Near(NamedTuple):
    """Which instants fall together.

    Args:
        line: places instants, microseconds since 1970, on the line that a rule measures on.
        together: says of sending instants and of what happened, both on the line, where they do.
    """

    line: Callable[[Codes], Codes]
    together: Callable[[Codes, Codes], Flags]


def with_own_contacts(rule: Escalation | Sequence, batch: Batch) -> Key:
    """Tell every customer apart whom this agent has contacted."""
    own = batch.contacts.that(lambda contact: contact.agent == rule.agent)
    rows = np.unique(batch.contacts.row[own]).astype(np.intp)
    return refine(batch.sends, rows, each(len(rows)))


def capped(rule: FrequencyCap, batch: Batch) -> Key:
    """By the counts that are at their limit, in each group and at each sending instant."""
    spec = _document(rule, batch)
    if spec is None:
        return each(batch.count)
    past, words = (batch.events if spec.counts == "response" else batch.contacts), rule.hears
    back = rule.lookback - AHEAD if spec.counts == "delivery" else rule.lookback
    kept = past.that(remembers(spec, batch.revision.actions, rule.agent))
    kept &= past.at > batch.now - span_of(back)
    if spec.counts == "response":
        kept &= batch.events.that(lambda event: event.event in words)
    past, key = past.where(kept), batch.sends
    if spec.counts == "delivery":
        failed = np.unique(batch.events.row[batch.events.that(lambda e: e.event in words)])
        key = refine(key, failed.astype(np.intp), each(len(failed)))
    near = _same_period(rule) if isinstance(spec.per, str) else _both_ways(rule.reach)
    counts = _counts(past, rule, near, batch)
    return refine(key, past.rows, of_counts(np.where(counts >= rule.max, counts, 0)))


def _document(rule: FrequencyCap, batch: Batch) -> FrequencyCapSpec | None:
    """Find what a cap was compiled from, None if its name does not tell."""
    owners = (batch.revision.workspace, batch.revision.agent)
    found = [owner.guardrails[rule.name] for owner in owners if rule.name in owner.guardrails]
    match found:
        case [FrequencyCapSpec() as spec]:
            return spec
        case _:
            return None


def paused(rule: Cooldown, batch: Batch) -> Key:
    """By what pauses, in each group and at each sending instant."""
    past: History = batch.contacts if rule.reads_contacts else batch.events
    words = rule.hears
    kept = past.at > batch.now - span_of(rule.lookback)
    kept &= past.that(rule.remembered)
    if not rule.reads_contacts:
        kept &= batch.events.that(lambda event: event.event in words)
    past = past.where(kept)
    if rule.times > 1:
        often = np.flatnonzero(np.bincount(past.row, minlength=batch.count) >= rule.times)
        return refine(batch.sends, often, each(len(often)))
    span = span_of(rule.pause)
    near = _both_ways(span) if rule.reads_contacts else _after(span)
    counts = _counts(past, rule, near, batch)
    return refine(batch.sends, past.rows, of_bits(counts > 0))


def exclusive(rule: Exclusive, batch: Batch) -> Key:
    """By the agent that has the customer, at each sending instant."""
    past = batch.contacts
    kept = past.that(lambda contact: contact.agent in rule.others)
    past = past.where(kept & (past.at > batch.now - span_of(rule.span)))
    rows, agents = past.rows, {name: n for n, name in enumerate(sorted(rule.others), start=1)}
    who = np.array([agents.get(c.agent, 0) for c in past.identities], dtype=np.int64)
    together = _both_ways(span_of(rule.span)).together
    found = np.zeros((len(rows), len(rule.slots) + 1), dtype=np.int64)  # (M, slots + 1)
    found[:, -1] = 1
    for number, (slot, _) in enumerate(rule.slots):
        send_at = batch.send_at(slot)[past.row]
        first = np.flatnonzero(together(send_at, past.at) & (send_at != NEVER))[::-1]
        found[past.place[first], number] = who[past.identity[first]]  # the earliest is written last
    return refine(batch.sends, rows, of_counts(found))


def _as_it_is(instants: Codes) -> Codes:
    return instants


def _both_ways(span: int) -> Near:
    return Near(_as_it_is, lambda send_at, at: np.abs(send_at - at) < span)


def _after(span: int) -> Near:
    return Near(_as_it_is, lambda send_at, at: (at <= send_at) & (send_at - at < span))


def _same_period(rule: FrequencyCap) -> Near:
    """Fall into the same calendar period."""

    def marks(instants: Codes) -> Codes:
        distinct, inverse = np.unique(instants, return_inverse=True)
        found = [NEVER if at == NEVER else rule.mark(instant_of(at)) for at in distinct.tolist()]
        return np.array(found, dtype=np.int64)[inverse]

    return Near(marks, lambda send_at, at: send_at == at)


def _counts(past: History, rule: FrequencyCap | Cooldown, near: Near, batch: Batch) -> Codes:
    """Count, for each customer of `past.rows`, what is near each sending instant of each group.

    Returns:
        (M, columns): for each group, all that counts in it, then what is near each instant of
        its slots.
    """
    rows = past.rows
    if not len(rows):
        return np.zeros((0, 0), dtype=np.int64)
    place, happened = past.place, near.line(past.at)
    columns: list[Codes] = []
    close: dict[Instants, Flags] = {}
    of_identity = [frozenset(keys(item, rule.agent, rule.scope)) for item in past.identities]
    for key, slots in rule.groups.by_key.items():
        counts_here = np.array([key in shared for shared in of_identity], dtype=bool)
        mine = counts_here[past.identity]  # (C,)
        columns.append(np.bincount(place[mine], minlength=len(rows)))
        for instants in dict.fromkeys(batch.instants(slot) for slot, _ in slots):
            if instants not in close:
                send_at = near.line(batch.by_zone(instants))[batch.zone.codes[past.row]]
                close[instants] = near.together(send_at, happened) & (send_at != NEVER)
            columns.append(np.bincount(place[mine & close[instants]], minlength=len(rows)))
    return np.stack(columns, axis=1).astype(np.int64)
