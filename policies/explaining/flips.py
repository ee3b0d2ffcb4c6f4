"""What would have to be different about a customer for another action to be the best."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

import numpy as np

from agents.context import Context, FeatureValue
from agents.mask import Mask
from agents.revision import Revision
from agents.spec import CustomerField
from policies.base import Policy
from policies.explaining.lattice import Best, Found, Lattice, search

_DAYS = 3_650.0  # ten years either way, as far as encoders look
_REACH = 1e6  # an undeclared range: this many times the number itself, at least this
_MOST = 1e15  # the largest number that a context takes


@dataclass(frozen=True, slots=True)
class Change:
    """A change of one field of a customer after which another action is the best.

    Args:
        field: the customer field.
        before: its value, None if unknown.
        after: the value that it would have to have.
        size: how large the change is: the share of the declared range for a number, the share of
            ten years for an instant, of a set's values for a set, 1 for any other field and for
            one that was unknown; a number without a declared range counts relative to itself.
        action: id of the action that would be the best.
    """

    field: str
    before: FeatureValue | None
    after: FeatureValue
    size: float
    action: str


def best_action(policy: Policy, context: Context, mask: Mask) -> int | None:
    """Return the position of the allowed action of the largest expected reward.

    Of equals it is the first; None if nothing is allowed, or the policy knows no expected rewards.
    """
    if not mask.indices.size:
        return None
    expected = policy.distribution(context, mask).expected[mask.indices]  # (E,)
    if np.isnan(expected).any():
        return None
    return int(mask.indices[expected.argmax()])


def changes(revision: Revision, policy: Policy, context: Context, mask: Mask) -> tuple[Change, ...]:
    """Find the smallest change of each field that makes another action the best, smallest first.

    Guardrails are asked again for each value: what the change alone bars or allows, compared with
    what they say of the customer as is, is carried over to the given mask. Every value of a
    category or boolean is tried, and every value of a set is added or taken out. Numbers and
    instants are searched outwards on a lattice of about five digits, the smallest steps first,
    then halved back to the nearest lattice point; a window narrower than the search's steps (1/32
    of the range, finer close by) can be missed. Free text and zones are not changed, nor the field
    that assigns groups.

    Args:
        revision: whose schema and guardrails count.
        policy: whose expected rewards.
        context: of the decision.
        mask: of the decision.
    """
    was = best_action(policy, context, mask)
    if was is None:
        return ()
    before = revision.mask(context)

    def best(name: str, value: FeatureValue) -> int | None:
        changed = replace(context, features={**context.features, name: value})
        after = _carried(mask, before, revision.mask(changed))
        found = best_action(policy, changed, after)
        return None if found == was else found

    found = []
    for name, field in revision.workspace.customer.items():
        if field.type in ("text", "zone") or name == revision.agent.holdout.managed:
            continue
        now = context.features.get(name)
        nearest = _nearest(field, now, context.at, partial(best, name))
        if nearest is not None:
            value, size, action = nearest
            size = 1.0 if now is None else size
            found.append(Change(name, now, value, size, revision.action_ids[action]))
    return tuple(sorted(found, key=lambda change: change.size))


def _carried(given: Mask, before: Mask, after: Mask) -> Mask:
    """Bar and allow in a mask what differs between two others."""
    triples = zip(given.reasons, before.reasons, after.reasons, strict=True)
    return Mask(tuple(g if (b is None) == (a is None) else a for g, b, a in triples))


def _nearest(
    field: CustomerField, now: FeatureValue | None, at: datetime, best: Best
) -> Found | None:
    """Return the nearest value that makes another action the best, its distance, the action."""
    options: list[tuple[FeatureValue, float]]
    match field.type:
        case "integer" | "number":
            return _nearest_number(field, now, best)
        case "instant":
            return _nearest_instant(now, at, best)
        case "set":
            held = now if isinstance(now, tuple) else ()
            share = 1.0 / len(field.values)
            options = [(_toggled(field.values, held, value), share) for value in field.values]
        case "boolean":
            options = [(value, 1.0) for value in (False, True) if value != now]
        case _:
            options = [(value, 1.0) for value in field.values if value != now]
    for value, size in options:
        action = best(value)
        if action is not None:
            return value, size, action
    return None


def _toggled(values: tuple[str, ...], held: tuple[str, ...], value: str) -> tuple[str, ...]:
    return tuple(member for member in values if (member in held) != (member == value))


def _nearest_number(field: CustomerField, now: FeatureValue | None, best: Best) -> Found | None:
    """Search a number's range; an unknown number is counted from the middle of its range, or 0."""
    low = -math.inf if field.min is None else field.min
    high = math.inf if field.max is None else field.max
    extent = high - low
    middle = (low + high) / 2.0 if math.isfinite(extent) else 0.0
    origin = float(now) if isinstance(now, (int, float)) else middle
    width = extent if 0.0 < extent < math.inf else max(abs(origin), 1.0)
    low = max(low, origin - _REACH * width, -_MOST)
    high = min(high, origin + _REACH * width, _MOST)
    whole = field.type == "integer"
    step = 1.0 if whole else 10.0 ** (math.floor(math.log10(width)) - 4)
    if now is None:
        origin = (round(origin / step) - 0.5) * step
    lattice = Lattice(origin, low, high, step)
    return search(lattice, width, (lambda k: k) if whole else lattice.number, best)


def _nearest_instant(now: FeatureValue | None, at: datetime, best: Best) -> Found | None:
    """Search the hours before and after the decision; an unknown instant is counted from it."""
    origin = (now - at) / timedelta(hours=1) if isinstance(now, datetime) else -0.5
    lattice = Lattice(origin, -_DAYS * 24.0, _DAYS * 24.0, 1.0)
    return search(lattice, _DAYS * 24.0, lambda k: at + timedelta(hours=k), best)
