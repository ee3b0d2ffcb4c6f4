"""Who asks: the customer's id and fields, found in the context features of a Rank."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any

from agents.spec.supplied import SuppliedSpec
from serving.loops.errors import refuse

_CUSTOMER = re.compile(r"[^\x00-\x1f\x7f]{1,128}")  # as everywhere

Features = list[dict[str, Any]]


def who(shared: Features, spec: SuppliedSpec) -> tuple[str, dict[str, object]]:
    """Find the customer's id and fields in the context features, and take the id out of them.

    Returns:
        The id, empty if none is told; and the fields that are told, not checked yet.

    Raises:
        LoopError: the id cannot be one, or there are two.
    """
    fields = dict[str, object]()
    for name, path in spec.fields.items():
        *way, last = path.split(".")
        holder = next(_holders(shared, way, last), None)
        if holder is not None and holder[last] is not None:
            fields[name] = holder[last]
    return "" if spec.customer is None else _take_customer(shared, spec.customer), fields


def _take_customer(shared: Features, path: str) -> str:
    """Take the customer's id out of wherever it stands; empty if it is not told."""
    *way, last = path.split(".")
    told = [holder.pop(last) for holder in list(_holders(shared, way, last))]
    found = {str(each) if type(each) in (str, int) else "" for each in told if each is not None}
    if len(found) > 1:
        raise refuse(f"expected one customer's id at {path}, got two", "contextFeatures")
    if not found:
        return ""
    named = found.pop()
    if not _CUSTOMER.fullmatch(named):
        raise refuse(
            f"expected the customer's id at {path}, 1 to 128 characters or a whole number",
            "contextFeatures",
        )
    return named


def _holders(node: object, way: list[str], last: str) -> Iterator[dict[str, Any]]:
    """Yield the objects at which a path ends, in order; lists are looked through."""
    if isinstance(node, list):
        for each in node:
            yield from _holders(each, way, last)
    elif isinstance(node, dict):
        if not way:
            if last in node:
                yield node
        elif way[0] in node:
            yield from _holders(node[way[0]], way[1:], last)


def own_customer(event_id: str) -> str:
    """Return the customer of an event that tells none: one of its own.

    Example:
        >>> own_customer("e-1")[:9]
        'event:b94'
    """
    return f"event:{hashlib.sha256(event_id.encode()).hexdigest()[:32]}"
