"""How a decision lies in the log: what many decisions share is not written with each.

The ids of the actions belong to the revision, and are stored with it; actions that are barred for
the same reason share its words. That is half of a record, and so half of what is made durable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from agents.decisions import Decision, features_record


def pack(decision: Decision) -> dict[str, Any]:
    """Return what is stored of a decision but its actions' ids, for orjson with its NumPy option.

    It writes instants as text, NaN as null, and contacts and events as objects of their fields.
    """
    context = decision.context
    record = {
        "decision_id": decision.decision_id,
        "agent": decision.agent,
        "revision": decision.revision,
        "policy": decision.policy,
        "snapshot": decision.snapshot,
        "group": decision.group,
        "reason": decision.reason,
        "action": decision.action,
        "floor": decision.floor,
        "explored": decision.explored,
        "at": decision.at,
        "customer": context.customer,
        "features": features_record(context.features),
        "contacts": context.contacts,
        "events": context.events,
        "usage": context.usage,
        "placement": context.placement,
        "channels": context.channels,
        "suppressed": context.suppressed,
        "mask": pack_mask(decision.mask.reasons),
        "distribution": decision.distribution,
        "expected": decision.expected,
        "send_at": decision.send_at,
    }
    if context.supplied is not None:  # written once, and never read on the way
        content = orjson.Fragment(context.supplied.content)
        record["supplied"] = context.supplied.to_record(content)
        record["actions"] = decision.actions
    return record


def pack_mask(reasons: Sequence[str | None]) -> dict[str, list[int]]:
    """Return the positions of the actions that are barred, by reason.

    Example:
        >>> pack_mask((None, "consent: refused", None, "consent: refused"))
        {'consent: refused': [1, 3]}
    """
    barred: dict[str, list[int]] = {}
    for position, reason in enumerate(reasons):
        if reason is not None:
            if reason in barred:
                barred[reason].append(position)
            else:
                barred[reason] = [position]
    return barred


def unpack(body: Mapping[str, Any], actions: Sequence[str]) -> Mapping[str, Any]:
    """Return a stored decision with all that `Decision.to_record` has.

    Args:
        body: as stored; what was never packed, or is no decision, is returned as it is.
        actions: ids of the actions of its revision.

    Example:
        >>> unpack({"mask": {"consent: refused": [1]}}, ["none", "loan"])
        {'mask': [None, 'consent: refused'], 'actions': ['none', 'loan']}
    """
    barred = body.get("mask")
    if not isinstance(barred, dict):
        return body
    reasons: list[str | None] = [None] * len(actions)
    for reason, positions in barred.items():
        for position in positions:
            reasons[position] = reason
    return {**body, "mask": reasons, "actions": actions}
