"""Nested JSON as flat features and back, so that Vowpal Wabbit reads the same features again."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from agents.errors import LogError

_MAX_DEPTH = 20
_DOT = re.compile(r"(?<!\\)\.")


def flatten(content: Mapping[str, Any], *, cut: bool = False) -> dict[str, Any]:
    r"""Name every value by its path, keys joined by dots; a dot within a key is written `\.`.

    Objects in an array are one, as they are to Vowpal Wabbit; an array of text stays a list, that
    is a set; other values of an array are named by their number. Empty parts are left out.

    Args:
        content: JSON values by key.
        cut: whether what is nested more than 20 deep is left out, too.

    Raises:
        LogError: it is nested more than 20 deep, and not to be cut.

    Example:
        >>> flatten({"user": [{"age": 30}, {"plan": "gold"}], "likes": ["tea", "rye"]})
        {'user.age': 30, 'user.plan': 'gold', 'likes': ['tea', 'rye']}
    """
    found: dict[str, Any] = {}
    _walk(content, (), found, cut=cut)
    return found


def _walk(value: Any, path: tuple[str, ...], found: dict[str, Any], *, cut: bool) -> None:
    if len(path) > _MAX_DEPTH:
        if cut:
            return
        raise LogError(f"expected features nested at most {_MAX_DEPTH} deep, got more")
    if isinstance(value, Mapping):
        for key, item in value.items():
            _walk(item, (*path, key.replace(".", "\\.")), found, cut=cut)
    elif isinstance(value, list) and not (value and all(isinstance(x, str) for x in value)):
        for number, item in enumerate(value):
            below = path if isinstance(item, Mapping) else (*path, str(number))
            _walk(item, below, found, cut=cut)
    else:
        name = ".".join(path)
        found[name if name not in found else f"{name}~{len(found)}"] = value


def nest(features: Mapping[str, Any]) -> dict[str, Any]:
    r"""Put flat features back into objects, the other way of `flatten`.

    Example:
        >>> nest({"user.age": 30, "user.plan": "gold", "a\\.b": 1})
        {'user': {'age': 30, 'plan': 'gold'}, 'a.b': 1}
    """
    out: dict[str, Any] = {}
    for name, value in features.items():
        *above, last = (part.replace("\\.", ".") for part in _DOT.split(name))
        _put(out, above, last, value)
    return out


def _put(out: dict[str, Any], above: Sequence[str], last: str, value: object) -> None:
    for part in above:
        below = out.setdefault(part, {})
        if not isinstance(below, dict):  # `a` is a value and `a.b` another: keep both
            below = out[part] = {"": below}
        out = below
    if isinstance(out.get(last), dict):
        out[last][""] = value
    else:
        out[last] = value
