"""What came with a request, as one object each: the moment's features and those of actions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from agents.supplied import Supplied

_KEPT = 16  # requests; several rules, and a decision that is made again, read the same one


class SuppliedFeatures(NamedTuple):
    """The features of one request, merged; what contradicts itself is left out and named.

    Args:
        context: of the moment.
        actions: by id, of each action.
        contradictions: by id, the name that has two values; `""` for the moment's own.
    """

    context: Mapping[str, Any]
    actions: Mapping[str, Mapping[str, Any]]
    contradictions: Mapping[str, str]


class _ContradictionError(Exception):
    """One name has two values."""


def features_of(supplied: Supplied) -> SuppliedFeatures:
    """Read the features of a request; callers must not change what they get.

    Features come as lists of objects, which are one object to whoever writes rules. Objects of the
    same name become one; where a name has two different values, nobody can say which is meant.

    Raises:
        ValueError: the content is not what `Supplied` says it is.

    Example:
        >>> from agents.supplied import supply
        >>> made = supply([{"user": {"age": 17}}, {"user": {"vip": True}}], {"a": [{"hot": True}]})
        >>> features_of(made).context
        {'user': {'age': 17, 'vip': True}}
    """
    return _read(supplied.content, supplied.ids)


@lru_cache(_KEPT)
def _read(content: bytes, ids: tuple[str, ...]) -> SuppliedFeatures:
    read = orjson.loads(content)
    contradictions: dict[str, str] = {}
    context = _merged("", read.get("FromUrl"), contradictions)
    actions = {
        name: _merged(name, one.get("j"), contradictions)
        for name, one in zip(ids, read["_multi"], strict=True)
    }
    return SuppliedFeatures(context, actions, contradictions)


def _merged(owner: str, features: object, contradictions: dict[str, str]) -> dict[str, Any]:
    """Merge a list of objects, or one; note the name of what contradicts itself."""
    listed = features if isinstance(features, list) else [features]
    objects = [each for each in listed if isinstance(each, dict)]
    if len(objects) == 1:
        return objects[0]
    try:
        return _merge(objects)
    except _ContradictionError as error:
        contradictions[owner] = str(error)
        return {}


def _merge(objects: Iterable[dict[str, Any]]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for each in objects:
        for name, value in each.items():
            before = merged.setdefault(name, value)
            if isinstance(before, dict) and isinstance(value, dict) and before is not value:
                merged[name] = _merge((before, value))
            elif type(before) is not type(value) or before != value:
                raise _ContradictionError(name)
    return merged
