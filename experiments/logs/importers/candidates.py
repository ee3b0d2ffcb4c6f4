"""The actions of a DSJSON log: what each is called."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from experiments.logs.importers.nested import flatten
from experiments.logs.layout import MOST_LISTED

MOST_OFFERED = 10_000
"""Actions of one row."""


def action_names(candidates: Sequence[Mapping[str, Any]]) -> list[str]:
    """Name the actions of one event: by `_tag`, by an `id`, or else by what they are made of.

    A place in the list is no name: the lists of two events need not hold the same actions.

    Example:
        >>> action_names([{"_tag": "tea"}, {"i": {"id": "rye"}}, {"_tag": "tea"}])
        ['tea', 'rye', 'tea (2)']
        >>> action_names([{"t": {"topic": "garden"}}, {"t": {"topic": "home", "size": 3}}])
        ['t.topic=garden', 'action-c1819c25a1fd']
    """
    names: list[str] = []
    taken: Counter[str] = Counter()
    for candidate in candidates:
        name = _name(candidate)
        taken[name] += 1
        names.append(f"{name} ({taken[name]})" if taken[name] > 1 else name)
    return names


def _name(candidate: Mapping[str, Any]) -> str:
    inner = candidate.get("i")
    for found in (
        candidate.get("_tag"),
        inner.get("id") if isinstance(inner, Mapping) else None,
        candidate.get("id"),
    ):
        if isinstance(found, (str, int)) and str(found):
            return str(found)
    features = flatten(candidate)
    if len(features) == 1:
        return "=".join(map(str, *features.items()))
    digest = hashlib.sha256(orjson.dumps(candidate, option=orjson.OPT_SORT_KEYS)).hexdigest()
    return f"action-{digest[:12]}"


def too_many(count: int, name: str) -> str:
    """Say that there are more distinct actions than any log may have."""
    return (
        f"actions: expected at most {MOST_LISTED:,} distinct ones, got {count:,} or more, the"
        f" last {name!r}; an estimate needs each to be drawn many times: name an action by what"
        " is offered (a `_tag`, a campaign, a kind), not by the single message or product"
    )


def too_wide(count: int, what: str) -> str:
    """Say that there are more actions than each row can have.

    Args:
        count: of them.
        what: where a row's actions are from.
    """
    return (
        f"{what}: expected at most {MOST_OFFERED:,} actions in a row, got {count:,}; if rows list"
        " fewer, import a table whose column `actions` has each row's own list"
    )
